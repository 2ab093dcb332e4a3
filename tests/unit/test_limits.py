"""Periods, limits and tiers: pure, so tested on plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mmrouter.config import Config
from mmrouter.decide.budget import (
    MOST_NANOS,
    Balance,
    Limit,
    Scope,
    Span,
    all_limits,
    limited,
    limits_of,
    period,
    standing,
    tier,
)
from mmrouter.decide.plan import Spending
from tests.support.configs import one_route

UTC = ZoneInfo("UTC")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
SKIPS_MIDNIGHT = (
    "Africa/Cairo",
    "America/Santiago",
    "Asia/Beirut",
    "America/Havana",
    "Pacific/Apia",
)


@given(
    now=st.floats(0, 4e9, allow_nan=False),
    zone=st.sampled_from(ZONES + SKIPS_MIDNIGHT).map(ZoneInfo),
    span=st.sampled_from(list(Span)),
)
def test_every_instant_lies_in_one_period_and_periods_leave_no_gap(
    now: float, zone: ZoneInfo, span: Span
) -> None:
    here = period(span, now, zone)
    assert here.start <= now < here.end
    following = period(span, here.end, zone)
    assert following.start == here.end
    assert following.label != here.label
    assert period(span, here.start, zone) == here


def instant(text: str, zone: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)]
)
def test_a_day_lasts_as_long_as_its_clocks_say(day: str, hours: int) -> None:
    found = period(Span.DAY, instant(f"{day}T15:00", "Europe/Berlin"), ZoneInfo("Europe/Berlin"))
    assert found.end - found.start == hours * 3600
    assert found.label == f"{day} Europe/Berlin"


def test_a_day_without_midnight_starts_when_the_clocks_skip_it() -> None:
    zone = ZoneInfo("Africa/Cairo")  # on 2024-04-26 the clocks went from 00:00 to 01:00
    found = period(Span.DAY, instant("2024-04-26T12:00", "Africa/Cairo"), zone)
    assert found.end - found.start == 23 * 3600
    assert datetime.fromtimestamp(found.start, zone).hour == 1


def test_a_month_ends_where_the_next_begins() -> None:
    found = period(Span.MONTH, instant("2028-02-29T23:59:59", "UTC"), UTC)
    assert found.label == "2028-02 UTC"
    assert found.end == instant("2028-03-01T00:00", "UTC")


NOW = instant("2026-11-23T12:00", "UTC")
PERIODS = tuple(period(span, NOW, UTC) for span in Span)
KEY = "sha256:" + "0" * 64


def config(**changes: Any) -> Config:
    return Config.model_validate({"routes": one_route("a"), **changes})


EVERYTHING = config(
    budget={
        "enabled": True,
        "daily_limit": 10,
        "monthly_limit": 100,
        "tags": {"batch": {"daily_limit": 0}, "eval": {"monthly_limit": 0.000000001}},
    },
    server={"keys": {"ann": {"hash": KEY, "daily_limit": 1}, "bob": {"hash": KEY}}},
)


def names(limits: tuple[Limit, ...]) -> list[str]:
    return [limit.title for limit in limits]


def test_a_request_falls_under_several_limits_at_once() -> None:
    found = limits_of(EVERYTHING, "ann", ["batch", "other", "batch"], PERIODS)
    assert names(found) == [
        "daily limit",
        "monthly limit",
        "daily limit of tag 'batch'",
        "daily limit of key 'ann'",
    ]
    assert [limit.nanos for limit in found] == [10 * 10**9, 100 * 10**9, 0, 10**9]
    assert len({limit.counter for limit in found}) == 4
    assert names(limits_of(EVERYTHING, "bob", [], PERIODS)) == ["daily limit", "monthly limit"]
    assert names(limits_of(EVERYTHING, None, ["eval"], PERIODS))[2:] == [
        "monthly limit of tag 'eval'"
    ]
    assert len(all_limits(EVERYTHING, PERIODS)) == 5


def test_a_keys_limit_holds_without_the_budget_and_zero_there_is_no_limit() -> None:
    assert not limited(config(budget={"daily_limit": 5}))
    assert not limited(config(budget={"enabled": True}))
    keys = config(server=EVERYTHING.server.model_dump())
    assert limited(keys)
    assert names(limits_of(keys, "ann", ["batch"], PERIODS)) == ["daily limit of key 'ann'"]


def test_no_limit_is_higher_than_what_is_compared_exactly() -> None:
    (limit,) = all_limits(config(budget={"enabled": True, "daily_limit": 1e12}), PERIODS)
    assert limit.nanos == MOST_NANOS


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "Europe"])
def test_a_zone_that_does_not_exist_is_a_fault_of_the_config(zone: str) -> None:
    with pytest.raises(ValidationError, match="time zone"):
        config(budget={"timezone": zone})


LIMIT = Limit(Scope.ALL, "", PERIODS[0], 1000)


@pytest.mark.parametrize(
    ("settled", "reserved", "expected"),
    [
        (0, 0, Spending.NORMAL),
        (749, 0, Spending.NORMAL),
        (750, 0, Spending.WARN),
        (700, 199, Spending.WARN),
        (700, 200, Spending.DOWNGRADE),
        (999, 0, Spending.DOWNGRADE),
        (0, 1000, Spending.CHEAPEST),
        (1000, 0, Spending.CHEAPEST),
    ],
)
def test_tiers_count_what_is_spent_and_what_is_promised(
    settled: int, reserved: int, expected: Spending
) -> None:
    assert tier(LIMIT, Balance(settled, reserved), EVERYTHING.budget) is expected


amounts = st.integers(0, 2_000)


@given(
    found=st.lists(
        st.tuples(
            st.integers(0, 2_000).map(lambda nanos: Limit(Scope.ALL, "", PERIODS[0], nanos)),
            st.builds(Balance, amounts, amounts),
        ),
        max_size=4,
    ),
    own=st.none() | amounts,
)
def test_the_tightest_limit_decides(found: list[tuple[Limit, Balance]], own: int | None) -> None:
    stands = standing(found, EVERYTHING.budget, own)
    order = list(Spending)
    tiers = [tier(limit, balance, EVERYTHING.budget) for limit, balance in found]
    assert all(order.index(stands.tier) >= order.index(one) for one in tiers)
    if not found and own is None:
        assert stands.room_nanos is None
    else:
        assert stands.room_nanos is not None
        assert stands.room_nanos >= 0
        for limit, balance in found:
            assert balance.committed + stands.room_nanos <= max(limit.nanos, balance.committed)
