"""Sums of hours say what their requests say, whatever is written and deleted meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from mmrouter.dashboard.grid import grid
from mmrouter.dashboard.series import series
from mmrouter.tracker import schema, sqlite, sums
from mmrouter.tracker.analytics import By, detail, stats
from mmrouter.tracker.facts import ANSWERS, CALLS, KINDS, REQUESTS
from mmrouter.tracker.late import HOUR_S, due, late_hours
from mmrouter.tracker.records import Record, to_record
from mmrouter.tracker.savings import savings
from mmrouter.tracker.store import Filter, Store, open_store
from mmrouter.tracker.sums import gather, sum_up
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
from tests.support.configs import config_for

BEGIN = 1_700_000_000 // HOUR_S * HOUR_S + 0.0
RATES = Rates(input=1_000, output=2_000, cache_read=100, cache_write=1_000, reasoning=2_000)
DEAR = Rates(input=3_000, output=9_000, cache_read=300, cache_write=3_000, reasoning=9_000)
TIERS = Price(tiers=((0, RATES), (900, DEAR)), source="config")
LATER = BEGIN + 1_000 * HOUR_S


def outcome(dice: random.Random, started: float) -> Outcome:
    """Any request: answered, failed, refused, of unknown price, cascaded, classified or not."""
    names = dice.choice([["small"], ["big"], ["small", "big"], ["big", "big"], []])
    ends = dice.choice([Status.OK, Status.OK, Status.CANCELLED, Status.FAILED])
    last = {Status.OK: AttemptStatus.OK, Status.CANCELLED: AttemptStatus.CANCELLED}.get(
        ends, AttemptStatus.FAILED
    )
    attempts = tuple(
        Attempt(
            target=Target(
                name=name,
                provider=dice.choice(["corp", "local"]),
                kind="openai",
                upstream=name,
                price=TIERS,
            ),
            role=dice.choice([Role.ROUTE, Role.CASCADE, Role.LOCAL, Role.CLASSIFIER]),
            status=last if place == len(names) - 1 else AttemptStatus.REJECTED,
            usage=Usage(
                input_tokens=dice.choice([10, 1_000]),
                cache_read_tokens=dice.randrange(50),
                output_tokens=dice.randrange(300),
            ),
            cost_nanos=dice.choice([None, 7, 1_000, 123_456]),
            started=started,
            latency_ms=float(dice.randrange(2_000)),
        )
        for place, name in enumerate(names)
    )
    costs = [attempt.cost_nanos for attempt in attempts]
    label = Classification(
        complexity=dice.choice(list(Complexity)),
        category=dice.choice(list(Category)),
        confidence=0.9,
        difficulty=0.1,
        strategy="rules",
    )
    return Outcome(
        request=Request(
            id=f"req_{dice.randbytes(16).hex()}",
            surface=dice.choice([Surface.CHAT, Surface.QUALITY]),
            dialect=Dialect.CHAT,
            model="auto",
            body={},
            key_name=dice.choice([None, "k1", "k2"]),
            tags=dice.choice([(), ("a",), ("a", "b")]),
            session=dice.choice([None, "s"]),
        ),
        plan=Plan(
            classification=dice.choice([label, None]),
            candidates=(),
            needs=Needs(input_tokens=1, input_bound=1),
            escalated=dice.random() < 0.2,
        ),
        attempts=attempts,
        status=ends if names else Status.REFUSED,
        started=started,
        latency_ms=float(dice.randrange(3_000)),
        ttft_ms=dice.choice([None, 5.0]),
        overhead_ms=0.5,
        cost_nanos=None if None in costs else sum(c for c in costs if c is not None),
    )


def records(dice: random.Random, number: int, hours: range) -> list[Record]:
    return [
        to_record(outcome(dice, BEGIN + (dice.choice(hours) + dice.random()) * HOUR_S))
        for _ in range(number)
    ]


@pytest.fixture
def store(books_url: str) -> Iterator[Store]:
    store = open_store(books_url)
    store.write(records(random.Random(0), 300, range(12)))
    yield store
    store.close()


def sum_all(store: Store) -> int:
    hours = 0
    while sum_up(store, LATER):
        hours += 1
    return hours


FILTERS = [
    Filter(),
    Filter(since=BEGIN + 1.5 * HOUR_S, until=BEGIN + 7.25 * HOUR_S),
    Filter(since=BEGIN + 3 * HOUR_S),
    Filter(until=BEGIN + 3 * HOUR_S),
    Filter(since=BEGIN + 2.1 * HOUR_S, until=BEGIN + 2.9 * HOUR_S),
    Filter(tag="b", key_name="k1"),
    Filter(model="big", status="ok"),
    Filter(category="code", complexity="simple"),
    Filter(session="s"),
    Filter(min_cost_nanos=1_000),
]


def everything(store: Store, filter: Filter, *, by_hour: bool) -> list[Any]:
    """All measures by all dimensions, of every kind of facts."""
    return [
        gather(
            store,
            facts,
            filter,
            lambda found, facts=facts: [  # type: ignore[misc]
                found[name] for name in (*schema.DIMENSIONS, *facts.marks)
            ],
            facts.measures,
            by_hour=by_hour,
        )
        for facts in KINDS
    ]


def agree(store: Store) -> None:
    """Sums say what the rows say."""
    for filter in FILTERS:
        assert everything(store, filter, by_hour=True) == everything(
            store, filter, by_hour=False
        ), filter
    assert store.verify() == []


def test_sums_agree_with_rows_through_late_rows_and_deletions(store: Store) -> None:
    agree(store)
    assert sum_up(store, LATER)
    agree(store)  # one hour is summed up, eleven are not
    assert sum_all(store) == 11
    agree(store)
    dice = random.Random(1)
    store.write(records(dice, 40, range(-2, 20)))  # late, before the first hour and after the last
    agree(store)
    assert store.prune(older_than=BEGIN + 4.5 * HOUR_S)
    agree(store)
    assert sum_up(store, LATER)
    store.write(records(dice, 5, range(3)))
    agree(store)
    sum_all(store)
    agree(store)
    with store.read() as connection:
        assert connection.execute(select(schema.stale_hours)).all() == []
        hours = connection.execute(select(schema.request_sums.c.hour).distinct()).all()
    assert len(hours) > 10


def test_every_answer_is_the_same_whatever_is_summed_up(store: Store) -> None:
    config = config_for({"small": "http://127.0.0.1:1"})

    def answers() -> list[Any]:
        found: list[Any] = []
        zones = [ZoneInfo(name) for name in ("UTC", "Europe/Rome", "Asia/Kolkata")]
        for filter, zone in product(FILTERS[:2], zones):
            found += [stats(store, filter, by=by, zone=zone) for by in By]
            found += [detail(store, filter, zone=zone)]
            found += [series(store, filter, zone=zone, now=BEGIN + 30 * HOUR_S)]
        for filter in FILTERS:
            found += [savings(store, filter, baseline="big", price=TIERS)]
            rows = grid(store, filter, config)["answers"]
            found += [sorted(rows, key=str)]
        return found

    before = answers()
    sum_all(store)
    assert answers() == before


def test_long_prompts_are_priced_by_their_own_tier(store: Store) -> None:
    """In one sum there may be prompts of both tiers, whose share no sum could tell."""
    flat = replace(TIERS, tiers=TIERS.tiers[:1])
    sum_all(store)
    found = savings(store, Filter(), baseline="big", price=TIERS)
    assert (
        found.baseline_nanos > savings(store, Filter(), baseline="big", price=flat).baseline_nanos
    )


def test_who_sums_up_at_the_same_time_counts_nothing_twice(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sum_all(store), range(4)))
    agree(store)


def test_a_wrong_sum_is_found(store: Store) -> None:
    sum_all(store)
    sums_of = schema.request_sums
    with store.change() as connection:
        hour = connection.execute(select(sums_of.c.hour).limit(1)).scalar_one()
        connection.execute(
            update(sums_of).where(sums_of.c.hour == hour).values(cost_nanos=1, requests=5)
        )
    (fault,) = store.verify()
    assert fault.kind == "hour"
    assert fault.request_id.startswith("2023-11-1")


def test_an_hour_waits_until_its_rows_are_in(store: Store) -> None:
    assert not sum_up(store, BEGIN + 2 * HOUR_S)
    assert not sum_up(store, BEGIN + 3 * HOUR_S - 1)
    assert sum_up(store, BEGIN + 3 * HOUR_S)


@given(
    started=st.floats(0, 4e9),
    writer=st.floats(0, 4e9),
    clocks=st.floats(-HOUR_S + 1, HOUR_S - 1),
)
def test_a_row_is_late_or_its_hour_not_due(started: float, writer: float, clocks: float) -> None:
    """Also where the clock of who sums up differs by up to an hour."""
    record = to_record(outcome(random.Random(0), started))
    hour = int(started // HOUR_S)
    if due(hour, writer + clocks):
        assert late_hours([record], writer) == {hour}


def test_a_long_table_is_read_in_halves(books_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "SLICED_FROM", 10)
    store = open_store(books_url)
    store.write(records(random.Random(0), 100, range(12)))
    read = []
    each = REQUESTS.each
    monkeypatch.setattr(sums, "_THREADS", 2)
    watched = replace(REQUESTS, each=lambda where: [read.append(len(where)), *each(where)][1:])
    (found,) = gather(store, watched, Filter(), lambda facts: [], ["requests"]).values()
    assert found == [100]
    assert len(read) == (2 if books_url.startswith("sqlite") else 1)
    store.close()


def test_calls_and_answers_are_what_the_requests_caused(store: Store) -> None:
    sum_all(store)
    (requests,) = gather(store, REQUESTS, Filter(), lambda _: [], ["requests", "unpriced"]).values()
    (calls,) = gather(store, CALLS, Filter(), lambda _: [], ["calls"]).values()
    (answers,) = gather(store, ANSWERS, Filter(), lambda _: [], ["requests"]).values()
    with store.read() as connection:
        attempts = connection.execute(select(schema.attempts.c.request_id)).all()
    assert calls == [len(attempts)]
    assert requests[0] == 300
    assert answers[0] <= requests[0] - requests[1]
