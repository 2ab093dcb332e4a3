"""The contract of the books, on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmrouter.errors import ConfigError, InvalidRequestError, TrackerError
from mmrouter.money import breakdown
from mmrouter.tracker import schema
from mmrouter.tracker.migrations import MIGRATIONS
from mmrouter.tracker.records import BadRecordError, to_record
from mmrouter.tracker.store import Cursor, Filter, Store, open_store
from mmrouter.types import (
    Attempt,
    AttemptStatus,
    Candidate,
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

PRICE = Price(
    tiers=((0, Rates(input=800_000, output=4_000_000, cache_read=80_000, cache_write=1_000_000,
                     reasoning=4_000_000)),),
    source="config",
)  # fmt: skip
CHEAP = Target(name="cheap", provider="corp", kind="openai", upstream="c-1", price=PRICE)
STRONG = Target(name="strong", provider="anthropic", kind="litellm", upstream="s-1", price=PRICE)
USAGE = Usage(input_tokens=101, output_tokens=57, cache_read_tokens=33, cache_write_tokens=7)


def attempt(
    target: Target = CHEAP, status: AttemptStatus = AttemptStatus.OK, **more: object
) -> Attempt:
    usage = more.pop("usage", USAGE)
    assert isinstance(usage, Usage)
    cost = breakdown(target.price, usage).total if target.price else None
    return Attempt(  # type: ignore[arg-type]
        target=target, role=Role.ROUTE, status=status, usage=usage, cost_nanos=cost,
        started=1e9, latency_ms=12.5, **more,
    )  # fmt: skip


def outcome(id: str, *attempts: Attempt, started: float = 1e9, **request: object) -> Outcome:
    """A finished request; what it cost is what its attempts and its classifier cost."""
    attempts = attempts or (attempt(),)
    costs = [a.cost_nanos for a in attempts]
    classification = Classification(
        complexity=Complexity.SIMPLE, category=Category.CODE, confidence=0.9, difficulty=0.1,
        strategy="llm", cost_nanos=321,
    )  # fmt: skip
    plan = Plan(
        classification=classification,
        candidates=(Candidate(target=CHEAP, role=Role.CASCADE, gated=True),),
        needs=Needs(input_tokens=1, input_bound=2),
        reasons=("simple/code: cheap", "budget at 12 %"),
        wanted=STRONG,
    )
    return Outcome(
        request=Request(  # type: ignore[arg-type]
            id=id, surface=Surface.CHAT, dialect=Dialect.CHAT, model="auto", body={}, **request
        ),
        plan=plan, attempts=attempts, status=Status.OK, started=started, latency_ms=20.0,
        overhead_ms=0.5, ttft_ms=7.0,
        cost_nanos=None if None in costs else sum(c for c in costs if c is not None) + 321,
    )  # fmt: skip


@pytest.fixture
def store(books_url: str) -> Iterator[Store]:
    store = open_store(books_url)
    yield store
    store.close()


def write(store: Store, *outcomes: Outcome) -> None:
    store.write([to_record(one) for one in outcomes])


def test_a_request_comes_back_with_everything_it_caused(store: Store) -> None:
    rejected = attempt(CHEAP, AttemptStatus.REJECTED, detail="too short")
    answered = attempt(STRONG, upstream_id="msg_1", finish_reason="stop", http_status=200)
    write(store, outcome("req_1", rejected, answered, tags=("a", "b"), key_name="team"))
    found = store.request("req_1")
    assert found is not None
    assert found["cost_nanos"] == rejected.cost_nanos + answered.cost_nanos + 321  # type: ignore[operator]
    assert found["answered_cost_nanos"] == answered.cost_nanos
    assert (found["answered_model"], found["provider"]) == ("strong", "anthropic")
    assert (found["wanted_model"], found["complexity"]) == ("strong", "simple")
    assert (found["cascade"], found["rejected"], found["fallback_used"]) == (True, 1, False)
    assert found["input_tokens"] == 2 * USAGE.input_tokens
    assert found["tags"] == '["a","b"]'
    first, second = found["attempts"]
    assert (first["status"], first["detail"]) == ("rejected", "too short")
    kinds = ("input", "output", "cache_read", "cache_write")
    assert sum(second[f"{kind}_cost_nanos"] for kind in kinds) == second["cost_nanos"]
    assert store.verify() == []


def test_an_unknown_price_is_null_and_never_zero(store: Store) -> None:
    unpriced = Target(name="x", provider="corp", kind="openai", upstream="x")
    write(store, outcome("req_1", attempt(unpriced)))
    found = store.request("req_1")
    assert found is not None
    assert found["cost_nanos"] is None
    assert found["attempts"][0]["input_cost_nanos"] is None
    assert store.verify() == []
    assert store.settled(since=0).unknown == 1


def test_writing_again_changes_nothing(store: Store) -> None:
    write(store, outcome("req_1"), outcome("req_2"))
    write(store, outcome("req_2", attempt(STRONG)), outcome("req_3"))
    assert len(store.page(Filter())) == 3
    second = store.request("req_2")
    assert second is not None
    assert second["answered_model"] == "cheap"
    assert store.verify() == []


def test_a_row_that_does_not_fit_leaves_nothing_of_its_batch(store: Store) -> None:
    huge = attempt(usage=Usage(input_tokens=10**30))
    with pytest.raises(BadRecordError):
        write(store, outcome("req_1"), outcome("req_2", huge))
    assert store.page(Filter()) == []
    write(store, outcome("req_1"))
    assert len(store.page(Filter())) == 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec=None, exclude_categories=()), min_size=1))
def test_no_text_of_a_client_can_poison_the_books(store: Store, text: str) -> None:
    id = f"req_{abs(hash(text)):x}"
    write(store, outcome(id, attempt(error=text, upstream_id=text), session=text, tags=(text,)))
    assert store.request(id) is not None


def test_pages_reach_every_request_once_newest_first(store: Store) -> None:
    write(store, *(outcome(f"req_{n:02}", started=1e9 + n // 3) for n in range(20)))
    seen: list[str] = []
    before = None
    while page := store.page(Filter(), before=before, limit=7):
        seen += [row["id"] for row in page]
        before = Cursor(page[-1]["started"], page[-1]["id"])
    assert seen == [f"req_{n:02}" for n in reversed(range(20))]
    assert [row["id"] for row in store.rows(Filter())] == seen[::-1]


@pytest.mark.parametrize("tag", ["prod", 'a"b', "x,y", '","', "%", "é"])
def test_a_tag_is_found_and_nothing_else(store: Store, tag: str) -> None:
    write(
        store,
        outcome("req_1", tags=(tag, "other")),
        outcome("req_2", tags=("prod2", "a", "b", "x", "y")),
        outcome("req_3"),
    )
    assert [row["id"] for row in store.page(Filter(tag=tag))] == ["req_1"]


def test_filters_hold_together(store: Store) -> None:
    write(
        store,
        outcome("req_1", key_name="a", session="s", started=1e9),
        outcome("req_2", attempt(STRONG), key_name="a", started=1e9 + 10),
        outcome("req_3", key_name="b", started=1e9 + 20),
    )

    def ids(**filter: object) -> list[str]:
        return [row["id"] for row in store.page(Filter(**filter))]  # type: ignore[arg-type]

    assert ids(key_name="a") == ["req_2", "req_1"]
    assert ids(key_name="a", model="strong") == ["req_2"]
    assert ids(since=1e9 + 10, until=1e9 + 20) == ["req_2"]
    assert ids(session="s", category="code", complexity="simple", status="ok") == ["req_1"]
    assert ids(status="failed") == []


def test_feedback_reaches_a_request_by_either_id(store: Store) -> None:
    write(store, outcome("req_1", attempt(upstream_id="chatcmpl-9")))
    assert store.add_feedback("req_1", 1.0, comment="good") == "req_1"
    assert store.add_feedback("chatcmpl-9", 0.25, source="cli") == "req_1"
    assert store.add_feedback("req_unknown", 0.5) is None
    with pytest.raises(InvalidRequestError):
        store.add_feedback("req_1", 1.5)
    found = store.request("req_1")
    assert found is not None
    assert [(note["score"], note["source"]) for note in found["feedback"]] == [
        (1.0, "api"),
        (0.25, "cli"),
    ]


def test_settled_money_by_key_and_tag_since_an_instant(store: Store) -> None:
    one = outcome("req_0").cost_nanos
    assert one is not None
    write(
        store,
        outcome("req_1", started=1e9 - 1, key_name="a"),
        outcome("req_2", started=1e9, key_name="a", tags=("x", "y")),
        outcome("req_3", started=1e9 + 1, key_name="b", tags=("x", "x")),
        outcome("req_4", started=1e9 + 2),
    )
    settled = store.settled(since=1e9)
    assert settled.total == 3 * one
    assert settled.by_key == {"a": one, "b": one}
    assert settled.by_tag == {"x": 2 * one, "y": one}


def test_pruning_takes_attempts_and_feedback_along(store: Store) -> None:
    write(store, *(outcome(f"req_{n:04}", started=1e9 + n) for n in range(1200)))
    store.add_feedback("req_0001", 1.0)
    assert store.prune(older_than=1e9 + 1100) == 1100
    assert store.prune(older_than=1e9 + 1100) == 0
    assert len(list(store.rows(Filter()))) == 100
    assert store.verify() == []


def test_verify_names_what_does_not_balance(store: Store, books_url: str) -> None:
    write(store, *(outcome(f"req_{n}") for n in range(4)))
    store.add_feedback("req_3", 1.0)
    url = books_url.replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        requests, attempts = schema.requests, schema.attempts
        connection.execute(
            requests.update()
            .where(requests.c.id == "req_0")
            .values(cost_nanos=requests.c.cost_nanos + 1)
        )
        connection.execute(attempts.delete().where(attempts.c.request_id == "req_1"))
        connection.execute(requests.delete().where(requests.c.id == "req_3"))
    engine.dispose()
    found = {(fault.kind, fault.request_id) for fault in store.verify()}
    assert found >= {
        ("cost", "req_0"),
        ("attempts", "req_1"),
        ("cost", "req_1"),
        ("orphan_attempt", "req_3"),
        ("orphan_feedback", "req_3"),
    }
    assert not any(id == "req_2" for _, id in found)


OPEN = "import sys; from mmrouter.tracker.store import open_store; open_store(sys.argv[1]).close()"


def test_processes_that_start_together_migrate_once(books_url: str) -> None:
    children = [subprocess.Popen([sys.executable, "-c", OPEN, books_url]) for _ in range(4)]
    assert [child.wait() for child in children] == [0, 0, 0, 0]
    store = open_store(books_url)
    write(store, outcome("req_1"))
    with store.read() as connection:
        versions = connection.execute(sa.select(schema.schema_version.c.version)).scalars().all()
        assert versions == [len(MIGRATIONS)]
    store.close()


def test_books_of_the_first_schema_are_brought_up_to_date(books_url: str) -> None:
    """Version 1 had no column for tokens in an hour's cache."""
    store = open_store(books_url)
    write(store, outcome("req_1"))
    store.close()
    engine = sa.create_engine(books_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for table in ("requests", "attempts"):
            connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN cache_write_1h_tokens"))
        connection.execute(schema.schema_version.update().values(version=1))
    engine.dispose()
    store = open_store(books_url)
    write(store, outcome("req_2"))
    rows = [store.request(id) for id in ("req_1", "req_2")]
    assert [row and row["cache_write_1h_tokens"] for row in rows] == [0, 0]
    assert store.verify() == []
    store.close()


def test_books_of_a_newer_mmrouter_are_left_alone(books_url: str) -> None:
    open_store(books_url).close()
    engine = sa.create_engine(books_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(schema.schema_version.update().values(version=99))
    engine.dispose()
    with pytest.raises(TrackerError, match="upgrade mmrouter"):
        open_store(books_url)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://h/d", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite://h/x.db",
        "sqlite://user:secret@/x.db",
    ],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"tracker\.url") as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


def test_a_database_that_cannot_be_reached_says_so_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(TrackerError):
        open_store(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(TrackerError) as error:
        open_store(f"postgresql://me:hunter2@/db?host={tmp_path}")
    assert "hunter2" not in str(error.value)


def test_a_missing_driver_names_its_extra() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from mmrouter.tracker.store import open_store\n"
        "open_store('postgresql://localhost/x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'mmrouter[postgres]'" in done.stderr
