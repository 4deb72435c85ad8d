"""Users as far as presence needs them, and the records that hang on a whole user.

Fields are those of the vendor's Python SDK 269.0.0; `PresenceExpand` and `OutOfOffice` left
its typings in April 2022 and are known from the version before.
"""

from datetime import datetime

import attrs

from presence_async.models._base import UNSET, Maybe, Model, PagedListing
from presence_async.models.presences import UserPresence


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Division(Model):
    """The reference to a division, the sub-scope of an organization."""

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class User(Model):
    """A user; the vendor's record has many more fields, which arrive in `extra`.

    Attributes:
        name: Full name.
        state: "active", "inactive" or "deleted"; other values may come.
        version: Version of the record, counted up by the vendor.
        presence: The current presence; only when asked for with ``expand=presence``, and
            even then it may be missing.
        integration_presence: The presence in another product such as Microsoft Teams;
            only when asked for, and even then it may be missing.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    email: Maybe[str] = UNSET
    username: Maybe[str] = UNSET
    state: Maybe[str] = UNSET
    division: Maybe[Division] = UNSET
    department: Maybe[str] = UNSET
    title: Maybe[str] = UNSET
    version: Maybe[int] = UNSET
    presence: Maybe[UserPresence] = UNSET
    integration_presence: Maybe[UserPresence] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UserEntityListing(PagedListing):
    """A page of users; a `page_size` of 100 is safe."""

    entities: tuple[User, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OutOfOffice(Model):
    """Out-of-office status: separate from the presence, not one of the system presences.

    Attributes:
        start_date, end_date: Aware and UTC.
        indefinite: Whether it has no end.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    user: Maybe[User] = UNSET
    start_date: Maybe[datetime] = UNSET
    end_date: Maybe[datetime] = UNSET
    active: Maybe[bool] = UNSET
    indefinite: Maybe[bool] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PresenceExpand(Model):
    """All presences and out-of-office entries of one user.

    Attributes:
        presences: One for each source.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    presences: Maybe[tuple[UserPresence, ...]] = UNSET
    out_of_offices: Maybe[tuple[OutOfOffice, ...]] = UNSET
    self_uri: Maybe[str] = UNSET
