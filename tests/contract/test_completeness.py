"""No operation is forgotten: each has a test that bears its name in the vendor's SDK."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from contract.vendor import SDK

TESTS = {
    node.name.removeprefix("test_")
    for file in Path(__file__).parent.glob("test_*.py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef)
}
NEIGHBOURS = {
    "UsersApi": {"get_users", "get_users_me"},
    "EventsApi": {"post_events_users_presence"},
    "IntegrationsApi": {"put_integrations_unifiedcommunication_thirdpartypresences"},
}


def operations(api: str) -> set[str]:
    """The operations of one of the SDK's classes."""
    return {name for name in vars(getattr(SDK, api)) if not name.startswith("_")}


@pytest.mark.parametrize(("api", "count"), [("PresenceApi", 27), ("NotificationsApi", 8)])
def test_every_operation_is_tested(api: str, count: int):
    """All of the Presence API and all of the Notifications API."""
    assert len(operations(api)) == count
    assert operations(api) <= TESTS


@pytest.mark.parametrize("api", NEIGHBOURS)
def test_every_neighbour_is_tested(api: str):
    """The four neighbours exist in the SDK and have their tests."""
    assert NEIGHBOURS[api] <= operations(api) & TESTS
