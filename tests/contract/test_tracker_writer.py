"""What the group-commit writer promises, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from mmrouter.errors import TrackerError
from mmrouter.tracker import writer
from mmrouter.tracker.records import to_record
from mmrouter.tracker.store import Filter, open_store
from mmrouter.tracker.writer import Tracker
from mmrouter.types import (
    Attempt,
    AttemptStatus,
    Dialect,
    Outcome,
    Request,
    Role,
    Status,
    Surface,
    Target,
    Usage,
)

CHILD = Path(__file__).with_name("tracker_child.py")
TARGET = Target(name="small", provider="corp", kind="openai", upstream="small-1")


def outcome(id: str, *, output_tokens: int = 5, prompt: str | None = None) -> Outcome:
    attempt = Attempt(
        target=TARGET,
        role=Role.ROUTE,
        status=AttemptStatus.OK,
        usage=Usage(output_tokens=output_tokens),
        cost_nanos=7,
        started=1e9,
        latency_ms=5.0,
    )
    return Outcome(
        request=Request(id=id, surface=Surface.CHAT, dialect=Dialect.CHAT, model="auto", body={}),
        plan=None,
        attempts=(attempt,),
        status=Status.OK,
        started=1e9,
        latency_ms=6.0,
        overhead_ms=0.3,
        cost_nanos=7,
        prompt=prompt,
    )


def written(url: str) -> set[str]:
    store = open_store(url)
    assert store.verify() == []
    ids = {row["id"] for row in store.rows(Filter())}
    store.close()
    return ids


async def until(condition: Callable[[], bool]) -> None:
    """Another thread makes `condition` true; the suite's time limit bounds the wait."""
    while not condition():  # noqa: ASYNC110  a thread has no event to await
        await asyncio.sleep(0.005)


def replayed(spill: Path) -> bool:
    return not spill.exists() and not spill.with_name("spill.jsonl.replaying").exists()


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", (0.05, 0.1))


@pytest.fixture
def tracker(books_url: str) -> Iterator[Tracker]:
    tracker = Tracker(open_store(books_url))
    yield tracker
    tracker.close()


class Outage:
    """Takes a database away and gives it back."""

    def __init__(self, url: str, server: Any) -> None:
        self._server = server
        self._name = urlsplit(url).path.removeprefix("/")
        self._folder = Path(self._name).parent
        self._away = self._folder.parent / "away"

    def begin(self) -> None:
        if self._server is None:
            self._folder.rename(self._away)
        else:
            self._admin("ALTER DATABASE {} ALLOW_CONNECTIONS false")
            self._admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{}'")

    def end(self) -> None:
        if self._server is None:
            self._away.rename(self._folder)
        else:
            self._admin("ALTER DATABASE {} ALLOW_CONNECTIONS true")

    def _admin(self, sql: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(sql.format(self._name))


@pytest.fixture
def outage(books_url: str, request: pytest.FixtureRequest) -> Outage:
    sqlite = books_url.startswith("sqlite")
    return Outage(books_url, None if sqlite else request.getfixturevalue("postgres_server"))


@pytest.mark.parametrize("callers", [1, 32])
def test_what_was_recorded_survives_sigkill(books_url: str, callers: int) -> None:
    child = subprocess.Popen(
        [sys.executable, CHILD, books_url, str(callers)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    printed = [child.stdout.readline() for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    printed += child.stdout.readlines()
    child.wait()
    recorded = {line.strip() for line in printed if line.endswith("\n")}
    assert len(recorded) >= 200
    assert recorded <= written(books_url)


async def test_many_callers_share_a_commit(tracker: Tracker, books_url: str) -> None:
    ids = {f"req_{n}" for n in range(500)}
    await asyncio.gather(*(tracker.record(outcome(id)) for id in ids))
    assert written(books_url) == ids


def test_any_loop_of_any_thread_can_record(tracker: Tracker, books_url: str) -> None:
    def caller(number: int) -> None:
        async def record() -> None:
            await asyncio.gather(*(tracker.record(outcome(f"req_{number}_{n}")) for n in range(50)))

        asyncio.run(record())

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written(books_url)) == 200


async def test_a_cancelled_caller_has_its_row_written(tracker: Tracker, books_url: str) -> None:
    task = asyncio.ensure_future(tracker.record(outcome("req_1")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await tracker.record(outcome("req_2"))
    assert written(books_url) == {"req_1", "req_2"}


async def test_a_row_that_cannot_be_stored_harms_no_other(tracker: Tracker, books_url: str) -> None:
    results = await asyncio.gather(
        tracker.record(outcome("req_1")),
        tracker.record(outcome("req_2", output_tokens=10**30)),
        tracker.record(outcome("req_3")),
        return_exceptions=True,
    )
    assert [type(result) for result in results][::2] == [type(None)] * 2
    assert isinstance(results[1], TrackerError)
    tracker.check()
    assert written(books_url) == {"req_1", "req_3"}


async def test_a_closed_tracker_refuses(books_url: str) -> None:
    tracker = Tracker(open_store(books_url))
    await tracker.record(outcome("req_1"))
    tracker.close()
    tracker.close()
    with pytest.raises(TrackerError, match="closed"):
        await tracker.record(outcome("req_2"))
    assert written(books_url) == {"req_1"}


async def test_close_writes_what_is_queued(books_url: str) -> None:
    tracker = Tracker(open_store(books_url))
    tasks = [asyncio.ensure_future(tracker.record(outcome(f"req_{n}"))) for n in range(100)]
    await asyncio.sleep(0)  # recorded
    await asyncio.sleep(0)  # handed over
    tracker.close()
    await asyncio.gather(*tasks)
    assert len(written(books_url)) == 100


async def test_a_lost_database_refuses_until_it_is_back(
    tracker: Tracker, books_url: str, outage: Outage
) -> None:
    await tracker.record(outcome("req_1"))
    outage.begin()
    with pytest.raises(TrackerError):
        await tracker.record(outcome("req_2"))
    with pytest.raises(TrackerError):
        tracker.check()
    outage.end()

    def well() -> bool:
        try:
            tracker.check()
        except TrackerError:
            return False
        return True

    await until(well)
    await tracker.record(outcome("req_3"))
    # the call behind req_2 was made and paid for: its row is written late, not lost
    assert written(books_url) == {"req_1", "req_2", "req_3"}


async def test_rows_spill_while_the_database_is_lost(
    books_url: str, outage: Outage, tmp_path: Path
) -> None:
    spill = tmp_path / "spill.jsonl"
    tracker = Tracker(open_store(books_url), spill)
    await tracker.record(outcome("req_before"))
    outage.begin()
    ids = {f"req_{n}" for n in range(1000)}
    await asyncio.gather(*(tracker.record(outcome(id)) for id in ids))
    tracker.check()
    assert {json.loads(line)["request"]["id"] for line in spill.open()} <= ids
    outage.end()
    await until(lambda: replayed(spill))
    await tracker.record(outcome("req_after"))
    tracker.close()
    assert written(books_url) == {"req_before", "req_after"} | ids


async def test_a_tracker_that_starts_without_its_database_spills_and_the_next_one_replays(
    books_url: str, outage: Outage, tmp_path: Path
) -> None:
    open_store(books_url).close()
    spill = tmp_path / "spill.jsonl"
    outage.begin()
    tracker = Tracker(open_store(books_url, require=False), spill)
    await tracker.record(outcome("req_1"))
    tracker.close()
    with spill.open("a") as file:
        file.write('{"request": {"id": "req_torn", "star')  # killed in the middle of a line
    outage.end()
    tracker = Tracker(open_store(books_url), spill)
    await until(lambda: replayed(spill))
    tracker.close()
    assert written(books_url) == {"req_1"}
    assert "req_torn" in (tmp_path / "spill.jsonl.rejected").read_text()


@contextmanager
def full_disk(allowed: int) -> Iterator[None]:
    """No file of this process can grow beyond `allowed` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def _fill(tracker: Tracker, accepted: set[str]) -> None:
    """Record until one is refused."""
    number = 0
    while True:
        id = f"req_{number}"
        await tracker.record(outcome(id, prompt="x" * 5_000))
        accepted.add(id)
        number += 1


async def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'books.db'}"
    tracker = Tracker(open_store(url))
    accepted: set[str] = set()
    with full_disk(allowed=500_000):
        with pytest.raises(TrackerError):
            await _fill(tracker, accepted)
        with pytest.raises(TrackerError):
            tracker.check()
    await until(lambda: len(written(url)) == len(accepted) + 1)
    tracker.close()
    assert accepted
    assert accepted <= written(url)


async def test_rows_that_an_older_mmrouter_spilled_are_replayed(
    books_url: str, tmp_path: Path
) -> None:
    spill = tmp_path / "spill.jsonl"
    request, attempts = to_record(outcome("req_old"))
    for row in (request, *attempts):
        for column in ("unit", "continuation", "bound_nanos", "cache_write_1h_tokens"):
            row.pop(column, None)
    spill.write_text(json.dumps({"request": request, "attempts": attempts}) + "\n")
    tracker = Tracker(open_store(books_url), spill)
    await until(lambda: replayed(spill))
    tracker.close()
    assert written(books_url) == {"req_old"}
    assert not (tmp_path / "spill.jsonl.rejected").exists()


async def test_a_full_disk_spills_then_refuses_when_that_is_full_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'books.db'}"
    tracker = Tracker(open_store(url), tmp_path / "spill.jsonl")
    accepted: set[str] = set()
    with full_disk(allowed=500_000):
        with pytest.raises(TrackerError, match="spill"):
            await _fill(tracker, accepted)
        assert (tmp_path / "spill.jsonl").stat().st_size > 400_000
    await until(lambda: len(written(url)) == len(accepted) + 1)
    tracker.close()
    assert accepted <= written(url)


async def test_rows_that_nothing_takes_are_named_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    tracker = Tracker(open_store(f"sqlite:///{folder / 'books.db'}"))
    folder.rename(tmp_path / "gone")
    with pytest.raises(TrackerError):
        await tracker.record(outcome("req_1"))
    with pytest.raises(TrackerError, match="req_1"):
        tracker.close()


async def test_a_database_file_deleted_under_us_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    tracker = Tracker(open_store(f"sqlite:///{path}"))
    await tracker.record(outcome("req_1"))
    for suffix in ("", "-wal", "-shm"):
        os.unlink(f"{path}{suffix}")
    with pytest.raises(TrackerError, match=r"replaced|No such file"):
        await tracker.record(outcome("req_2"))
    await until(path.exists)
    tracker.close()
    assert written(f"sqlite:///{path}") == {"req_2"}


async def test_another_writer_delays_and_does_not_stop_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    tracker = Tracker(open_store(f"sqlite:///{path}"))
    await tracker.record(outcome("req_1"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(tracker.record(outcome("req_2")))
    began = time.perf_counter()
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert time.perf_counter() - began < 1.0
    assert not waiting.done()
    other.execute("COMMIT")
    await waiting
    tracker.close()
    other.close()
