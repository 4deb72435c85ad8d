"""Users as far as presence needs them, and the records that hang on a whole user.

Fields are those of the vendor's Python SDK 269.0.0; `PresenceExpand` and `OutOfOffice` left
its typings in April 2022 and are known from the version before.
"""

from datetime import datetime

import attrs

from presence_async.errors import RowFailure
from presence_async.models._base import Model
from presence_async.models._unset import UNSET, Maybe
from presence_async.models.presences import UserPresence

__all__ = ["Division", "OutOfOffice", "PresenceExpand", "User", "UserEntityListing"]


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Division(Model):
    """The reference to a division, the sub-scope of an organization.

    Attributes:
        id: Id of the division.
        name: Name.
        self_uri: Read-only; a path relative to the API host.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    self_uri: Maybe[str] = UNSET


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class User(Model):
    """A user; the vendor's record has many more fields, which arrive in `extra`.

    Attributes:
        id: Read-only.
        name: Full name.
        email: Address.
        username: Login name.
        state: "active", "inactive" or "deleted"; other values may come.
        division: The user's division.
        department: Department.
        title: Job title.
        version: Version of the record, counted up by the vendor.
        presence: The current presence; only when asked for with ``expand=presence``, and
            even then it may be missing.
        integration_presence: The presence in another product such as Microsoft Teams;
            only when asked for, and even then it may be missing.
        self_uri: Read-only; a path relative to the API host.
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
class UserEntityListing(Model):
    """A page of users.

    Attributes:
        entities: The users of this page.
        page_size: Users to a page; 100 is safe.
        page_number: Number of this page, from 1.
        total: Users on all pages.
        page_count: Pages. Stop by this one, the links are not always there.
        first_uri: Path of the first page.
        last_uri: Path of the last page.
        next_uri: Path of the next page; missing on the last.
        previous_uri: Path of the page before; missing on the first.
        self_uri: Path of this page.
        failures: Rows of `entities` that could not be understood. Not a wire field.
    """

    entities: tuple[User, ...] = ()
    page_size: Maybe[int] = UNSET
    page_number: Maybe[int] = UNSET
    total: Maybe[int] = UNSET
    page_count: Maybe[int] = UNSET
    first_uri: Maybe[str] = UNSET
    last_uri: Maybe[str] = UNSET
    next_uri: Maybe[str] = UNSET
    previous_uri: Maybe[str] = UNSET
    self_uri: Maybe[str] = UNSET
    failures: tuple[RowFailure, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OutOfOffice(Model):
    """Out-of-office status: separate from the presence, not one of the system presences.

    Attributes:
        id: Read-only.
        name: Name.
        user: Whose status it is.
        start_date: Begin, aware and UTC.
        end_date: End, aware and UTC.
        active: Whether it is in force.
        indefinite: Whether it has no end.
        self_uri: Read-only; a path relative to the API host.
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
        id: Read-only.
        name: Name.
        presences: One for each source.
        out_of_offices: Out-of-office entries.
        self_uri: Read-only; a path relative to the API host.
    """

    id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    presences: Maybe[tuple[UserPresence, ...]] = UNSET
    out_of_offices: Maybe[tuple[OutOfOffice, ...]] = UNSET
    self_uri: Maybe[str] = UNSET
