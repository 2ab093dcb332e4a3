"""Costs of single parts, in µs: durable rows, a thread hop, JSON, Nagle; and a SIGKILL proof.

    python micro.py [--rounds 7] [--json FILE]

Everything is run in turn, round after round; the table shows medians over rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop
from durable import REQUEST, STORES, attempt, commit, connect, example
from load import Result, chat_body, with_python
from mock_upstream import ANSWER
from run import free_port, started, wait_for

COUNT: Final = 2000
HERE: Final = Path(__file__).resolve().parent


async def _record(name: str, path: Path, together: int) -> float:
    """Seconds of wall time per row when `together` requests finish at the same time."""
    store = STORES[name](path)
    start = time.perf_counter()
    for first in range(0, COUNT, together):
        rows = [example(number) for number in range(first, first + together)]
        await asyncio.gather(*(store.record(row) for row in rows))
    return (time.perf_counter() - start) / COUNT


def store_cost(name: str, together: int) -> Callable[[], float]:
    def cost() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return uvloop.run(_record(name, Path(folder, "rows.db"), together))

    return cost


def sqlalchemy_cost(raw: bool) -> Callable[[], float]:
    """SQLAlchemy Core: two inserts and a commit; or its pool with a raw cursor."""

    def cost() -> float:
        sa = importlib.import_module("sqlalchemy")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "rows.db")
            connect(path, "NORMAL").close()
            engine = sa.create_engine(f"sqlite:///{path}")
            meta = sa.MetaData()
            meta.reflect(engine)
            request, tries = meta.tables["request"], meta.tables["attempt"]
            names = [[column.name for column in t.columns] for t in (request, tries)]
            with engine.connect() as db:
                db.exec_driver_sql("PRAGMA synchronous=NORMAL")
                db.commit()
                start = time.perf_counter()
                for number in range(COUNT):
                    row = example(number)
                    if raw:
                        db.exec_driver_sql(REQUEST, row)
                        db.exec_driver_sql(
                            "INSERT INTO attempt VALUES (?,?,?,?,?,?,?,?,?)", attempt(row)
                        )
                    else:
                        db.execute(request.insert(), dict(zip(names[0], row, strict=True)))
                        db.execute(tries.insert(), dict(zip(names[1], attempt(row), strict=True)))
                    db.commit()
                spent = time.perf_counter() - start
            engine.dispose()
            return spent / COUNT

    return cost


def repeat(act: Callable[[], Any]) -> Callable[[], float]:
    def cost() -> float:
        start = time.perf_counter()
        for _ in range(COUNT):
            act()
        return (time.perf_counter() - start) / COUNT

    return cost


def nagle_cost(nagle: bool) -> Callable[[], float]:
    """Seconds of the median answer that is written as headers, then body."""

    def cost() -> float:
        port = free_port()
        command = f"{sys.executable} {HERE}/mock_upstream.py --port {port}"
        with started(command + (" --nagle" if nagle else ""), {}, Path(os.devnull)) as child:
            wait_for(port, child, 10)
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            result: Result = with_python(url, chat_body(), {}, 1, 1)
            return result.p50 / 1e3

    return cost


def killed(synchronous: str) -> tuple[int, int]:
    """Rows that a writer said were safe before SIGKILL, and rows found afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.db")
        words = [sys.executable, __file__, "--write", str(path), synchronous]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
            assert child.stdout
            time.sleep(0.5)
            child.send_signal(signal.SIGKILL)
            said = child.stdout.read().count(b"\n")
        db = sqlite3.connect(path)
        found = int(db.execute("SELECT count(*) FROM request").fetchone()[0])
        db.close()
        return said, found


def write_until_killed(path: Path, synchronous: str) -> None:
    db = connect(path, synchronous)
    for number in range(1_000_000):
        commit(db, [example(number)])
        os.write(1, b".\n")


def parts() -> dict[str, Callable[[], float]]:
    body, answer = chat_body().encode(), ANSWER.split(b"\r\n\r\n", 1)[1]
    found: dict[str, Callable[[], float]] = {
        "orjson: request in and out, answer in": repeat(
            lambda: (orjson.dumps(orjson.loads(body)), orjson.loads(answer))
        ),
        "example rows made, nothing kept": store_cost("none", 1),
        "the same, 16 at once": store_cost("none", 16),
        "journal line": store_cost("journal", 1),
        "thread hop, no database": store_cost("thread-hop", 1),
        "thread hop, no database, 16 at once": store_cost("thread-hop", 16),
    }
    for mode in ("normal", "off"):
        found |= {
            f"commit in loop, {mode}": store_cost(f"loop-{mode}", 1),
            f"group commit in loop, {mode}, 16 at once": store_cost(f"group-{mode}", 16),
            f"thread commit, {mode}": store_cost(f"thread-{mode}", 1),
            f"thread commit, {mode}, 16 at once": store_cost(f"thread-{mode}", 16),
        }
    if importlib.util.find_spec("sqlalchemy"):
        found["commit through SQLAlchemy Core, normal"] = sqlalchemy_cost(raw=False)
        found["the same with exec_driver_sql"] = sqlalchemy_cost(raw=True)
    found["two writes, Nagle off"] = nagle_cost(False)
    found["two writes, Nagle on"] = nagle_cost(True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write_until_killed(Path(args.write[0]), args.write[1])
        return
    costs = parts()
    times: dict[str, list[float]] = {name: [] for name in costs}
    for _ in range(max(1, min(args.rounds, 50))):
        for name, cost in costs.items():
            times[name].append(cost() * 1e6)
    print("| part | median µs | best µs |\n| --- | ---: | ---: |")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):,.1f} | {min(values):,.1f} |")
    for synchronous in ("NORMAL", "OFF"):
        said, rows = killed(synchronous)
        verdict = "none lost" if rows >= said else "LOST"
        print(f"SIGKILL, {synchronous}: {said} rows acknowledged, {rows} found: {verdict}")
    if args.json:
        args.json.write_text(json.dumps(times, indent=1))


if __name__ == "__main__":
    main()
