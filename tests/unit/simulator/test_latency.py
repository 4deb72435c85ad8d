"""Distributions of delays."""

import functools
import math
import statistics

import pytest

from presence_async.simulator.faults import Fault
from presence_async.simulator.latency import Latency, exponential, lognormal, uniform

MAKERS = {
    "uniform": functools.partial(uniform, 0.1, 0.5),
    "exponential": functools.partial(exponential, 0.2),
    "lognormal": functools.partial(lognormal, 0.2, 0.5),
}


def drawn(latency: Latency, count: int = 4000):
    """Return some delays."""
    return [latency() for _ in range(count)]


@pytest.mark.parametrize("name", MAKERS)
def test_delays_repeat(name: str):
    """The same seed gives the same delays, another seed others, and none is negative."""
    maker = MAKERS[name]
    first = drawn(maker(seed=3))
    assert first == drawn(maker(seed=3)) != drawn(maker(seed=4))
    assert drawn(maker()) == drawn(maker(seed=0))
    assert min(first) >= 0
    assert len(set(first)) > 3900


def test_distributions_have_their_shape():
    """Bounds, mean and median are what was asked for."""
    even = drawn(uniform(0.1, 0.5))
    assert 0.1 <= min(even) < 0.11
    assert 0.49 < max(even) <= 0.5
    assert statistics.mean(even) == pytest.approx(0.3, rel=0.05)
    short = drawn(exponential(0.2))
    assert statistics.mean(short) == pytest.approx(0.2, rel=0.05)
    assert statistics.median(short) == pytest.approx(0.2 * math.log(2), rel=0.1)
    tailed = drawn(lognormal(0.2, 0.5))
    assert statistics.median(tailed) == pytest.approx(0.2, rel=0.05)
    within = [0.2 / math.exp(0.5) < delay < 0.2 * math.exp(0.5) for delay in tailed]
    assert statistics.mean(within) == pytest.approx(0.68, abs=0.03)


def test_nothing_to_vary():
    """Without spread the delay is constant, and zero stays zero."""
    assert set(drawn(uniform(2, 2), 9)) == {2}
    assert set(drawn(lognormal(2, 0), 9)) == {2}
    assert set(drawn(exponential(0), 9)) == {0}


def test_the_repr_is_the_call():
    """A failing test shows what was asked for."""
    assert repr(uniform(0.1, 0.5)) == "uniform(low=0.1, high=0.5, seed=0)"
    assert repr(exponential(2, seed=7)) == "exponential(mean=2, seed=7)"
    assert repr(lognormal(0.2, 1.5)) == "lognormal(median=0.2, sigma=1.5, seed=0)"
    assert "delay=exponential(mean=2, seed=0)" in repr(Fault(delay=exponential(2)))


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("low", lambda value: uniform(value, 1)),
        ("high", lambda value: uniform(0, value)),
        ("mean", exponential),
        ("median", lambda value: lognormal(value, 1)),
        ("sigma", lambda value: lognormal(1, value)),
    ],
)
def test_impossible_parameters(name: str, maker: functools.partial, value: float):
    """A parameter that is negative, infinite or no number is refused by name."""
    with pytest.raises(ValueError, match=f"^{name} must be"):
        maker(value)


def test_bounds_in_the_wrong_order():
    """A highest delay below the lowest is refused."""
    with pytest.raises(ValueError, match=r"^high must not be below low"):
        uniform(2, 1)
