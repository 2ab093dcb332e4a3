"""Rows set aside in a file while the database is lost.

One JSON object a line: `{"request": {...}, "attempts": [...]}`. Several processes may share the
file: appending holds `<path>.lock` for a moment. A replay moves the file to `<path>.replaying` and
works there under a lock of its own, so that one process replays and all can go on spilling. Lines
that cannot be replayed are kept in `<path>.rejected`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from sqlalchemy import Table

from mmrouter.tracker import schema
from mmrouter.tracker.records import BadRecordError, Record, Row

logger = logging.getLogger(__name__)

REPLAY_CHUNK = 256
"""Records of one transaction of a replay: a few milliseconds, between two batches of live rows."""


def _unknown(table: Table) -> Row:
    """What stands in columns that an older mmrouter did not know."""
    return {
        str(column.name): None if column.server_default is None else 0  # orjson wants a plain str
        for column in table.columns
        if column.nullable or column.server_default is not None
    }


_UNKNOWN_OF_REQUEST, _UNKNOWN_OF_ATTEMPT = _unknown(schema.requests), _unknown(schema.attempts)


class Spill:
    """The file at `path`; it need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._replaying = path.with_name(path.name + ".replaying")
        self._rejected = path.with_name(path.name + ".rejected")

    def append(self, records: Sequence[Record]) -> None:
        """Add `records`; durable against SIGKILL on return.

        Raises:
            OSError: the file cannot be written; none of `records` counts as spilled.
        """
        lines = b"".join(_line(record) for record in records)
        with self._lock(".lock"):
            _append(self.path, lines)

    @property
    def pending(self) -> bool:
        """Rows wait for a replay."""
        return self.path.exists() or self._replaying.exists()

    def replay(self, write: Callable[[Sequence[Record]], None]) -> Iterator[int]:
        """Write all that was spilled, a chunk at each step; yields the number of its records.

        What `write` raises ends the replay; the next one starts over, which `Store.write` allows.
        Yields nothing while another process replays.
        """
        try:
            with self._lock(".replay.lock", wait=False):
                while self._claim():
                    with self._replaying.open("rb") as lines:
                        while chunk := list(islice(lines, REPLAY_CHUNK)):
                            yield self._write(chunk, write)
                    self._replaying.unlink()
        except BlockingIOError:
            return

    def _claim(self) -> bool:
        """Make sure that a file stands at `_replaying`; False where there is none to be had."""
        if not self._replaying.exists():
            with self._lock(".lock"):
                if not self.path.exists():
                    return False
                self.path.rename(self._replaying)
        return True

    def _write(self, lines: Sequence[bytes], write: Callable[[Sequence[Record]], None]) -> int:
        records, torn = [], []
        for line in lines:
            record = _parse(line)
            if record is None:
                torn.append(line)
            else:
                records.append(record)
        self._reject(torn)
        try:
            write(records)
        except BadRecordError:
            for record in records:
                try:
                    write([record])
                except BadRecordError:
                    self._reject([_line(record)])
        return len(records)

    def _reject(self, lines: Sequence[bytes]) -> None:
        if lines:
            _append(self._rejected, b"".join(lines))
            logger.error("%d spilled rows cannot be replayed: see %s", len(lines), self._rejected)

    @contextmanager
    def _lock(self, suffix: str, *, wait: bool = True) -> Iterator[None]:
        with self.path.with_name(self.path.name + suffix).open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield


def _append(path: Path, lines: bytes) -> None:
    """Append in full or not at all."""
    with path.open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            if _torn(path, end):
                file.write(b"\n")
            rest = memoryview(lines)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(end)
            raise


def _torn(path: Path, end: int) -> bool:
    """A process was killed in the middle of a line, before anyone was told that it is written."""
    if end == 0:
        return False
    with path.open("rb") as file:
        file.seek(end - 1)
        return file.read(1) != b"\n"


def _line(record: Record) -> bytes:
    return json.dumps(record._asdict()).encode() + b"\n"


def _parse(line: bytes) -> Record | None:
    try:
        found = json.loads(line)
        attempts = tuple(_UNKNOWN_OF_ATTEMPT | attempt for attempt in found["attempts"])
        return Record(_UNKNOWN_OF_REQUEST | found["request"], attempts)
    except (ValueError, KeyError, TypeError):
        return None
