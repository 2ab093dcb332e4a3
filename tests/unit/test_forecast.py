"""What a month will have cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.forecast import forecast

DAY = 86_400.0


def test_days_that_are_alike_go_on_like_that() -> None:
    found = forecast(1_000, [100] * 10, now=10 * DAY, start=0, end=30 * DAY)
    assert found is not None
    assert (found.nanos, found.low, found.high) == (3_000, 3_000, 3_000)


def test_without_full_days_the_time_gone_by_is_the_measure() -> None:
    found = forecast(50, [], now=0.5 * DAY, start=0, end=2 * DAY)
    assert found is not None
    assert (found.nanos, found.low) == (200, None)
    assert forecast(0, [], now=0, start=0, end=DAY) is None


@given(
    settled=st.integers(0, 10**12),
    days=st.lists(st.integers(0, 10**11), min_size=3, max_size=20),
    gone=st.floats(0, 30),
)
def test_a_month_never_costs_less_than_it_has_cost(
    settled: int, days: list[int], gone: float
) -> None:
    found = forecast(settled, days, now=gone * DAY, start=0, end=30 * DAY)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert settled <= found.low <= found.nanos <= found.high


@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=20))
def test_the_more_time_is_left_the_less_is_sure(days: list[int]) -> None:
    wide = forecast(0, days, now=5 * DAY, start=0, end=30 * DAY)
    narrow = forecast(0, days, now=25 * DAY, start=0, end=30 * DAY)
    assert wide is not None
    assert narrow is not None
    assert wide.high is not None
    assert narrow.high is not None
    assert narrow.high - narrow.nanos <= wide.high - wide.nanos
