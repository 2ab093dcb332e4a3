"""One process alone at a set of books: for counters that live in its memory.

Two processes that each count in their own memory would together spend a limit twice.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import make_url, text

from mmrouter.errors import ConfigError
from mmrouter.tracker.store import Store

_ADVISORY_LOCK = 0x6D6D627564676574  # "mmbudget"


def claim(store: Store, url: str) -> Callable[[], None]:
    """Claims the books at `url` until the returned function is called, or the process dies.

    Raises:
        ConfigError: another process has them.
    """
    held = ExitStack()
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        mine = _lock_file(held, Path(f"{parsed.database}.budget-lock"))
    else:
        connection = held.enter_context(store.read())
        query = text("SELECT pg_try_advisory_lock(:key)")
        mine = bool(connection.execute(query, {"key": _ADVISORY_LOCK}).scalar())
        connection.commit()  # the lock is the session's, and no transaction stays open
    if not mine:
        held.close()
        raise ConfigError(
            "Another process keeps the budget of these books in its memory, and two would spend "
            "every limit twice. Set `state: {url: redis://...}` in the config to share it."
        )
    return held.close


def _lock_file(held: ExitStack, path: Path) -> bool:
    try:
        file = held.enter_context(path.open("wb"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        held.close()
        raise ConfigError(f"{path} cannot be locked: {error.strerror}") from error
    return True
