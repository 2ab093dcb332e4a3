"""Statistics, savings and exports over real rows, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from mmrouter.tracker import analytics
from mmrouter.tracker.analytics import By, detail, stats
from mmrouter.tracker.export import to_jsonl, to_parquet
from mmrouter.tracker.records import to_record
from mmrouter.tracker.savings import savings
from mmrouter.tracker.store import Filter, Store, open_store
from mmrouter.types import (
    Attempt,
    AttemptStatus,
    Category,
    Classification,
    Complexity,
    Dialect,
    Needs,
    Outcome,
    Plan,
    Price,
    Rates,
    Request,
    Role,
    Status,
    Surface,
    Target,
    Usage,
)

ROME = ZoneInfo("Europe/Rome")
RATES = Rates(input=1_000, output=2_000, cache_read=100, cache_write=1_000, reasoning=2_000)
PRICE = Price(tiers=((0, RATES),), source="config")


def outcome(number: int) -> Outcome:
    """Every third request falls back from "small" to "big"; every tenth fails."""
    hour = datetime(2026, 3, 28, 12, tzinfo=ROME).timestamp() + number * 3600
    failed = number % 10 == 9
    names = ["small", "big"] if number % 3 == 0 else ["small"]
    attempts = tuple(
        Attempt(
            target=Target(name=name, provider="corp", kind="openai", upstream=name, price=PRICE),
            role=Role.ROUTE,
            status=AttemptStatus.FAILED if failed or name != names[-1] else AttemptStatus.OK,
            usage=Usage(input_tokens=100, cache_read_tokens=10, output_tokens=number),
            cost_nanos=101 + 2 * number,
            started=hour,
            latency_ms=9.0,
        )
        for name in names
    )
    classification = Classification(
        complexity=Complexity.SIMPLE if number % 2 else Complexity.COMPLEX,
        category=Category.CODE, confidence=0.9, difficulty=0.1, strategy="rules",
    )  # fmt: skip
    return Outcome(
        request=Request(
            id=f"req_{number:032x}",
            surface=Surface.CHAT,
            dialect=Dialect.CHAT,
            model="auto",
            body={},
            key_name=f"team-{number % 2}",
            tags=("all", f"t{number % 2}") if number % 4 else (),
        ),
        plan=Plan(
            classification=classification, candidates=(), needs=Needs(input_tokens=1, input_bound=1)
        ),
        attempts=attempts,
        status=Status.FAILED if failed else Status.OK,
        started=hour,
        latency_ms=float(number),
        ttft_ms=None if failed else number / 2,
        overhead_ms=0.5,
        cost_nanos=sum(a.cost_nanos or 0 for a in attempts),
    )


OUTCOMES = [outcome(number) for number in range(60)]


@pytest.fixture
def store(books_url: str) -> Iterator[Store]:
    store = open_store(books_url)
    store.write([to_record(one) for one in OUTCOMES])
    yield store
    store.close()


def cost(outcomes: list[Outcome]) -> int:
    return sum(one.cost_nanos or 0 for one in outcomes)


def test_totals_are_the_same_however_they_are_grouped(store: Store) -> None:
    expected = stats(store, Filter(), by=By.MODEL).total
    assert (expected.requests, expected.cost_nanos) == (60, cost(OUTCOMES))
    assert expected.fallbacks == sum(one.fallback_used for one in OUTCOMES)
    assert expected.failed == 6
    assert expected.average_latency_ms == pytest.approx(29.5)
    assert expected.prompt_tokens == 110 * sum(len(one.attempts) for one in OUTCOMES)
    for by in By:
        assert stats(store, Filter(), by=by, zone=ROME).total == expected, by


def test_groups_hold_what_belongs_to_them(store: Store) -> None:
    models = stats(store, Filter(), by=By.MODEL).groups
    assert models["big"].cost_nanos == cost(
        [o for o in OUTCOMES if o.answered and o.answered.target.name == "big"]
    )
    assert models[None].requests == 6
    tags = stats(store, Filter(), by=By.TAG).groups
    assert tags["all"].requests == sum(bool(o.request.tags) for o in OUTCOMES)
    keys = stats(store, Filter(tag="t1"), by=By.KEY).groups
    assert set(keys) == {"team-1"}


def test_days_begin_where_the_zone_says_also_when_clocks_change(store: Store) -> None:
    days = stats(store, Filter(), by=By.DAY, zone=ROME).groups
    assert {day: totals.requests for day, totals in days.items()} == {
        "2026-03-28": 12,
        "2026-03-29": 23,  # clocks went forward
        "2026-03-30": 24,
        "2026-03-31": 1,
    }


def test_a_window_without_requests_is_empty_and_not_an_error(store: Store) -> None:
    for by in By:
        found = stats(store, Filter(until=0.0), by=by)
        assert (found.total.requests, found.groups) == (0, {})
        assert found.total.average_latency_ms is None
    assert detail(store, Filter(until=0.0)).latency.p50 is None


def test_detail_shows_buckets_days_and_percentiles(store: Store) -> None:
    found = detail(store, Filter(), zone=ROME)
    assert found.buckets == {("simple", "code"): 30, ("complex", "code"): 30}
    assert len(found.days) == 4
    assert (found.latency.p50, found.latency.p95, found.latency.p99) == (29.0, 56.0, 59.0)
    assert found.ttft.p99 == 29.0
    assert not found.sampled


def test_many_requests_are_sampled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analytics, "SAMPLE_ABOVE", 10)
    found = detail(store, Filter())
    assert found.sampled
    assert found.latency.p99 == 48.0  # ids ...0, ...10, ...20 and ...30 in hex


def test_savings_count_everything_that_was_spent(store: Store) -> None:
    found = savings(store, Filter(), baseline="big", price=PRICE)
    assert found.spent_nanos == cost(OUTCOMES)
    assert found.measured.requests == sum(
        o.answered is not None and o.answered.target.name == "big" for o in OUTCOMES
    )
    assert found.failed.requests == 6
    assert found.failed.spent_nanos == cost([o for o in OUTCOMES if o.status is Status.FAILED])
    assert found.guessed.baseline_nanos == sum(
        o.answered.cost_nanos or 0
        for o in OUTCOMES
        if o.answered and o.answered.target.name == "small"
    )
    assert found.excluded == 0


def test_savings_use_the_baselines_own_lengths(store: Store) -> None:
    """25 answers of "big" with 1,000 tokens each in a bucket of their own."""
    bucket = Classification(
        complexity=Complexity.MEDIUM, category=Category.FACTUAL, confidence=1.0, difficulty=0.5,
        strategy="rules",
    )  # fmt: skip
    more = []
    for number in range(30):
        one = outcome(1)
        name = "big" if number < 25 else "small"
        answer = replace(
            one.attempts[0],
            target=replace(one.attempts[0].target, name=name),
            usage=Usage(input_tokens=10, output_tokens=1_000 if name == "big" else 5),
        )
        assert one.plan is not None
        more.append(
            replace(
                one,
                request=replace(one.request, id=f"req_more_{number}"),
                plan=replace(one.plan, classification=bucket),
                attempts=(answer,),
                started=3e9,
            )
        )
    store.write([to_record(one) for one in more])
    found = savings(store, Filter(since=2e9), baseline="big", price=PRICE)
    assert (found.measured.requests, found.estimated.requests) == (25, 5)
    assert found.estimated.baseline_nanos == 5 * (10 + 2 * 1_000)
    assert found.error_nanos == 0.0  # all answers had the same length


def test_an_export_holds_every_request(store: Store, tmp_path: Path) -> None:
    assert to_jsonl(store, Filter(), tmp_path / "books.jsonl") == 60
    lines = [json.loads(line) for line in (tmp_path / "books.jsonl").open()]
    assert [line["id"] for line in lines] == [one.request.id for one in OUTCOMES]
    assert sum(a["cost_nanos"] for line in lines for a in line["attempts"]) == cost(OUTCOMES)
    assert lines[1]["tags"] == ["all", "t1"]
    assert to_parquet(store, Filter(key_name="team-1"), tmp_path / "books.parquet") == 30
    table = pq.read_table(tmp_path / "books.parquet")
    assert table.column("cost_nanos").to_pylist() == [o.cost_nanos for o in OUTCOMES[1::2]]
