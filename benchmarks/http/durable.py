"""Ways to have a request's rows survive SIGKILL before its last byte is sent.

A write() that has returned is in the kernel, and a killed process does not take it along; only a
power loss does. So every store here is safe against SIGKILL, `synchronous=OFF` included.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

Row = tuple[str, float, str, str, str, float, int, int, int, int, int, str]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS request (id TEXT PRIMARY KEY, at REAL, surface TEXT, complexity TEXT,
  category TEXT, confidence REAL, tokens_in INT, tokens_out INT, cost INT, saved INT,
  latency_us INT, reason TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS request_at ON request (at);
CREATE TABLE IF NOT EXISTS attempt (request TEXT, n INT, model TEXT, provider TEXT, status INT,
  tokens_in INT, tokens_out INT, cost INT, latency_us INT);
"""
REQUEST: Final = "INSERT INTO request VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
ATTEMPT: Final = "INSERT INTO attempt VALUES (?,?,?,?,?,?,?,?,?)"


def example(number: int) -> Row:
    """A row like those that the router will write."""
    key = f"req_{number:012x}{os.getpid():08x}"
    return (key, 1.7e9 + number, "chat", "simple", "factual", 0.82, 19, 9, 4200, 81000, 412, "rule")


def attempt(row: Row) -> tuple[str, int, str, str, int, int, int, int, int]:
    """The row of the only attempt of a request."""
    return (row[0], 1, "small", "corp", 200, row[6], row[7], row[8], row[10])


def connect(path: Path, synchronous: str, checkpoint_pages: int = 1000) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={synchronous}")
    db.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
    db.executescript(SCHEMA)
    return db


def commit(db: sqlite3.Connection, rows: list[Row]) -> None:
    """All rows in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    if len(rows) == 1:
        db.execute(REQUEST, rows[0])
        db.execute(ATTEMPT, attempt(rows[0]))
    else:
        db.executemany(REQUEST, rows)
        db.executemany(ATTEMPT, [attempt(row) for row in rows])
    db.execute("COMMIT")


class Store(Protocol):
    """`record` returns when the row is safe from SIGKILL."""

    async def record(self, row: Row) -> None: ...


class Nowhere:
    async def record(self, row: Row) -> None:
        return None


class InLoop:
    """A transaction per request, on the event loop."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self.db = connect(path, synchronous)

    async def record(self, row: Row) -> None:
        commit(self.db, [row])


class InLoopGroup:
    """One transaction for all that finish in the same turn of the event loop.

    Checkpoints run in a thread of their own, so that no fsync stops the loop.
    """

    def __init__(self, path: Path, synchronous: str) -> None:
        self.db = connect(path, synchronous, checkpoint_pages=0)
        self.waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self.commits = 0
        self.work: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self.checkpoint, args=(path, synchronous), daemon=True).start()

    def checkpoint(self, path: Path, synchronous: str) -> None:
        db = connect(path, synchronous, checkpoint_pages=0)
        while True:
            self.work.get()
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    async def record(self, row: Row) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if not self.waiting:
            loop.call_soon(self.flush)
        self.waiting.append((row, future))
        await future

    def flush(self) -> None:
        waiting, self.waiting = self.waiting, []
        commit(self.db, [row for row, _ in waiting])
        for _, future in waiting:
            if not future.done():
                future.set_result(None)
        self.commits += 1
        if self.commits % 500 == 0:
            self.work.put(None)


class WriterThread:
    """A thread that commits all that has queued up, then wakes the loop once."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self.queue: queue.SimpleQueue[tuple[Row, asyncio.Future[None]]] = queue.SimpleQueue()
        self.loop = asyncio.get_running_loop()
        threading.Thread(target=self.work, args=(path, synchronous), daemon=True).start()

    async def record(self, row: Row) -> None:
        future: asyncio.Future[None] = self.loop.create_future()
        self.queue.put((row, future))
        await future

    def write(self, db: sqlite3.Connection | None, rows: list[Row]) -> None:
        if db:
            commit(db, rows)

    def work(self, path: Path, synchronous: str) -> None:
        db = connect(path, synchronous) if synchronous else None
        while True:
            batch = [self.queue.get()]
            try:
                while len(batch) < 256:
                    batch.append(self.queue.get_nowait())
            except queue.Empty:
                pass
            self.write(db, [row for row, _ in batch])
            self.loop.call_soon_threadsafe(self.done, [future for _, future in batch])

    @staticmethod
    def done(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)


class Journal:
    """One O_APPEND write of a line per request; a thread would carry the lines into SQLite."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def record(self, row: Row) -> None:
        import orjson

        os.write(self.file, orjson.dumps((row, attempt(row))) + b"\n")


STORES: dict[str, Callable[[Path], Store]] = {
    "none": lambda path: Nowhere(),
    "loop-normal": lambda path: InLoop(path, "NORMAL"),
    "loop-off": lambda path: InLoop(path, "OFF"),
    "group-normal": lambda path: InLoopGroup(path, "NORMAL"),
    "group-off": lambda path: InLoopGroup(path, "OFF"),
    "thread-hop": lambda path: WriterThread(path, ""),
    "thread-normal": lambda path: WriterThread(path, "NORMAL"),
    "thread-off": lambda path: WriterThread(path, "OFF"),
    "journal": Journal,
}
