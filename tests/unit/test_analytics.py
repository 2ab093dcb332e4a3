"""Percentiles, days and savings: the parts that need no database."""

from __future__ import annotations

import random
from bisect import bisect_right
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.money import breakdown
from mmrouter.tracker.analytics import Percentiles, percentiles
from mmrouter.tracker.instants import offsets
from mmrouter.tracker.savings import ENOUGH, Bucket, Lengths, Spent, estimate
from mmrouter.types import Price, Rates, Usage

RATES = Rates(
    input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000,
    reasoning=15_000_000,
)  # fmt: skip
PRICE = Price(tiers=((0, RATES),), source="config")
CODE: Bucket = ("simple", "code")


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_percentile_is_a_value_that_its_share_does_not_exceed(values: list[float]) -> None:
    found = percentiles(values)
    for share, value in ((0.5, found.p50), (0.95, found.p95), (0.99, found.p99)):
        assert value in values
        assert sum(v <= value for v in values) >= share * len(values)
        assert sum(v < value for v in values) < share * len(values)


def test_nothing_measured_has_no_percentile() -> None:
    assert percentiles([]) == Percentiles()


@pytest.mark.parametrize("zone", ["Europe/Rome", "America/New_York", "Australia/Lord_Howe", "UTC"])
@given(st.floats(0, 1))
def test_offsets_put_every_instant_on_its_own_day(zone: str, share: float) -> None:
    first = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
    last = datetime(2026, 12, 31, tzinfo=UTC).timestamp()
    pieces = offsets(ZoneInfo(zone), first, last)
    instant = first + share * (last - first)
    offset = pieces[bisect_right([begin for begin, _ in pieces], instant) - 1][1]
    day = datetime.fromtimestamp(instant + offset, UTC).date()
    assert day == datetime.fromtimestamp(instant, ZoneInfo(zone)).date()


def spent(model: str | None, *, output: int = 100, cost: int = 1_000, **more: object) -> Spent:
    usage = Usage(input_tokens=1_000, output_tokens=output) if model else Usage()
    return Spent(  # type: ignore[arg-type]
        **{"bucket": CODE, "cost_nanos": cost, "model": model, "usage": usage, "answer_nanos": 900}
        | more
    )


def test_an_answer_of_the_baseline_saves_nothing_and_its_overhead_is_a_loss() -> None:
    found = estimate([spent("big")], {}, baseline="big", price=PRICE)
    assert (found.measured.requests, found.saved_nanos) == (1, -100)
    assert found.interval_nanos == (-100, -100)


def test_a_request_that_nobody_answered_is_a_loss() -> None:
    found = estimate([spent(None, cost=777)], {}, baseline="big", price=PRICE)
    assert (found.failed.requests, found.saved_nanos) == (1, -777)


def test_what_we_asked_ourselves_is_a_loss_whoever_answered() -> None:
    asked = [spent("big", cost=500, aside=True), spent("small", cost=300, aside=True)]
    found = estimate(asked, {}, baseline="big", price=PRICE)
    assert (found.aside.requests, found.saved_nanos) == (2, -800)


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=20))
def test_a_group_counts_as_its_requests_do(lengths: list[int]) -> None:
    alone = [spent("small", output=length) for length in lengths]
    total = Usage(input_tokens=1_000 * len(lengths), output_tokens=sum(lengths))
    group = spent("small", cost=1_000 * len(lengths), usage=total, count=len(lengths))
    for known in ({}, {CODE: Lengths(count=ENOUGH, mean=500.0, variance=10.0)}):
        one = estimate(alone, known, baseline="big", price=PRICE)
        all_ = estimate([group], known, baseline="big", price=PRICE)
        assert all_.baseline_nanos == one.baseline_nanos
        assert all_.error_nanos == pytest.approx(one.error_nanos)


def test_the_baselines_own_length_is_used_from_enough_answers_on() -> None:
    few = Lengths(count=ENOUGH - 1, mean=500.0, variance=10.0)
    many = Lengths(count=ENOUGH, mean=500.0, variance=10.0)
    guessed = estimate([spent("small")], {CODE: few}, baseline="big", price=PRICE)
    expected = estimate([spent("small")], {CODE: many}, baseline="big", price=PRICE)
    assert (guessed.guessed.requests, expected.estimated.requests) == (1, 1)
    assert guessed.baseline_nanos == 1_000 * 3_000 + 100 * 15_000
    assert expected.baseline_nanos == 1_000 * 3_000 + 500 * 15_000


def test_a_prompt_in_a_higher_tier_is_priced_there() -> None:
    doubled = Rates(
        input=6_000_000, output=30_000_000, cache_read=0, cache_write=0, reasoning=30_000_000
    )
    tiered = Price(tiers=((0, RATES), (1_000, doubled)), source="config")
    found = estimate([spent("small")], {}, baseline="big", price=tiered)
    assert found.baseline_nanos == 1_000 * 6_000 + 100 * 30_000


@given(st.lists(st.sampled_from(["big", "small", None]), max_size=30), st.randoms())
def test_parts_add_up_in_any_order(models: list[str | None], rng: random.Random) -> None:
    requests = [spent(model, cost=100 * n) for n, model in enumerate(models)]
    found = estimate(requests, {}, baseline="big", price=PRICE)
    rng.shuffle(requests)
    assert estimate(requests, {}, baseline="big", price=PRICE) == found
    assert found.spent_nanos == sum(request.cost_nanos for request in requests)
    low, high = found.interval_nanos
    assert low <= found.saved_nanos <= high


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(7)

    def length() -> int:
        return max(1, round(rng.gauss(400, 120)))

    covered, rounds = 0, 400
    for _ in range(rounds):
        own = [length() for _ in range(40)]
        mean = sum(own) / len(own)
        variance = sum((n - mean) ** 2 for n in own) / (len(own) - 1)
        lengths = {CODE: Lengths(count=len(own), mean=mean, variance=variance)}
        requests = [spent("small", output=rng.randint(1, 900)) for _ in range(200)]
        truth = sum(
            breakdown(PRICE, Usage(input_tokens=1_000, output_tokens=length())).total - 1_000
            for _ in requests
        )
        low, high = estimate(requests, lengths, baseline="big", price=PRICE).interval_nanos
        covered += low <= truth <= high
    assert 0.91 <= covered / rounds <= 0.98
