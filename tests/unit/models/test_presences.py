"""Presences as values."""

from presence_async.models import (
    UNSET,
    MutableUserPresence,
    PresenceDefinition,
    SystemPresenceName,
    UcUserPresence,
    UserPresence,
)


def test_spellings_make_equal_presences():
    """Presences from REST and from events compare equal when they mean the same."""
    rest = PresenceDefinition(id="d", system_presence=SystemPresenceName("On Queue"))
    event = PresenceDefinition(id="d", system_presence=SystemPresenceName("ON_QUEUE"))
    assert UserPresence(presence_definition=rest) == UserPresence(presence_definition=event)
    assert hash(rest) == hash(event)


def test_every_field_is_optional():
    """A presence can be made of nothing, because the vendor leaves out what has no value."""
    assert UserPresence().modified_date is UNSET
    assert MutableUserPresence().id is UNSET
    assert UcUserPresence().user_id is UNSET
