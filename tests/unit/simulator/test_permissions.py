"""Permissions: all, any, per division."""

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.permissions import Need, missing_division, needs_all, needs_any


def refusal(need: Need, granted: set[str]):
    """Return the refusal of a need."""
    with pytest.raises(ApiError) as caught:
        need.check(granted)
    assert caught.value.status == 403
    return caught.value


def test_all_permissions():
    """Every permission is needed, and the missing ones are named."""
    need = needs_all("a:b:view", "a:b:edit")
    need.check({"a:b:view", "a:b:edit", "c"})
    error = refusal(need, {"a:b:view"})
    assert error.code == "missing.permissions"
    assert "following permission(s): a:b:edit" in error.message


def test_any_permission():
    """One permission is enough, and all are named when none is there."""
    need = needs_any("a:b:delete", "a:b:edit")
    need.check({"a:b:edit"})
    error = refusal(need, set())
    assert error.code == "missing.any.permissions"
    assert error.message.endswith("permissions assigned: [a:b:delete, a:b:edit]")


def test_division():
    """A division without the permission has a code of its own."""
    error = missing_division("a:b:view", "d-1")
    assert (error.status, error.code) == (403, "missing.division.permission")
    assert error.params == {"permissions": "a:b:view", "divisionId": "d-1"}
