"""Users, their pages, and the records around a user."""

from presence_async.models import (
    UNSET,
    Division,
    OutOfOffice,
    PresenceExpand,
    User,
    UserEntityListing,
    UserPresence,
)


def test_listing_starts_empty():
    """A page has no users and no failures until it is given some."""
    assert UserEntityListing().entities == ()
    assert UserEntityListing().failures == ()
    assert UserEntityListing().page_count is UNSET


def test_nested_records_are_hashable():
    """Users with divisions and presences fit into sets."""
    user = User(id="u", division=Division(id="v"), presence=UserPresence(message="m"))
    away = OutOfOffice(user=user, active=True)
    assert len({PresenceExpand(presences=(UserPresence(),), out_of_offices=(away,)), user}) == 2
