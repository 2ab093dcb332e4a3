"""The store of the books: one contract, two databases."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Table,
    TableValuedAlias,
    delete,
    exists,
    func,
    insert,
    make_url,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy import Row as SqlRow
from sqlalchemy.exc import ArgumentError

from mmrouter.errors import ConfigError, InvalidRequestError, TrackerError
from mmrouter.tracker import schema
from mmrouter.tracker.late import HOUR_S, mark_stale
from mmrouter.tracker.migrations import migrate
from mmrouter.tracker.records import Record, Row
from mmrouter.tracker.translate import translated
from mmrouter.tracker.verify import Fault, faults
from mmrouter.types import Nanos

EXPORT_CHUNK = 5_000
"""Rows that an iteration holds at a time."""

PRUNE_CHUNK = 500
"""Requests deleted in one transaction, so that writers get their turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which requests to look at; every field that is not None must hold.

    Attributes:
        since: first instant, Unix seconds, inclusive.
        until: last instant, exclusive.
        model: name of the model that answered.
        tag: one of the request's tags.
        status: a `types.Status` value.
        min_cost_nanos: least cost, inclusive; leaves out requests of unknown cost.
        max_cost_nanos: most, inclusive; leaves them out too.
    """

    since: float | None = None
    until: float | None = None
    model: str | None = None
    key_name: str | None = None
    tag: str | None = None
    session: str | None = None
    category: str | None = None
    complexity: str | None = None
    status: str | None = None
    min_cost_nanos: Nanos | None = None
    max_cost_nanos: Nanos | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the last row's `started` and `id`."""

    started: float
    id: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What the books say was spent, in nano-dollars.

    Attributes:
        unknown: requests whose cost is unknown, and which the sums leave out.
    """

    total: Nanos
    by_key: dict[str, Nanos]
    by_tag: dict[str, Nanos]
    unknown: int


class Store(Protocol):
    """Where the books are kept. Every method but `write` may be called from any thread.

    All raise `TrackerError` when the database cannot be reached or is broken.
    """

    def write(self, records: Sequence[Record]) -> None:
        """Write all of `records` in one transaction, durable against SIGKILL on return.

        A request id that is there already is passed over, so a replay may repeat. Called by one
        thread at a time.

        Raises:
            BadRecordError: a row cannot be stored; nothing was written.
        """

    def add_feedback(
        self, id: str, score: float, *, comment: str | None = None, source: str = "api"
    ) -> str | None:
        """Note a score in 0..1 for a request, named by our id or by its provider's response id.

        Returns:
            Our id of the request, or None where the books have no such request.

        Raises:
            InvalidRequestError: the score is outside 0..1.
        """

    def add_judgement(self, judgement: Row) -> None:
        """Write a row of `judgements`; `id` and `created` are made here."""

    def add_breaker_change(self, change: Row) -> None:
        """Write a row of `breaker_changes`; `id` is made here."""

    def breaker_changes(self, *, since: float = 0.0, limit: int = 100) -> list[Row]:
        """Rows of `breaker_changes`, newest first, from `since` (Unix seconds) on."""

    def request(self, id: str) -> Row | None:
        """One request with `attempts` (in order) and `feedback` (oldest first), or None."""

    def page(self, filter: Filter, *, before: Cursor | None = None, limit: int = 50) -> list[Row]:
        """Rows of `requests`, newest first, that come after `before` in this order."""

    def rows(self, filter: Filter) -> Iterator[Row]:
        """Rows of `requests`, oldest first, read in chunks as they are consumed."""

    def attempts(self, ids: Sequence[str]) -> list[Row]:
        """Rows of `attempts` of these requests, in order of request and ordinal."""

    def settled(self, *, since: float) -> Settled:
        """What requests that started at or after `since` (Unix seconds) cost."""

    def prune(self, *, older_than: float) -> int:
        """Delete requests that started before `older_than` (Unix seconds), attempts,
        feedback and judgements with them; and older changes of breakers and alerts. Returns the
        number of requests."""

    def verify(self) -> list[Fault]:
        """Every place where the books do not balance; empty when they do."""

    def read(self) -> AbstractContextManager[Connection]:
        """A connection for queries of one's own."""

    def change(self) -> AbstractContextManager[Connection]:
        """A transaction for small writes of one's own."""

    def tags(self, of: Table = schema.requests) -> TableValuedAlias:
        """A FROM element with the tags of a row of `requests`, or of sums of them, one a row in
        column `value`."""

    def slices(self) -> list[ColumnElement[bool]]:
        """Conditions on `requests` that divide a long table among queries that run side by side,
        where the database does not divide one among its own processes."""

    def close(self) -> None:
        """Give back every connection."""


def open_store(url: str, *, require: bool = True) -> Store:
    """Open the books and bring their schema up to date.

    Args:
        url: `sqlite:///file.db` or `postgresql://user@host/database`.
        require: False opens them even while the database is lost, for a tracker that spills; the
            schema is then brought up to date before the first write.

    Raises:
        ConfigError: the URL is of no supported kind.
        MissingDependencyError: the extra `postgres` is not installed.
        TrackerError: the database cannot be reached, or was written by a newer mmrouter.
    """
    backend = _backend(url)
    store = SqlStore(backend)
    try:
        migrate(backend.engine)
    except TrackerError:
        if require:
            store.close()
            raise
    return store


class Backend(Protocol):
    """What differs between databases."""

    @property
    def engine(self) -> Engine: ...
    def write(self, records: Sequence[Record]) -> None: ...
    def tags(self, of: Table = schema.requests) -> TableValuedAlias: ...
    def slices(self) -> list[ColumnElement[bool]]: ...
    def close(self) -> None: ...


def _backend(url: str) -> Backend:
    try:
        parsed: URL = make_url(url)
    except ArgumentError as error:
        raise ConfigError("tracker.url is not a database URL") from error
    match parsed.get_backend_name():
        case "sqlite":
            from mmrouter.tracker.sqlite import SqliteBackend

            return SqliteBackend(parsed)
        case "postgresql" | "postgres":
            from mmrouter.tracker.postgres import PostgresBackend

            return PostgresBackend(parsed)
        case other:
            raise ConfigError(f"tracker.url: expected sqlite or postgresql, got '{other}'")


def conditions(
    filter: Filter, tags: TableValuedAlias, of: Table = schema.requests
) -> list[ColumnElement[bool]]:
    """`filter` as conditions on `requests`, or on sums of them, which have no instants, sessions
    and single costs. `tags` comes from `Store.tags`."""
    table = of.c
    found: list[ColumnElement[bool]] = []
    if filter.since is not None:
        found.append(table.started >= filter.since)
    if filter.until is not None:
        found.append(table.started < filter.until)
    if filter.min_cost_nanos is not None:
        found.append(table.cost_nanos >= filter.min_cost_nanos)
    if filter.max_cost_nanos is not None:
        found.append(table.cost_nanos <= filter.max_cost_nanos)
    if filter.tag is not None:
        found.append(exists(select(1).select_from(tags).where(tags.c.value == filter.tag)))
    for name, value in (
        ("answered_model", filter.model),
        ("key_name", filter.key_name),
        ("session", filter.session),
        ("category", filter.category),
        ("complexity", filter.complexity),
        ("status", filter.status),
    ):
        if value is not None:
            found.append(table[name] == value)
    return found


class SqlStore:
    """`Store` over SQLAlchemy Core; batches go the backend's own, faster way."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.write = backend.write
        self.tags = backend.tags
        self.slices = backend.slices
        self.close = backend.close

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """See `Store.read`."""
        with translated(self._backend.engine), self._backend.engine.connect() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """See `Store.change`."""
        with translated(self._backend.engine), self._backend.engine.begin() as connection:
            yield connection

    def add_feedback(
        self, id: str, score: float, *, comment: str | None = None, source: str = "api"
    ) -> str | None:
        """See `Store.add_feedback`."""
        if not 0.0 <= score <= 1.0:
            raise InvalidRequestError(f"a score lies in 0..1, got {score}", param="score")
        table = schema.requests.c
        with self.change() as connection:
            found: str | None = connection.execute(
                select(table.id)
                .where(or_(table.id == id, table.upstream_id == id))
                .order_by(table.started.desc())
                .limit(1)
            ).scalar()
            if found is not None:
                connection.execute(
                    insert(schema.feedback).values(
                        request_id=found,
                        score=score,
                        comment=comment,
                        source=source,
                        created=time.time(),
                    )
                )
        return found

    def add_judgement(self, judgement: Row) -> None:
        """See `Store.add_judgement`."""
        with self.change() as connection:
            connection.execute(insert(schema.judgements).values(created=time.time(), **judgement))

    def add_breaker_change(self, change: Row) -> None:
        """See `Store.add_breaker_change`."""
        with self.change() as connection:
            connection.execute(insert(schema.breaker_changes).values(**change))

    def breaker_changes(self, *, since: float = 0.0, limit: int = 100) -> list[Row]:
        """See `Store.breaker_changes`."""
        table = schema.breaker_changes
        query = (
            select(table).where(table.c.at >= since).order_by(table.c.at.desc(), table.c.id.desc())
        )
        with self.read() as connection:
            return [plain(row) for row in connection.execute(query.limit(limit))]

    def request(self, id: str) -> Row | None:
        """See `Store.request`."""
        feedback = schema.feedback
        with self.read() as connection:
            row = connection.execute(
                select(schema.requests).where(schema.requests.c.id == id)
            ).one_or_none()
            if row is None:
                return None
            notes = connection.execute(
                select(feedback).where(feedback.c.request_id == id).order_by(feedback.c.id)
            )
            return plain(row) | {
                "attempts": _attempts(connection, [id]),
                "feedback": [plain(note) for note in notes],
            }

    def page(self, filter: Filter, *, before: Cursor | None = None, limit: int = 50) -> list[Row]:
        """See `Store.page`."""
        table = schema.requests
        query = select(table).where(*conditions(filter, self.tags()))
        if before is not None:
            query = query.where(tuple_(table.c.started, table.c.id) < (before.started, before.id))
        query = query.order_by(table.c.started.desc(), table.c.id.desc()).limit(limit)
        with self.read() as connection:
            return [plain(row) for row in connection.execute(query)]

    def rows(self, filter: Filter) -> Iterator[Row]:
        """See `Store.rows`."""
        table = schema.requests
        query = (
            select(table)
            .where(*conditions(filter, self.tags()))
            .order_by(table.c.started, table.c.id)
            .limit(EXPORT_CHUNK)
        )
        after: tuple[float, str] | None = None
        while True:
            chunk = query
            if after is not None:
                chunk = query.where(tuple_(table.c.started, table.c.id) > after)
            with self.read() as connection:
                found = [plain(row) for row in connection.execute(chunk)]
            yield from found
            if len(found) < EXPORT_CHUNK:
                return
            after = (found[-1]["started"], found[-1]["id"])

    def attempts(self, ids: Sequence[str]) -> list[Row]:
        """See `Store.attempts`."""
        with self.read() as connection:
            return _attempts(connection, ids)

    def settled(self, *, since: float) -> Settled:
        """See `Store.settled`."""
        table = schema.requests.c
        query = (
            select(
                table.key_name,
                table.tags,
                func.coalesce(func.sum(table.cost_nanos), 0),
                func.count() - func.count(table.cost_nanos),
            )
            .where(table.started >= since)
            .group_by(table.key_name, table.tags)
        )
        total = unknown = 0
        by_key: Counter[str] = Counter()
        by_tag: Counter[str] = Counter()
        with self.read() as connection:
            for key_name, tags, cost, unpriced in connection.execute(query):
                nanos = int(cost)  # PostgreSQL sums BIGINT as NUMERIC
                total += nanos
                unknown += unpriced
                if key_name is not None:
                    by_key[key_name] += nanos
                for tag in set(json.loads(tags)):
                    by_tag[tag] += nanos
        return Settled(total, dict(by_key), dict(by_tag), unknown)

    def prune(self, *, older_than: float) -> int:
        """See `Store.prune`."""
        table = schema.requests
        old = select(table.c.id, table.c.started).where(table.c.started < older_than)
        pruned = 0
        with self.change() as connection:
            for events in (schema.breaker_changes, schema.alerts):
                connection.execute(delete(events).where(events.c.at < older_than))
        while True:
            with self.change() as connection:
                chunk = connection.execute(old.limit(PRUNE_CHUNK)).all()
                ids = [id for id, _ in chunk]
                for hour in {int(started // HOUR_S) for _, started in chunk}:
                    connection.execute(text(mark_stale(":hour")), {"hour": hour})
                for owned in (schema.judgements, schema.feedback, schema.attempts):
                    connection.execute(delete(owned).where(owned.c.request_id.in_(ids)))
                connection.execute(delete(table).where(table.c.id.in_(ids)))
            pruned += len(ids)
            if len(ids) < PRUNE_CHUNK:
                return pruned

    def verify(self) -> list[Fault]:
        """See `Store.verify`."""
        with self.read() as connection:
            return list(faults(connection))


def _attempts(connection: Connection, ids: Sequence[str]) -> list[Row]:
    table = schema.attempts
    query = (
        select(table)
        .where(table.c.request_id.in_(ids))
        .order_by(table.c.request_id, table.c.ordinal)
    )
    return [plain(row) for row in connection.execute(query)]


def plain(row: SqlRow[Any]) -> Row:
    """A row as a dict; SQLAlchemy's own names are a subclass of str that JSON encoders refuse."""
    return {str(name): value for name, value in row._asdict().items()}
