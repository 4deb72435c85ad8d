"""Checks of options."""

import math
from typing import Any, Literal

import attrs
import pytest

from presence_async.simulator.checks import check_by_type, number, one_of, whole


@attrs.frozen
class Options:
    """One field of each kind."""

    share: Any = attrs.field(default=0.5, validator=number(0, 1))
    delay: Any = attrs.field(default=0.5, validator=number(0, optional=True, called=True))
    count: Any = attrs.field(default=3, validator=whole(1))
    limit: Any = attrs.field(default=3, validator=whole(1, optional=True))
    kind: Any = attrs.field(default="a", validator=one_of("a", "b"))


@attrs.frozen
class Typed:
    """Fields that are judged by their declared types."""

    count: int = 1
    limit: int | None = None
    seconds: float = 1.5
    flag: bool = False
    status: Literal[200, 204] = 200

    def __attrs_post_init__(self) -> None:
        """Judge them."""
        check_by_type(self)


@pytest.mark.parametrize(
    "right",
    [{"share": 0}, {"share": 1.0}, {"delay": None}, {"delay": math.pi.hex}, {"limit": None},
     {"count": 10**9}, {"kind": "b"}],
)  # fmt: skip
def test_right_values(right: dict[str, Any]):
    """Values in range pass, None and callables where they are expected."""
    assert getattr(Options(**right), next(iter(right))) == next(iter(right.values()))


@pytest.mark.parametrize(
    "wrong",
    [{"share": None}, {"share": math.pi.hex}, {"count": None}, {"delay": -1}, {"limit": 0},
     {"share": -0.1}, {"share": 1.1}, {"share": math.nan}, {"share": "1"}, {"share": True},
     {"count": 0}, {"count": 1.0}, {"count": math.inf}, {"count": "3"}, {"kind": "c"},
     {"kind": None}],
)  # fmt: skip
def test_wrong_values(wrong: dict[str, Any]):
    """Anything else is refused with the name of the field."""
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be"):
        Options(**wrong)


def test_right_types():
    """Each type takes its values, an optional one None as well."""
    assert Typed(count=0, limit=5, seconds=0, flag=True, status=204).limit == 5
    assert Typed(limit=None).limit is None


@pytest.mark.parametrize(
    "wrong",
    [{"count": -1}, {"count": None}, {"count": True}, {"limit": "1"}, {"seconds": -0.5},
     {"seconds": math.inf}, {"flag": 1}, {"flag": "no"}, {"status": 200.0}, {"status": 201}],
)  # fmt: skip
def test_wrong_types(wrong: dict[str, Any]):
    """A value that does not fit the type of its field is refused with the field's name."""
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be"):
        Typed(**wrong)
