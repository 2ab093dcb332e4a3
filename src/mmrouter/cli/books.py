"""The books that a command line names, opened and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mmrouter.config import Config
    from mmrouter.tracker.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def db_option(command: F) -> F:
    """`--db`, as every command has it that reads or writes the books."""
    return click.option(
        "--db", metavar="PATH|URL", help="The tracker's database.  [default: mmrouter.db]"
    )(command)


@contextmanager
def opened(config: Config, db: str | None) -> Iterator[Store]:
    """The store of a config, or the one of `--db`."""
    from mmrouter.config import database_url
    from mmrouter.tracker.store import open_store

    store = open_store(database_url(config, db))
    try:
        yield store
    finally:
        store.close()
