"""SQLite: how it is opened, and how a batch is written to it.

The write-ahead log makes a commit one `write()`: it outlives the process at once, and a power cut
from the next checkpoint on (`synchronous=NORMAL`). Checkpoints, the only moments that wait for the
disk, run in their own thread, so that no request waits for one.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Table,
    TableValuedAlias,
    create_engine,
    event,
    func,
    literal_column,
    select,
    true,
)

from mmrouter.errors import ConfigError, TrackerError
from mmrouter.tracker import schema
from mmrouter.tracker.late import late_hours, mark_stale
from mmrouter.tracker.migrations import migrate
from mmrouter.tracker.records import BadRecordError, Record, Row

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 10.0
"""How long a write waits for another process before the database counts as lost."""

CHECKPOINT_ROWS = 1_000
"""Requests between two checkpoints: 5 to 30 MB of log."""

LOG_LIMIT_PAGES = 16_384
"""A log of 64 MB makes the checkpoint hold the writers for a moment, so that it starts over."""

SLICED_FROM = 100_000
"""Requests from which a table is read in two halves."""


def _insert(table: Table) -> str:
    columns = ", ".join(column.name for column in table.columns)
    values = ", ".join("?" for _ in table.columns)
    return f"INSERT INTO {table.name} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608


def _values(table: Table) -> Callable[[Row], tuple[Any, ...]]:
    return itemgetter(*(column.name for column in table.columns))


_INSERT_REQUEST, _request_values = _insert(schema.requests), _values(schema.requests)
_INSERT_ATTEMPT, _attempt_values = _insert(schema.attempts), _values(schema.attempts)
_MARK_STALE = mark_stale("?")
_BAD_RECORD = (
    KeyError,  # a spilled line without a column that every mmrouter knew
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)


class SqliteBackend:
    """One database file.

    Raises:
        ConfigError: the URL names no file.
    """

    def __init__(self, url: URL) -> None:
        if url.host is not None or url.username is not None:
            raise ConfigError(
                "tracker.url names a host, and SQLite has files only: write sqlite:///mmrouter.db, "
                "or sqlite:////var/lib/mmrouter.db for a path from the root"
            )
        if not url.database or url.database == ":memory:":
            raise ConfigError(f"tracker.url {url!s} names no file: write sqlite:///mmrouter.db")
        self._path = Path(url.database)
        self.engine = create_engine(url)
        event.listen(self.engine, "connect", _configure)
        self._checkpointer = _Checkpointer(self._path)
        self._rows = 0
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    def tags(self, of: Table = schema.requests) -> TableValuedAlias:
        """See `Store.tags`."""
        return func.json_each(of.c.tags).table_valued("value", name="tag")

    def slices(self) -> list[ColumnElement[bool]]:
        """See `Store.slices`. SQLite runs a query on one core."""
        row = literal_column("requests.rowid", BigInteger)
        with self.engine.connect() as connection:
            last = connection.execute(select(func.max(row)).select_from(schema.requests)).scalar()
        if last is None or last < SLICED_FROM:
            return [true()]
        return [row <= last // 2, row > last // 2]

    def write(self, records: Sequence[Record]) -> None:
        """See `Store.write`. For one thread at a time."""
        try:
            connection = self._connection or self._connect()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT_REQUEST, [_request_values(r.request) for r in records])
            connection.executemany(
                _INSERT_ATTEMPT, [_attempt_values(row) for r in records for row in r.attempts]
            )
            for hour in late_hours(records, time.time()):
                connection.execute(_MARK_STALE, (hour,))
            connection.execute("COMMIT")
            if self._path.stat().st_ino != self._inode:
                raise TrackerError(f"{self._path} was replaced while it was open")
        except _BAD_RECORD as error:
            self._disconnect()
            raise BadRecordError(f"{self._path}: {error}") from error
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            raise TrackerError(f"cannot write to {self._path}: {error}") from error
        except TrackerError:
            self._disconnect()
            raise
        self._rows += len(records)
        if self._rows >= CHECKPOINT_ROWS:
            self._rows = 0
            self._checkpointer.due.set()

    def close(self) -> None:
        """Give back every connection; the last one to the file folds the log into it."""
        self._checkpointer.close()
        self._disconnect()
        self.engine.dispose()

    def _connect(self) -> sqlite3.Connection:
        migrate(self.engine)  # the file may be a new one
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        _configure(connection)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        self._inode = self._path.stat().st_ino
        self._connection = connection
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()  # rolls back what is open
            self.engine.dispose()


def _configure(connection: Any, _: object = None) -> None:
    connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


class _Checkpointer:
    """A thread that moves the log into the database file whenever `due` is set."""

    def __init__(self, path: Path) -> None:
        self.due = threading.Event()
        self._path = path
        self._closing = False
        self._thread: threading.Thread = threading.Thread(
            target=self._run, name="mmrouter-checkpoint", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        self.due.set()
        self._thread.join()

    def _run(self) -> None:
        while self.due.wait() and not self._closing:
            self.due.clear()
            try:
                self._checkpoint()
            except sqlite3.Error as error:  # the writer meets the same fault, and answers for it
                logger.warning("checkpoint of %s: %s", self._path, error)

    def _checkpoint(self) -> None:
        with closing(sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S)) as connection:
            _, log_pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if log_pages > LOG_LIMIT_PAGES:
                connection.execute("PRAGMA wal_checkpoint(RESTART)")
