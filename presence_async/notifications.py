"""Names of notification topics, and what comes over a channel's socket as typed values. Pure.

Topics and bodies are those of the vendor's iOS SDK 201.0.0 (`notificationMappings.json`) and
.NET SDK 270.0.0 (`NotificationTopics.cs`, which compares names without regard to case). The
combined form and the bound on a name are those of its streaming client. Frames are recorded
(2022); heartbeat and pong are known from its CLI and koodaamo/genesys-notifications.

`read_notification` never raises: what cannot be understood is a value too, because whoever
follows presences has to know that something was said.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from presence_async.models import Model

__all__ = [
    "PING",
    "TOPICS_PER_CHANNEL",
    "ActivityNotification",
    "ClosingNotice",
    "Heartbeat",
    "IntegrationPresenceNotification",
    "Notification",
    "OtherNotification",
    "Pong",
    "PresenceNotification",
    "SystemNotification",
    "UndecodableFrame",
    "UserTopics",
    "check_topic",
    "check_topics",
    "read_notification",
    "single_topics",
    "split_topic",
    "user_topic",
]

PING: Final = '{"message":"ping"}'
"""What a client sends to be answered with a `Pong`."""

TOPICS_PER_CHANNEL: Final = 1000
"""What a channel takes; a combined topic is believed to count once."""

# A name is shorter than this.
_NAME_LENGTH: Final = 200
# No event is nearly as long; what is, is not worth the time it takes to read.
_FRAME_LENGTH: Final = 1_000_000
# Come by themselves and cannot be asked for; the .NET SDK leaves them out as well.
_UNASKED: Final = ("channel.metadata", "v2.system.")
_NAME: Final = re.compile(r"[!-~]+", re.ASCII)
_USER_ID: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SUFFIX: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_USERS: Final = "v2.users."


class UserTopics(NamedTuple):
    """What a topic name says: one user, and which of the user's topics."""

    user_id: str
    suffixes: tuple[str, ...]


def user_topic(user_id: str, *suffixes: str) -> str:
    """The name of a user's topic, or of several in one.

    Args:
        user_id: Id of the user.
        suffixes: Such as "presence"; more than one make a combined topic,
            ``v2.users.{id}?presence&routingStatus``, whose events come under single names.

    Returns:
        The name.

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
    """The user and the topics in a name, plain or combined and in any case.

    Returns:
        The user id and the suffixes as they are written, or None for a topic of no user.
    """
    if name[: len(_USERS)].casefold() != _USERS:
        return None
    head, combined, listed = name[len(_USERS) :].partition("?")
    user_id, _, suffix = head.partition(".")
    if combined and suffix:
        return None
    suffixes = tuple(listed.split("&")) if combined else (suffix,)
    return UserTopics(user_id, suffixes) if user_id and all(suffixes) else None


def single_topics(name: str) -> list[str]:
    """The plain topics that a name stands for, such as events come under."""
    topic = split_topic(name)
    return [f"{_USERS}{topic.user_id}.{one}" for one in topic.suffixes] if topic else [name]


def check_topic(field: str, name: Any) -> str:
    """A name that may be subscribed to.

    Raises:
        InvalidRequestError: No name, one of 200 characters or more, or a topic that comes
            without being asked for; `field` is the argument's.
    """
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
    """The names without repetitions, which any case of letters makes.

    Raises:
        InvalidRequestError: One that `check_topic` refuses, or more than a channel takes.
    """
    checked = (check_topic(f"{field}[{index}]", name) for index, name in enumerate(names))
    kept: dict[str, str] = {}
    for name in checked:
        kept.setdefault(name.casefold(), name)
        if len(kept) > TOPICS_PER_CHANNEL:
            raise InvalidRequestError(
                f"{field}: a channel takes {TOPICS_PER_CHANNEL} topics at most", field=field
            )
    return list(kept.values())


@attrs.frozen(kw_only=True)
class _Frame:
    """What all of them have.

    Attributes:
        topic: The name as the vendor wrote it; "" when the frame has none.
        correlation_id: The vendor's id of the event, or None.
    """

    topic: str = ""
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
    """Presence, routing or out of office changed.

    Attributes:
        user_id: Whose, as the topic has it.
        body: All of it as it is now.
    """

    user_id: str
    body: AgentActivityEvent


@attrs.frozen(kw_only=True)
class IntegrationPresenceNotification(_Frame):
    """A presence changed on some source, or another source is shown now.

    Attributes:
        user_id: Whose, as the topic has it.
        body: The presence and its sources.
    """

    user_id: str
    body: IntegrationPresenceEvent


@attrs.frozen(kw_only=True)
class SystemNotification(_Frame):
    """The vendor says something about the channel, without being asked.

    Attributes:
        body: What it is.
    """

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
    """The socket is alive; comes about every 30 seconds."""


@attrs.frozen(kw_only=True)
class Pong(_Frame):
    """The answer to `PING`."""


@attrs.frozen(kw_only=True)
class OtherNotification(_Frame):
    """A topic this version does not know, or a frame without one, handed on as it is.

    Among the latter are answers to subscriptions sent over the socket, which the vendor does
    not document.

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
    | Pong
    | OtherNotification
    | UndecodableFrame
)
"""Whatever may come over the socket of a channel."""

_BODIES: Final[dict[str, tuple[Callable[..., Notification], type[Model]]]] = {
    "presence": (PresenceNotification, PresenceEventUserPresence),
    "activity": (ActivityNotification, AgentActivityEvent),
    "integrationpresence": (IntegrationPresenceNotification, IntegrationPresenceEvent),
}
_CLOSING: Final = "v2.system.socket_closing"
_SYSTEM: Final = ("v2.system.", "v2.subscription.")


def read_notification(text: str | bytes) -> Notification:
    """Make a value of the text of one frame.

    Args:
        text: The text, whatever it may be.

    Returns:
        The notification; `UndecodableFrame` for what is none. It never raises.
    """
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
    user_id, _, suffix = topic[len(_USERS) :].partition(".")
    found = _BODIES.get(suffix) or _BODIES.get(suffix.casefold())
    if found is not None and user_id and topic[: len(_USERS)].casefold() == _USERS:
        envelope, cls = found
        try:
            model = structure_value(body, cls)
        except DecodeError as error:
            return UndecodableFrame(
                topic=topic,
                correlation_id=correlation_id,
                error=error.with_traceback(None),
                user_id=user_id,
            )
        return envelope(topic=topic, correlation_id=correlation_id, user_id=user_id, body=model)
    return _of_no_user(topic, correlation_id, body)


def _of_no_user(topic: str, correlation_id: str | None, body: Any) -> Notification:
    folded = topic.casefold()
    if folded == "channel.metadata":
        said = body.get("message") if type(body) is dict else None
        kind = Pong if type(said) is str and said.casefold() == "pong" else Heartbeat
        return kind(topic=topic, correlation_id=correlation_id)
    if folded.startswith(_SYSTEM):
        message = ClosingNotice if folded == _CLOSING else SystemNotification
        return message(topic=topic, correlation_id=correlation_id, body=_system_body(body))
    return OtherNotification(topic=topic, correlation_id=correlation_id, body=body)


def _system_body(body: Any) -> SystemMessageEvent:
    """The body, or an empty one: that of a closing notice is documented nowhere.

    What the message means, its topic says as well, and that must not be lost.
    """
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
