"""The organization's presence settings, requests and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from presence_async import InvalidRequestError, PresenceSettings, RestorePresenceSettings

if TYPE_CHECKING:
    from fake_http import FakeApi

SETTINGS: dict[str, Any] = {
    "restorePresenceSettings": {
        "enabled": True,
        "restoreTimeMilliseconds": 60000,
        "restoreOnQueueEnabled": False,
        "unheardOf": None,
    },
    "requestingOffQueueEnabled": False,
    "new": ["field"],
}
PATH = "/api/v2/presence/settings"


async def test_read_evolve_replace(api: FakeApi) -> None:
    """Unknown fields survive at every level, and no null is added."""
    api.answer("GET", SETTINGS)
    api.answer("PUT", SETTINGS)
    settings = await api.client.settings.get()
    replaced = await api.client.settings.replace(
        attrs.evolve(settings, requesting_off_queue_enabled=True)
    )
    assert replaced.restore_presence_settings == settings.restore_presence_settings
    assert api.lines == [f"GET {PATH}", f"PUT {PATH}"]
    assert api.last.json == SETTINGS | {"requestingOffQueueEnabled": True}


async def test_replace_from_scratch(api: FakeApi) -> None:
    """A body made by hand holds what it was given."""
    api.answer("PUT", SETTINGS)
    await api.client.settings.replace(
        PresenceSettings(
            restore_presence_settings=RestorePresenceSettings(
                enabled=False, restore_time_milliseconds=60000, restore_on_queue_enabled=True
            )
        )
    )
    assert api.last.json == {
        "restorePresenceSettings": {
            "enabled": False,
            "restoreTimeMilliseconds": 60000,
            "restoreOnQueueEnabled": True,
        }
    }


@pytest.mark.parametrize("bad", [None, {}, SETTINGS])
async def test_bad_bodies_are_refused(api: FakeApi, bad: Any) -> None:
    """Only PresenceSettings are a body."""
    with pytest.raises(InvalidRequestError) as caught:
        await api.client.settings.replace(bad)
    assert caught.value.field == "settings"
    assert api.sent == []
