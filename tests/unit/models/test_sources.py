"""Sources, what comes from them, and settings."""

import pytest

from presence_async.models import (
    UNSET,
    BatchEventResponse,
    EventError,
    PresenceSettings,
    RestorePresenceSettings,
    Source,
    SourceEntityListing,
    UCThirdPartyPresence,
    UserPresenceEvent,
    UserPrimarySource,
)


def test_required_fields_are_asked_for():
    """What the vendor requires in a write is a required argument."""
    with pytest.raises(TypeError, match="name"):
        Source()
    with pytest.raises(TypeError, match="restore_time_milliseconds"):
        RestorePresenceSettings(enabled=True, restore_on_queue_enabled=False)


def test_settings_are_values():
    """Settings with equal contents are equal and hash alike."""

    def settings():
        restore = RestorePresenceSettings(
            enabled=True, restore_time_milliseconds=60_000, restore_on_queue_enabled=False
        )
        return PresenceSettings(restore_presence_settings=restore)

    assert settings() == settings()
    assert hash(settings()) == hash(settings())


def test_listing_starts_empty():
    """A listing has no rows and no failures until it is given some."""
    assert (SourceEntityListing().entities, SourceEntityListing().failures) == ((), ())


def test_primary_source_needs_nothing():
    """All fields of a primary source are optional."""
    assert repr(UserPrimarySource()) == "UserPrimarySource()"


def test_what_nobody_can_fill_in_is_asked_for():
    """Whose presence it is, and from where, is required; id and time of an event are not."""
    with pytest.raises(TypeError, match="source_id"):
        UserPresenceEvent(user_id="u")
    with pytest.raises(TypeError, match="email"):
        UCThirdPartyPresence(presence="Busy")
    event = UserPresenceEvent(user_id="u", source_id="s")
    assert (event.event_id, event.event_date_time) == (UNSET, UNSET)


def test_an_answer_without_errors_lists_nothing():
    """No errors and no failures until it is given some."""
    assert BatchEventResponse() == BatchEventResponse(errors=(), failures=())
    assert repr(EventError(retryable=False)) == "EventError(retryable=False)"
