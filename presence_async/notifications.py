"""Names of notification topics, and what comes over a channel's socket as typed values. Pure.

Topics and bodies are those of the vendor's iOS SDK 201.0.0 (`notificationMappings.json`) and
.NET SDK 270.0.0 (`NotificationTopics.cs`, which compares names without regard to case); combined
names and the bound on a name those of its streaming client. Frames are recorded (2022); heartbeat
and pong are known from its CLI and koodaamo/genesys-notifications.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import attrs

from presence_async.converter import loads, structure_value
from presence_async.errors import DecodeError, InvalidRequestError
from presence_async.models import (
    AgentActivityEvent,
    IntegrationPresenceEvent,
    PresenceEventUserPresence,
    SystemMessageEvent,
)
from presence_async.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from presence_async.models import Model

__all__ = [
    "PING",
    "PLAIN",
    "TOPICS_PER_CHANNEL",
    "ActivityNotification",
    "ClosingNotice",
    "Heartbeat",
    "IntegrationPresenceNotification",
    "Notification",
    "OtherNotification",
    "PresenceNotification",
    "SystemNotification",
    "UndecodableFrame",
    "UserTopics",
    "check_topic",
    "check_topics",
    "read_notification",
    "shown_topic",
    "single_topics",
    "split_topic",
    "topic_key",
    "user_topic",
]

PING: Final = '{"message":"ping"}'
"""What a client sends to be answered with a `Heartbeat` that says "pong"."""

TOPICS_PER_CHANNEL: Final = 1000
"""What a channel takes; a combined topic is believed to count once."""

# A name is shorter than this.
_NAME_LENGTH: Final = 200
# No event is nearly as long; what is, is not worth the time it takes to read.
_FRAME_LENGTH: Final = 1_000_000
# Come by themselves and cannot be asked for; the .NET SDK leaves them out as well.
_UNASKED: Final = ("channel.metadata", "v2.system.")
_SYSTEM: Final = ("v2.system.", "v2.subscription.")
_NAME: Final = re.compile(r"[!-~]+", re.ASCII)
_USER_ID: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SUFFIX: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_USERS: Final = "v2.users."


class UserTopics(NamedTuple):
    """A user, and which of the user's topics."""

    user_id: str
    suffixes: tuple[str, ...]


def user_topic(user_id: str, *suffixes: str) -> str:
    """The name of a user's topic, or of several in one.

    Args:
        user_id: Id of the user.
        suffixes: Such as "presence"; more than one make a combined topic,
            ``v2.users.{id}?presence&routingStatus``, whose events come under single names.

    Raises:
        InvalidRequestError: Something that cannot stand in a name, or one too long.
    """
    if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
        raise InvalidRequestError(
            "user_id must be letters, digits, dashes and underscores to be in a topic",
            field="user_id",
        )
    good = all(isinstance(suffix, str) and _SUFFIX.fullmatch(suffix) for suffix in suffixes)
    if not suffixes or not good:
        raise InvalidRequestError(
            "suffixes must name one topic or more, such as 'presence'", field="suffixes"
        )
    joined = "?" + "&".join(suffixes) if len(suffixes) > 1 else f".{suffixes[0]}"
    return check_topic("user_id", f"{_USERS}{user_id}{joined}")


def split_topic(name: str) -> UserTopics | None:
    """The user and the topics in a name as they are written, or None for a topic of no user."""
    if name[: len(_USERS)].casefold() != _USERS:
        return None
    head, combined, listed = name[len(_USERS) :].partition("?")
    user_id, _, suffix = head.partition(".")
    if combined and suffix:
        return None
    suffixes = tuple(listed.split("&")) if combined else (suffix,)
    return UserTopics(user_id, suffixes) if user_id and all(suffixes) else None


def single_topics(name: str) -> list[str]:
    """The topics that a name stands for, as events come under."""
    topic = split_topic(name)
    return [f"{_USERS}{topic.user_id}.{one}" for one in topic.suffixes] if topic else [name]


def topic_key(name: str) -> str:
    """What makes two spellings of a name one; mostly the name itself, and then no copy of it."""
    folded = name.casefold()
    return name if folded == name else folded


def check_topic(field: str, name: Any) -> str:
    """`name`, or InvalidRequestError for what is none that may be subscribed to."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"{field} must be the name of a topic: a str of printable ASCII without spaces",
            field=field,
        )
    if len(name) >= _NAME_LENGTH:
        raise InvalidRequestError(
            f"{field} must be shorter than {_NAME_LENGTH} characters, not {len(name)}", field=field
        )
    if name.casefold().startswith(_UNASKED):
        raise InvalidRequestError(
            f"{field}: {name} comes by itself and cannot be subscribed to", field=field
        )
    return name


def check_topics(field: str, names: Iterable[Any]) -> list[str]:
    """The names, each once in whatever case; InvalidRequestError as above, or for too many."""
    kept: dict[str, str] = {}
    for index, name in enumerate(names):
        kept.setdefault(topic_key(check_topic(f"{field}[{index}]", name)), name)
        if len(kept) > TOPICS_PER_CHANNEL:
            raise InvalidRequestError(
                f"{field}: a channel takes {TOPICS_PER_CHANNEL} topics at most", field=field
            )
    return list(kept.values())


def shown_topic(topic: str) -> str:
    """The `repr` of a topic: what the vendor says about a channel may end in the channel's id."""
    parts = topic.split(".")
    hidden = topic.casefold().startswith(_SYSTEM) and len(parts) > 3
    return repr(".".join([*parts[:3], MASK]) if hidden else topic)


@attrs.frozen(kw_only=True)
class _Frame:
    """What all of them have.

    Attributes:
        topic: The name as the vendor wrote it; "" when the frame has none.
        correlation_id: The vendor's id of the event, or None.
    """

    topic: str = attrs.field(default="", repr=shown_topic)
    correlation_id: str | None = None


@attrs.frozen(kw_only=True)
class PresenceNotification(_Frame):
    """A presence changed.

    Attributes:
        user_id: Whose, as the topic has it; the body does not say.
        body: The presence.
    """

    user_id: str
    body: PresenceEventUserPresence


@attrs.frozen(kw_only=True)
class ActivityNotification(_Frame):
    """Presence, routing or out of office changed; the body has all of it as it is now."""

    user_id: str
    body: AgentActivityEvent


@attrs.frozen(kw_only=True)
class IntegrationPresenceNotification(_Frame):
    """A presence changed on some source, or another source is shown now."""

    user_id: str
    body: IntegrationPresenceEvent


@attrs.frozen(kw_only=True)
class SystemNotification(_Frame):
    """The vendor says something about the channel, without being asked."""

    body: SystemMessageEvent

    @property
    def kind(self) -> str:
        """Such as "no_longer_subscribed" or "token_revoked", by the body or else by the topic."""
        parts = self.topic.casefold().split(".")
        return self.body.system_topic_type or (parts[2] if len(parts) > 2 else "")


@attrs.frozen(kw_only=True)
class ClosingNotice(SystemNotification):
    """The socket closes in about a minute; the channel lives on, with its subscriptions."""


@attrs.frozen(kw_only=True)
class Heartbeat(_Frame):
    """The socket is alive: about every 30 seconds, and in answer to `PING`."""


@attrs.frozen(kw_only=True)
class OtherNotification(_Frame):
    """A topic this version does not know, or a frame without one, handed on as it is.

    Attributes:
        body: The `eventBody` of the frame; the whole frame when it has no topic.
    """

    body: Any = None

    @property
    def user_id(self) -> str | None:
        """The user the topic is about, if any."""
        found = split_topic(self.topic)
        return found.user_id if found else None


@attrs.frozen(kw_only=True)
class UndecodableFrame(_Frame):
    """Something was said that could not be understood: the event is lost.

    Attributes:
        error: Why, without the contents.
        user_id: Whose event it was, or None when not even that could be read.
    """

    error: DecodeError
    user_id: str | None = None


Notification: TypeAlias = (
    PresenceNotification
    | ActivityNotification
    | IntegrationPresenceNotification
    | SystemNotification
    | Heartbeat
    | OtherNotification
    | UndecodableFrame
)
"""Whatever may come over the socket of a channel."""

PLAIN: Final = frozenset(
    {PresenceNotification, ActivityNotification, IntegrationPresenceNotification, OtherNotification}
)
"""What comes by the thousand, and says nothing about the channel."""


def _maker(cls: type[Any]) -> Callable[[str, str | None, str, Model], Notification]:
    """Makes what `cls(...)` does, at a quarter of the cost of a frozen class's `__init__`."""
    new = object.__new__
    names = ("topic", "correlation_id", "user_id", "body")
    set_topic, set_correlation_id, set_user_id, set_body = (
        getattr(cls, name).__set__ for name in names
    )

    def make(topic: str, correlation_id: str | None, user_id: str, body: Model) -> Any:
        made = new(cls)
        set_topic(made, topic)
        set_correlation_id(made, correlation_id)
        set_user_id(made, user_id)
        set_body(made, body)
        return made

    return make


_BODIES: Final[dict[str, tuple[Callable[..., Notification], type[Model]]]] = {
    "presence": (_maker(PresenceNotification), PresenceEventUserPresence),
    "activity": (_maker(ActivityNotification), AgentActivityEvent),
    "integrationpresence": (_maker(IntegrationPresenceNotification), IntegrationPresenceEvent),
}
_CLOSING: Final = "v2.system.socket_closing"


def read_notification(text: str | bytes) -> Notification:
    """The value of a frame's text; it never raises, as that something was said is news, too."""
    if len(text) > _FRAME_LENGTH:
        return UndecodableFrame(error=DecodeError(f"longer than {_FRAME_LENGTH} characters"))
    try:
        frame = loads(text)
    except DecodeError as error:
        return UndecodableFrame(error=error.with_traceback(None))
    if type(frame) is not dict:
        return UndecodableFrame(error=DecodeError("not a JSON object"))
    topic = frame.get("topicName")
    if type(topic) is str and topic:
        return _of_topic(topic, frame)
    if topic:
        return UndecodableFrame(error=DecodeError("expected string", field="topicName"))
    return OtherNotification(body=frame)


def _of_topic(topic: str, frame: dict[str, Any]) -> Notification:
    body = frame.get("eventBody")
    correlation_id = _correlation_id(frame.get("metadata"))
    if not topic.startswith(_USERS) and topic[: len(_USERS)].casefold() != _USERS:
        return _of_no_user(topic, correlation_id, body)
    user_id, _, suffix = topic[len(_USERS) :].partition(".")
    found = _BODIES.get(suffix) or _BODIES.get(suffix.casefold())
    if found is None or not user_id:
        return OtherNotification(topic=topic, correlation_id=correlation_id, body=body)
    envelope, cls = found
    try:
        return envelope(topic, correlation_id, user_id, structure_value(body, cls))
    except DecodeError as error:
        return UndecodableFrame(
            topic=topic,
            correlation_id=correlation_id,
            error=error.with_traceback(None),
            user_id=user_id,
        )


def _of_no_user(topic: str, correlation_id: str | None, body: Any) -> Notification:
    folded = topic.casefold()
    if folded == "channel.metadata":
        return Heartbeat(topic=topic, correlation_id=correlation_id)
    if folded.startswith(_SYSTEM):
        message = ClosingNotice if folded == _CLOSING else SystemNotification
        return message(topic=topic, correlation_id=correlation_id, body=_system_body(body))
    return OtherNotification(topic=topic, correlation_id=correlation_id, body=body)


def _system_body(body: Any) -> SystemMessageEvent:
    """The body, or an empty one: what the message means, its topic says as well."""
    try:
        return structure_value(body, SystemMessageEvent)
    except DecodeError:
        return SystemMessageEvent()


def _correlation_id(metadata: Any) -> str | None:
    """Recorded as `CorrelationId`; go-gcloudcx reads it as `correlationId`."""
    if type(metadata) is not dict:
        return None
    found = metadata.get("CorrelationId") or metadata.get("correlationId")
    return found if type(found) is str else None
