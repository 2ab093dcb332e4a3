"""Alerts in the books, on SQLite and PostgreSQL: one of many processes speaks, not too often."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mmrouter.alerts.facts import Look, recent, usual_hours
from mmrouter.alerts.rules import read
from mmrouter.router.budget import LimitBudget
from mmrouter.state.memory import MemoryCounters
from mmrouter.tracker import alerts
from mmrouter.tracker.records import to_record
from mmrouter.tracker.store import Store, open_store
from mmrouter.types import AttemptStatus, Dialect, Request, Status, Surface
from tests.contract.test_tracker_store import attempt, outcome
from tests.support.configs import config_for

NOW = 2_000_000_000.0


@pytest.fixture
def store(books_url: str) -> Iterator[Store]:
    store = open_store(books_url)
    yield store
    store.close()


def fire(
    store: Store, at: float, *, remind_s: float = 0.0, lasts: bool = True, subject: str = ""
) -> bool:
    number = alerts.raise_one(
        store, "error_rate", subject, "half fail", now=at, cooldown_s=300, remind_s=remind_s,
        lasts=lasts,
    )  # fmt: skip
    return number is not None


def test_of_many_who_find_it_at_once_one_speaks(books_url: str) -> None:
    stores = [open_store(books_url) for _ in range(4)]
    try:
        with ThreadPoolExecutor(8) as pool:
            spoke = list(pool.map(lambda n: fire(stores[n % 4], NOW + n / 1000), range(32)))
        assert spoke.count(True) == 1
        assert len(alerts.history(stores[0])) == 1
    finally:
        for store in stores:
            store.close()


def test_what_lasts_is_said_once_and_again_after_a_while(store: Store) -> None:
    assert [fire(store, NOW + s) for s in (0, 60, 400, 3_599)] == [True, False, False, False]
    assert [fire(store, NOW + s, remind_s=3_600) for s in (3_599, 3_600, 3_660)] == [
        False,
        True,
        False,
    ]
    # another subject is another matter
    assert fire(store, NOW, subject="m")


def test_what_flaps_is_said_once_in_a_cooldown(store: Store) -> None:
    assert fire(store, NOW)
    assert [row[1:] for row in alerts.recover(store, now=NOW + 60, unseen_s=30)] == [
        ("error_rate", "")
    ]
    assert not fire(store, NOW + 90)
    assert alerts.recover(store, now=NOW + 200, unseen_s=30) == []  # people were not told
    assert fire(store, NOW + 300)
    kinds = [row["kind"] for row in alerts.history(store)]
    assert kinds == ["raised", "recovered", "raised"]


def test_what_somebody_still_finds_is_not_over(store: Store) -> None:
    fire(store, NOW)
    fire(store, NOW + 100)
    assert alerts.recover(store, now=NOW + 120, unseen_s=30) == []
    assert [one.told for one in alerts.up(store)] == [NOW]
    assert len(alerts.recover(store, now=NOW + 131, unseen_s=30)) == 1
    assert alerts.up(store) == []


def test_an_event_is_over_as_soon_as_it_is_said(store: Store) -> None:
    assert [fire(store, NOW + s, lasts=False) for s in (0, 299, 300)] == [True, False, True]
    assert alerts.up(store) == []


def test_history_says_how_it_was_delivered(store: Store) -> None:
    number = alerts.note_test(store, "a trial", now=NOW)
    alerts.note_test(store, "another", now=NOW + 10)
    alerts.delivered(store, number, {"webhook": "it answered 500", "notify": None})
    newest, oldest = alerts.history(store)
    assert (newest["text"], newest["delivered"]) == ("another", {})
    assert oldest["delivered"] == {"webhook": "it answered 500", "notify": None}
    assert len(alerts.history(store, limit=1)) == len(alerts.history(store, since=NOW + 5)) == 1
    store.prune(older_than=NOW + 5)
    assert [row["text"] for row in alerts.history(store)] == ["another"]


def test_facts_are_what_the_books_say(store: Store) -> None:
    lost = attempt(status=AttemptStatus.FAILED)
    made = [
        *(outcome(f"ok{n}", started=NOW - n) for n in range(3)),
        replace(outcome("lost", lost, started=NOW - 5), status=Status.FAILED),
        replace(outcome("refused", started=NOW - 6), status=Status.REFUSED),
        replace(outcome("dear", started=NOW - 7), cost_nanos=None),
        outcome("before", started=NOW - 61),
        *(outcome(f"old{n}", started=NOW - n * 3_600 - 100) for n in range(1, 9)),
        outcome("ancient", started=NOW - 8 * 86_400),
    ]
    store.write([to_record(one) for one in made])
    one = made[0].cost_nanos
    assert one is not None
    facts = recent(store, 60, NOW)
    assert (facts.answerable, facts.failed, facts.first_byte_ms) == (5, 1, 7.0)
    assert facts.unpriced == {"cheap": 1}
    assert facts.hour_nanos == 6 * one
    assert usual_hours(store, NOW) == (one,) * 8


async def test_money_that_counters_know_and_books_do_not_is_drift(store: Store) -> None:
    config = config_for({"m": "http://127.0.0.1:9"}, budget={"enabled": True, "daily_limit": 1.0})
    budget = LimitBudget(config, MemoryCounters(), store, lambda: NOW)
    look = Look(config.alerts, store, budget, lambda: ["m"], lambda: NOW, pause_s=0)
    assert (await look(audit=False)).drift is None
    lost = Request(id="req_lost", surface=Surface.CHAT, dialect=Dialect.CHAT, model="auto", body={})
    await budget.reserve(lost, NOW, 50_000_000)
    await budget.settle(lost, NOW, 40_000_000)  # and its row was never written
    facts = await look(audit=True)
    assert facts.drift == {"daily limit": 40_000_000}
    assert facts.open == ["m"]
    (reading,) = (r for r in read(facts, config.alerts, config.budget) if r.rule == "drift")
    assert reading.firing
    await budget.aclose()
