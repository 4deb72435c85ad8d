"""What the organization tells of an accepted change."""

import pytest

from presence_async.simulator.changes import Change
from presence_async.simulator.sources import PrimarySource


@pytest.mark.parametrize(
    ("before", "after", "switches"),
    [("PURECLOUD", "teams", True), ("PURECLOUD", "PureCloud", False), ("x", "x", False)],
)
def test_a_switch_of_the_primary_source(before: str, after: str, *, switches: bool):
    """A change switches the primary source when its name differs by more than case."""
    change = Change(
        user_id="a",
        presence=None,
        primary_before=PrimarySource(before),
        primary=PrimarySource(after),
    )
    assert change.switches_primary is switches
