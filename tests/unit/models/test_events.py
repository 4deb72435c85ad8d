"""Presences from outside."""

import pytest

from presence_async.models import (
    UNSET,
    BatchEventResponse,
    EventError,
    UCThirdPartyPresence,
    UserPresenceEvent,
)


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
