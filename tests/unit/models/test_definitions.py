"""Definitions in their current and their legacy form."""

import pytest

from presence_async.models import (
    OrganizationPresence,
    OrganizationPresenceDefinition,
    OrganizationPresenceDefinitionEntityListing,
    OrganizationPresenceEntityListing,
)


@pytest.mark.parametrize("cls", [OrganizationPresence, OrganizationPresenceDefinition])
def test_labels_are_required(cls: type):
    """A definition cannot be made without labels, which the vendor requires."""
    with pytest.raises(TypeError, match="language_labels"):
        cls(name="Lunch")


@pytest.mark.parametrize("cls", [OrganizationPresence, OrganizationPresenceDefinition])
def test_definitions_are_hashable_though_labels_are_not(cls: type):
    """Labels take no part in the hash; equality still looks at them."""
    one, other = cls(language_labels={"en_US": "Lunch"}), cls(language_labels={})
    assert hash(one) == hash(other)
    assert one != other


@pytest.mark.parametrize(
    "cls", [OrganizationPresenceDefinitionEntityListing, OrganizationPresenceEntityListing]
)
def test_listings_start_empty(cls: type):
    """A listing has no rows and no failures until it is given some."""
    assert (cls().entities, cls().failures) == ((), ())
