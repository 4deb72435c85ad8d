"""Presence definitions: what users pick from, in the current and the legacy form.

Fields are those of the vendor's Python SDK 269.0.0; which are required is from its
JavaScript typings. Every datetime is aware and UTC.
"""

from collections.abc import Mapping
from datetime import datetime

import attrs

from presence_async.models._base import UNSET, EntityListing, Maybe, Model, PagedListing
from presence_async.models.system_presence import SystemPresenceName
from presence_async.models.users import User


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OrganizationPresenceDefinition(Model):
    """A definition of the current endpoints, ``/api/v2/presence/definitions``.

    Attributes:
        language_labels: Label for each locale key, e.g. "en_US". Required in a write;
            `UNSET` only in an answer that lacks it.
        type: "System" for built-in ones, "User" for those of the organization. Only the
            latter can be created.
        system_presence: The system presence it maps to, spelled "OnQueue". Fixed at
            creation.
        division_id: Owning division; "*" means all divisions.
    """

    # Not part of the hash: JSON objects are dicts, and dicts have none.
    language_labels: Maybe[Mapping[str, str]] = attrs.field(hash=False)
    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    type: Maybe[str] = UNSET
    system_presence: Maybe[SystemPresenceName] = UNSET
    division_id: Maybe[str] = UNSET
    deactivated: Maybe[bool] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OrganizationPresenceDefinitionEntityListing(EntityListing):
    """All definitions of the current endpoints at once; this list is never paged."""

    entities: tuple[OrganizationPresenceDefinition, ...] = ()
    total: Maybe[int] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OrganizationPresence(Model):
    """A definition of the legacy endpoints, ``/api/v2/presencedefinitions``.

    The vendor deprecated them in February 2024. The recorded list carries `id`,
    `language_labels`, `system_presence`, `deactivated` and `primary` only.

    Attributes:
        language_labels: Label for each locale key, e.g. "en_US". Required in a write;
            `UNSET` only in an answer that lacks it.
        system_presence: The system presence it maps to, spelled "On Queue". Fixed at
            creation.
        primary: True for built-in definitions, False for those of the organization.
    """

    # Not part of the hash: JSON objects are dicts, and dicts have none.
    language_labels: Maybe[Mapping[str, str]] = attrs.field(hash=False)
    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    system_presence: Maybe[SystemPresenceName] = UNSET
    deactivated: Maybe[bool] = UNSET
    primary: Maybe[bool] = UNSET
    created_by: Maybe[User] = UNSET
    created_date: Maybe[datetime] = UNSET
    modified_by: Maybe[User] = UNSET
    modified_date: Maybe[datetime] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OrganizationPresenceEntityListing(PagedListing):
    """A page of legacy definitions."""

    entities: tuple[OrganizationPresence, ...] = ()
