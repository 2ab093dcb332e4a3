"""PostgreSQL through psycopg 3: how it is opened, and how a batch is written to it.

A batch is one statement with two JSON parameters: one round trip, and no Python per row and column.
Durability is the server's own (`synchronous_commit`), which a URL can change:
`postgresql://host/db?options=-c%20synchronous_commit%3Doff`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import orjson
from sqlalchemy import (
    URL,
    ColumnElement,
    Table,
    TableValuedAlias,
    cast,
    create_engine,
    func,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from mmrouter.errors import MissingDependencyError, TrackerError
from mmrouter.tracker import schema
from mmrouter.tracker.late import late_hours, mark_stale
from mmrouter.tracker.migrations import migrate
from mmrouter.tracker.records import BadRecordError, Record

try:
    import psycopg
except ImportError as error:
    raise MissingDependencyError("psycopg", "pip install 'mmrouter[postgres]'") from error

CONNECT_TIMEOUT_S = 3
"""How long a server may take to accept a connection before the database counts as lost."""

SILENCE_TIMEOUT_MS = 5_000
"""How long sent data may stay unacknowledged: a host that vanished is noticed."""


def _insert(table: Table) -> str:
    columns = ", ".join(column.name for column in table.columns)
    return (
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} "  # noqa: S608
        f"FROM json_populate_recordset(NULL::{table.name}, %s) ON CONFLICT DO NOTHING"
    )


_INSERT = f"WITH written AS ({_insert(schema.requests)}) {_insert(schema.attempts)}"
_MARK_STALE = mark_stale("%s")
_BAD_RECORD = (psycopg.DataError, psycopg.IntegrityError, orjson.JSONEncodeError)


class PostgresBackend:
    """One database on a server."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg").update_query_dict(
            {"connect_timeout": str(CONNECT_TIMEOUT_S), "tcp_user_timeout": str(SILENCE_TIMEOUT_MS)}
            | dict(url.query)
        )
        self.engine = create_engine(self._url, pool_pre_ping=True)
        self._connection: psycopg.Connection[Any] | None = None

    def tags(self, of: Table = schema.requests) -> TableValuedAlias:
        """See `Store.tags`."""
        values = func.jsonb_array_elements_text(cast(of.c.tags, JSONB))
        return values.table_valued("value", name="tag").render_derived()

    def slices(self) -> list[ColumnElement[bool]]:
        """See `Store.slices`. The server divides long scans itself."""
        return [true()]

    def write(self, records: Sequence[Record]) -> None:
        """See `Store.write`. For one thread at a time."""
        try:
            connection = self._connection or self._connect()
            requests = orjson.dumps([record.request for record in records])
            attempts = orjson.dumps([row for record in records for row in record.attempts])
            late = late_hours(records, time.time())
            with connection.transaction() if late else nullcontext():
                connection.execute(_INSERT, (requests.decode(), attempts.decode()))
                for hour in sorted(late):
                    connection.execute(_MARK_STALE, (hour,))
        except _BAD_RECORD as error:
            self._disconnect()
            raise BadRecordError(f"{self._name}: {error}") from error
        except (psycopg.Error, OSError) as error:
            self._disconnect()
            raise TrackerError(f"cannot write to {self._name}: {error}") from error

    def close(self) -> None:
        """Give back every connection."""
        self._disconnect()
        self.engine.dispose()

    @property
    def _name(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def _connect(self) -> psycopg.Connection[Any]:
        migrate(self.engine)  # the server may have come back with another database
        _, arguments = self.engine.dialect.create_connect_args(self._url)
        connection = psycopg.connect(**arguments, autocommit=True, prepare_threshold=0)
        self._connection = connection
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self.engine.dispose()
