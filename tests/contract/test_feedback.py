"""Scores in the books, on SQLite and PostgreSQL, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mmrouter.config import Config
from mmrouter.decide.feedback import Tally
from mmrouter.router.beliefs import believed, plain
from mmrouter.tracker import schema
from mmrouter.tracker.feedback import tallies
from mmrouter.tracker.store import Store, open_store
from mmrouter.types import Category, Complexity
from tests.contract.test_tracker_store import STRONG, attempt, outcome, write
from tests.support.configs import one_route
from tests.unit.test_plan import target

NOW = 2_000_000_000.0
DAY = 86_400.0
HERE = (Complexity.SIMPLE, Category.CODE)


@pytest.fixture
def store(books_url: str) -> Iterator[Store]:
    store = open_store(books_url)
    yield store
    store.close()


def note(store: Store, books_url: str, id: str, score: float, age_days: float) -> None:
    """A score given that long ago."""
    assert store.add_feedback(id, score) == id
    engine = sa.create_engine(books_url.replace("postgresql:", "postgresql+psycopg:"))
    table = schema.feedback
    with engine.begin() as connection:
        newest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        connection.execute(
            table.update().where(table.c.id == newest).values(created=NOW - age_days * DAY)
        )
    engine.dispose()


def test_scores_are_added_up_by_kind_and_model_and_weighed_by_age(
    store: Store, books_url: str
) -> None:
    write(store, *(outcome(f"r{n}") for n in range(4)), outcome("s", attempt(STRONG)))
    note(store, books_url, "r0", 1.0, 0.5)
    note(store, books_url, "r1", 0.5, 30.2)
    note(store, books_url, "r2", 0.0, 60.5)
    note(store, books_url, "r3", 1.0, 151.0)  # forgotten: five half-lives and more
    note(store, books_url, "s", 0.25, 0.0)
    assert tallies(store, now=NOW, decay_days=30) == {
        HERE: {
            "cheap": Tally(3, 1.75, 1.25, NOW - 0.5 * DAY),
            "strong": Tally(1, 1.0, 0.25, NOW),
        }
    }


def test_the_last_word_on_a_request_counts_and_all_are_kept(store: Store, books_url: str) -> None:
    write(store, outcome("r"))
    for score in (1.0, 1.0, 0.0):
        note(store, books_url, "r", score, 0.0)
    assert tallies(store, now=NOW, decay_days=30)[HERE]["cheap"] == Tally(1, 1.0, 0.0, NOW)
    row = store.request("r")
    assert row is not None
    assert [said["score"] for said in row["feedback"]] == [1.0, 1.0, 0.0]


def test_a_belief_is_shown_with_its_place_before_and_after(store: Store, books_url: str) -> None:
    write(store, *(outcome(f"r{n}") for n in range(30)), outcome("s", attempt(STRONG)))
    for n in range(30):
        note(store, books_url, f"r{n}", float(n < 6), 0.0)
    note(store, books_url, "s", 1.0, 0.0)
    config = Config.model_validate(
        {"routes": one_route("cheap", "spare"), "adaptive": {"enabled": True, "strategy": "beta"}}
    )
    rows = list(believed(config, target, tallies(store, now=NOW, decay_days=30)))
    assert [(row.model, row.configured, row.tried) for row in rows] == [
        ("cheap", 1, 2),
        ("spare", 2, 1),
        ("strong", None, None),  # people spoke of it, and config names it no more
    ]
    low, high = rows[0].belief.interval
    assert 6 / 30 < rows[0].belief.mean < 1 / 2
    assert low < rows[0].belief.mean < high
    shown = plain(rows[0])
    assert (shown["count"], shown["effective_count"], shown["last"]) == (30, 30.0, NOW)
