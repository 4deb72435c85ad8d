"""Presence definitions: what users pick from, in the current and the legacy form.

Fields are those of the vendor's Python SDK 269.0.0; which are required is from its
JavaScript typings. Every datetime is aware and UTC.
"""

from collections.abc import Mapping
from datetime import datetime

import attrs

from presence_async.errors import RowFailure
from presence_async.models._base import Model
from presence_async.models._unset import UNSET, Maybe
from presence_async.models.system_presence import SystemPresenceName
from presence_async.models.users import User

__all__ = [
    "OrganizationPresence",
    "OrganizationPresenceDefinition",
    "OrganizationPresenceDefinitionEntityListing",
    "OrganizationPresenceEntityListing",
]


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OrganizationPresenceDefinition(Model):
    """A definition of the current endpoints, ``/api/v2/presence/definitions``.

    Attributes:
        language_labels: Label for each locale key, e.g. "en_US". Required in a write;
            `UNSET` only in an answer that lacks it.
        id: Read-only.
        name: Name.
        type: "System" for built-in ones, "User" for those of the organization. Only the
            latter can be created.
        system_presence: The system presence it maps to, spelled "OnQueue". Fixed at
            creation.
        division_id: Owning division; "*" means all divisions.
        deactivated: True after a delete.
        self_uri: Read-only; a path relative to the API host.
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
class OrganizationPresenceDefinitionEntityListing(Model):
    """All definitions of the current endpoints at once; this list is never paged.

    Attributes:
        entities: The definitions.
        total: Their number.
        self_uri: A path relative to the API host.
        failures: Rows of `entities` that could not be understood. Not a wire field.
    """

    entities: tuple[OrganizationPresenceDefinition, ...] = ()
    total: Maybe[int] = UNSET
    self_uri: Maybe[str] = UNSET
    failures: tuple[RowFailure, ...] = ()


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OrganizationPresence(Model):
    """A definition of the legacy endpoints, ``/api/v2/presencedefinitions``.

    The vendor deprecated them in February 2024. The recorded list carries `id`,
    `language_labels`, `system_presence`, `deactivated` and `primary` only.

    Attributes:
        language_labels: Label for each locale key, e.g. "en_US". Required in a write;
            `UNSET` only in an answer that lacks it.
        id: Read-only.
        name: Name.
        system_presence: The system presence it maps to, spelled "On Queue". Fixed at
            creation.
        deactivated: True after a delete.
        primary: True for built-in definitions, False for those of the organization.
        created_by: Who made it.
        created_date: When it was made.
        modified_by: Who changed it last.
        modified_date: Last change.
        self_uri: Read-only; a path relative to the API host.
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
class OrganizationPresenceEntityListing(Model):
    """A page of legacy definitions.

    Attributes:
        entities: The definitions of this page.
        page_size: Definitions to a page.
        page_number: Number of this page, from 1.
        total: Definitions on all pages.
        page_count: Pages. Stop by this one: the recorded answer had no links at all.
        first_uri: Path of the first page.
        last_uri: Path of the last page.
        next_uri: Path of the next page; missing on the last.
        previous_uri: Path of the page before; missing on the first.
        self_uri: Path of this page.
        failures: Rows of `entities` that could not be understood. Not a wire field.
    """

    entities: tuple[OrganizationPresence, ...] = ()
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
