"""System presences: the vendor's built-in categories, and their three spellings."""

from typing import ClassVar, Final, Self, final

import attrs

from presence_async.models._base import UNSET, Maybe, Model

# REST spelling, spelling of the definitions enum, spelling of events and analytics.
# Source: the vendor's recorded definitions list, the enum of its Python SDK, and the event
# sample in its user presence guide.
_SPELLINGS: Final = (
    ("Available", "Available", "AVAILABLE"),
    ("Away", "Away", "AWAY"),
    ("Busy", "Busy", "BUSY"),
    ("Offline", "Offline", "OFFLINE"),
    ("Idle", "Idle", "IDLE"),
    ("On Queue", "OnQueue", "ON_QUEUE"),
    ("Meal", "Meal", "MEAL"),
    ("Training", "Training", "TRAINING"),
    ("Meeting", "Meeting", "MEETING"),
    ("Break", "Break", "BREAK"),
)


def _fold(value: str) -> str:
    return value.replace(" ", "").replace("_", "").casefold()


_BY_FOLDED: Final = {_fold(spellings[0]): spellings for spellings in _SPELLINGS}


@final
class SystemPresenceName(str):
    """Name of a system presence: an open enum that forgives the vendor's spellings.

    The vendor writes one and the same value as "On Queue" (user presences and legacy
    definitions), "OnQueue" (current definitions) and "ON_QUEUE" (events, analytics and
    the system presence list). All of them compare equal here, to one another and to plain
    strings: spaces, underscores and case do not count. The value itself stays what it was
    on the wire, so reading and writing back changes nothing. Values unknown to this
    version are kept verbatim too and compare by the same rule.

    The hash is that of the REST spelling, so in a dict keyed by names any name and the
    plain string "On Queue" find the entry; other plain spellings need wrapping first.

    >>> SystemPresenceName("ON_QUEUE") == "On Queue"
    True
    """

    __slots__ = ("_key", "_spellings")

    AVAILABLE: ClassVar[Self]
    AWAY: ClassVar[Self]
    BUSY: ClassVar[Self]
    OFFLINE: ClassVar[Self]
    IDLE: ClassVar[Self]
    ON_QUEUE: ClassVar[Self]
    MEAL: ClassVar[Self]
    TRAINING: ClassVar[Self]
    MEETING: ClassVar[Self]
    BREAK: ClassVar[Self]

    _key: str
    _spellings: tuple[str, str, str] | None

    def __new__(cls, value: str) -> Self:
        """Wrap a spelling; the vendor's own spellings are shared instances."""
        # Looking up a name itself would find the entry of another spelling.
        if isinstance(value, SystemPresenceName):
            return value
        return _CACHE.get(value) or cls._make(value)

    @classmethod
    def _make(cls, value: str) -> Self:
        self = super().__new__(cls, value)
        folded = _fold(value)
        self._spellings = _BY_FOLDED.get(folded)
        self._key = self._spellings[0] if self._spellings else folded
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SystemPresenceName):
            return self._key == other._key
        if isinstance(other, str):
            return self == SystemPresenceName(other)
        return NotImplemented

    # str has its own; without this one, == and != could both be true.
    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return SystemPresenceName, (str.__str__(self),)

    @property
    def is_known(self) -> bool:
        """Whether this is one of the ten values the vendor documents."""
        return self._spellings is not None

    @property
    def rest(self) -> str:
        """Spelling of user presences and legacy definitions, e.g. "On Queue".

        An unknown value is returned verbatim, by this and the other two spellings.
        """
        return self._spelling(0)

    @property
    def definition(self) -> str:
        """Spelling of `OrganizationPresenceDefinition`, e.g. "OnQueue"."""
        return self._spelling(1)

    @property
    def event(self) -> str:
        """Spelling of events, analytics and the system presence list, e.g. "ON_QUEUE"."""
        return self._spelling(2)

    def _spelling(self, index: int) -> str:
        return self._spellings[index] if self._spellings else str.__str__(self)


# One instance per spelling the vendor uses. Nothing is ever added: values come from the
# network, and a cache that grows with them would never stop.
_CACHE: Final[dict[str, SystemPresenceName]] = {}
for _spellings in _SPELLINGS:
    for _spelling in _spellings:
        _CACHE[_spelling] = SystemPresenceName(_spelling)
    setattr(SystemPresenceName, _spellings[2], _CACHE[_spellings[0]])


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class SystemPresence(Model):
    """A built-in category of presence; organizations cannot add any.

    Attributes:
        name: The category, in the spelling of events ("ON_QUEUE").
    """

    id: Maybe[str] = UNSET
    name: Maybe[SystemPresenceName] = UNSET
    self_uri: Maybe[str] = UNSET
