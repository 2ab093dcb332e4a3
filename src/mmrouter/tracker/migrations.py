"""Numbered changes of the schema, the same on SQLite and PostgreSQL.

Each runs once, in order, in one transaction with the note that it ran. Processes that start at the
same time take turns: SQLite by its write lock, PostgreSQL by an advisory lock.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, insert, inspect, select, text, update

from mmrouter.errors import TrackerError
from mmrouter.tracker import schema
from mmrouter.tracker.translate import translated

_ADVISORY_LOCK = 0x6D6D726F75746572  # "mmrouter"


def _m001_books(connection: Connection) -> None:
    """The first form: requests, attempts, feedback."""
    schema.metadata.create_all(
        connection, tables=[schema.requests, schema.attempts, schema.feedback]
    )


def _m002_hour_caches(connection: Connection) -> None:
    """Tokens written to an hour's cache, which have a rate of their own."""
    for table in (schema.requests, schema.attempts):
        known = {column["name"] for column in inspect(connection).get_columns(table.name)}
        if "cache_write_1h_tokens" not in known:  # a new database has it from the first step
            connection.exec_driver_sql(
                f"ALTER TABLE {table.name} "
                "ADD COLUMN cache_write_1h_tokens BIGINT NOT NULL DEFAULT 0"
            )


def _m003_judgements(connection: Connection) -> None:
    """What judges said of routed answers."""
    schema.metadata.create_all(connection, tables=[schema.judgements])


def _m004_breaker_changes(connection: Connection) -> None:
    """When models and providers failed, and came back."""
    schema.metadata.create_all(connection, tables=[schema.breaker_changes])


def _m005_alerts(connection: Connection) -> None:
    """What people were told, and which alerts are up."""
    schema.metadata.create_all(connection, tables=[schema.alerts, schema.alert_states])


def _m006_continuations(connection: Connection) -> None:
    """Whether a conversation stayed with its model, and the price of leaving it."""
    known = {column["name"] for column in inspect(connection).get_columns("requests")}
    for name, kind in (
        ("continuation", "TEXT"),
        ("switch_nanos", "BIGINT"),
        ("switch_saving_nanos", "BIGINT"),
    ):
        if name not in known:  # a new database has them from the first step
            connection.exec_driver_sql(f"ALTER TABLE requests ADD COLUMN {name} {kind}")


def _m007_experiments(connection: Connection) -> None:
    """Configs that share the traffic."""
    schema.metadata.create_all(connection, tables=[schema.experiments])


def _m008_sums(connection: Connection) -> None:
    """Sums of hours that are over, and the times of a sixteenth of the requests."""
    tables = (schema.request_sums, schema.answer_sums, schema.call_sums)
    schema.metadata.create_all(connection, tables=[*tables, schema.sums_state, schema.stale_hours])
    if connection.execute(select(schema.sums_state)).first() is None:
        connection.execute(insert(schema.sums_state).values(generation=0, upto=None))
    connection.exec_driver_sql(
        "CREATE INDEX IF NOT EXISTS ix_requests_sample ON requests "
        f"(started, answered_model, latency_ms, ttft_ms) WHERE {schema.SAMPLED}"
    )


def _m009_units(connection: Connection) -> None:
    """Which requests an experiment keeps together."""
    known = {column["name"] for column in inspect(connection).get_columns("requests")}
    if "unit" not in known:  # a new database has it from the first step
        connection.exec_driver_sql("ALTER TABLE requests ADD COLUMN unit TEXT")


def _m010_bounds(connection: Connection) -> None:
    """The most that a call could have cost, beside what it did."""
    known = {column["name"] for column in inspect(connection).get_columns("attempts")}
    if "bound_nanos" not in known:  # a new database has it from the first step
        connection.exec_driver_sql("ALTER TABLE attempts ADD COLUMN bound_nanos BIGINT")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    _m001_books,
    _m002_hour_caches,
    _m003_judgements,
    _m004_breaker_changes,
    _m005_alerts,
    _m006_continuations,
    _m007_experiments,
    _m008_sums,
    _m009_units,
    _m010_bounds,
)
"""The n-th (from 1) brings the schema to version n. Never reordered, never edited once released."""


def migrate(engine: Engine) -> list[str]:
    """Bring the schema up to date.

    Returns:
        Names of the migrations that ran, in order; empty when there was nothing to do.

    Raises:
        TrackerError: the books were written by a newer mmrouter, or cannot be reached.
    """
    with translated(engine):
        return _migrate(engine)


def _migrate(engine: Engine) -> list[str]:
    latest = len(MIGRATIONS)
    with engine.connect() as connection:
        if _version(connection) == latest:
            return []
    with engine.connect() as connection:
        _lock(connection)
        version = _version(connection)
        if version > latest:
            raise TrackerError(
                f"the tracker's schema has version {version}, this mmrouter knows {latest}: "
                "upgrade mmrouter"
            )
        pending = MIGRATIONS[version:]
        for migration in pending:
            migration(connection)
        _note(connection, latest)
        connection.commit()
        return [migration.__name__.removeprefix("_") for migration in pending]


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table(schema.schema_version.name):
        return 0
    return connection.execute(select(schema.schema_version.c.version)).scalar_one_or_none() or 0


def _note(connection: Connection, version: int) -> None:
    schema.schema_version.create(connection, checkfirst=True)
    if connection.execute(update(schema.schema_version).values(version=version)).rowcount == 0:
        connection.execute(insert(schema.schema_version).values(version=version))
