"""The tracker: rows a second, latency it adds, statistics over a million rows.

    python benchmarks/tracker.py                       # SQLite in a temporary folder
    python benchmarks/tracker.py --url postgresql://…  # an empty database
    python benchmarks/tracker.py --stats               # the million rows (SQLite)

"in the loop" is the alternative that was not chosen: the same commit at the end of the event loop's
tick, without a thread. Its figures are those of an idle database; while another process holds the
database it stops every request, and PostgreSQL would stop it for each round trip.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import uuid4

from mmrouter.tracker.analytics import By, detail, stats
from mmrouter.tracker.records import Record, to_record
from mmrouter.tracker.savings import savings
from mmrouter.tracker.store import Filter, Store, open_store
from mmrouter.tracker.sums import sum_up
from mmrouter.tracker.writer import Tracker
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

RATES = Rates(input=1, output=2, cache_read=1, cache_write=1, reasoning=2)
TARGET = Target(
    name="claude-haiku",
    provider="anthropic",
    kind="litellm",
    upstream="claude-haiku-4-5",
    price=Price(tiers=((0, RATES),), source="litellm 1.84.0"),
)


def outcome(number: int) -> Outcome:
    """An answered request, classified and tagged."""
    return Outcome(
        request=Request(
            id=f"req_{uuid4().hex}",
            surface=Surface.CHAT,
            dialect=Dialect.CHAT,
            model="auto",
            body={},
            key_name="team",
            tags=("prod",),
            session=f"s{number % 1000}",
        ),
        plan=Plan(
            classification=Classification(
                complexity=Complexity.SIMPLE,
                category=Category.CODE,
                confidence=0.9,
                difficulty=0.2,
                strategy="rules",
            ),
            candidates=(Candidate(target=TARGET, role=Role.ROUTE),),
            needs=Needs(input_tokens=10, input_bound=12),
            reasons=("simple/code: claude-haiku", "budget at 12 %"),
            wanted=TARGET,
        ),
        attempts=(
            Attempt(
                target=TARGET,
                role=Role.ROUTE,
                status=AttemptStatus.OK,
                usage=Usage(input_tokens=100, output_tokens=200),
                cost_nanos=1_234,
                started=1e9 + number,
                latency_ms=300.0,
                ttft_ms=100.0,
                finish_reason="stop",
                http_status=200,
                upstream_id=f"chatcmpl-{uuid4().hex}",
            ),
        ),
        status=Status.OK,
        started=1e9 + number,
        latency_ms=301.0,
        overhead_ms=0.5,
        cost_nanos=1_234,
        prompt_hash=uuid4().hex * 2,
    )


class InTheLoop:
    """The alternative: commits in the event loop, at the end of the tick."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tick: list[tuple[Record, asyncio.Future[None]]] = []

    async def record(self, outcome: Outcome) -> None:
        loop = asyncio.get_running_loop()
        if not self._tick:
            loop.call_soon(self._commit)
        future = loop.create_future()
        self._tick.append((to_record(outcome), future))
        await future

    def _commit(self) -> None:
        tick, self._tick = self._tick, []
        self._store.write([record for record, _ in tick])
        for _, future in tick:
            future.set_result(None)

    def close(self) -> None:
        self._store.close()


async def load(
    name: str, record: Callable[[Outcome], Awaitable[None]], callers: int, rows: int
) -> None:
    """`callers` record without a pause between them: the most that the tracker can be given."""
    waits: list[float] = []
    outcomes = iter([outcome(number) for number in range(rows)])

    async def caller() -> None:
        for one in outcomes:
            began = time.perf_counter()
            await record(one)
            waits.append((time.perf_counter() - began) * 1e3)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    waits.sort()
    print(
        f"{name:12} {callers:3} callers  {rows / wall:7,.0f} rows/s  "
        f"p50 {waits[rows // 2]:6.3f} ms  p99 {waits[rows * 99 // 100]:7.3f} ms  "
        f"CPU {cpu / rows * 1e6:4.0f} us/row",
        flush=True,
    )


async def paced(record: Callable[[Outcome], Awaitable[None]], rate: int, rows: int) -> None:
    """Arrivals at a steady rate: what a server's request waits for its row."""
    waits: list[float] = []

    async def one(made: Outcome) -> None:
        began = time.perf_counter()
        await record(made)
        waits.append((time.perf_counter() - began) * 1e3)

    outcomes = [outcome(number) for number in range(rows)]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, made in enumerate(outcomes):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            group.create_task(one(made))
    waits.sort()
    print(
        f"steady       {rate:,} requests/s  p50 {waits[rows // 2]:.3f} ms  "
        f"p99 {waits[rows * 99 // 100]:.3f} ms  max {waits[-1]:.1f} ms",
        flush=True,
    )


async def writing(url: str) -> None:
    """Both designs, then a steady rate."""
    tracker = Tracker(open_store(url))
    for callers, rows in ((1, 3_000), (16, 20_000), (64, 20_000)):
        await load("thread", tracker.record, callers, rows)
    for rate in (500, 2_000):
        await paced(tracker.record, rate, rate * 5)
    await asyncio.to_thread(tracker.close)
    rejected = InTheLoop(open_store(url))
    for callers, rows in ((1, 3_000), (16, 20_000), (64, 20_000)):
        await load("in the loop", rejected.record, callers, rows)
    rejected.close()


def reading(url: str, rows: int) -> None:
    """Statistics over `rows` requests."""
    store = open_store(url)
    hours = 3_600 / (rows / 720)  # thirty days
    for start in range(0, rows, 10_000):
        batch: Sequence[Record] = [to_record(outcome(n)) for n in range(start, start + 10_000)]
        for number, record in enumerate(batch, start):
            record.request["started"] = 1.7e9 + number * hours
            record.request["latency_ms"] = float(number * 7919 % 60_000)
            record.request["answered_model"] = f"model-{number % 4}"
            record.request["complexity"] = ("simple", "medium", "complex")[number % 3]
        store.write(batch)
    price = Price(tiers=((0, RATES),), source="config")
    for state in ("row by row", "summed up"):
        print(state)
        for by in By:
            timed(f"stats by {by.value}", lambda by=by: stats(store, Filter(), by=by))
        timed("detail", lambda: detail(store, Filter()))
        timed("savings", lambda: savings(store, Filter(), baseline="model-1", price=price))
        timed("stats of the last day", lambda: stats(store, Filter(since=1.7e9 + 29 * 86_400)))
        timed("budget's totals of the month", lambda: store.settled(since=1.7e9))
        if state == "row by row":
            timed("summing up 720 hours", lambda: all(iter(lambda: sum_up(store, 2e9), False)))
    store.close()


def timed(name: str, run: Callable[[], object]) -> None:
    """Print how long `run` takes."""
    began = time.perf_counter()
    run()
    print(f"{name:30} {time.perf_counter() - began:6.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", help="an empty database; by default SQLite")
    parser.add_argument("--stats", action="store_true", help="time statistics instead of writes")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows for --stats")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'books.db'}"
        if options.stats:
            reading(url, options.rows)
        else:
            asyncio.run(writing(url))


if __name__ == "__main__":
    main()
