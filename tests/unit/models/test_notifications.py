"""Bodies of events."""

from presence_async.models import (
    AgentActivityEvent,
    PresenceDefinition,
    PresenceEventUserPresence,
    SystemMessageEvent,
    SystemPresenceName,
)


def test_an_event_says_the_same_as_a_read():
    """The definition of an event compares with that of a presence that was read."""
    event = PresenceEventUserPresence(
        presence_definition=PresenceDefinition(
            id="d", system_presence=SystemPresenceName("ON_QUEUE")
        )
    )
    read = PresenceDefinition(id="d", system_presence=SystemPresenceName("On Queue"))
    assert event.presence_definition == read


def test_system_messages_hide_the_channel():
    """The id of the channel is masked here as it is in a channel."""
    message = SystemMessageEvent(channel_id="canary", reason="user_tokens_revoked")
    assert "canary" not in repr(message)
    assert "user_tokens_revoked" in repr(message)


def test_events_with_objects_in_them_are_hashable():
    """What the vendor sent as a dict has no part in the hash."""
    assert hash(AgentActivityEvent(id="u", routing_status={"status": "IDLE"})) == hash(
        AgentActivityEvent(id="u")
    )
