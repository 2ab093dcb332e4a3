"""How `mmrouter config reload` finds a running server, and learns what came of it.

A server writes a file into a folder that only its user can enter; its workers answer with files
beside it. Nothing secret is in them.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmrouter.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that runs on this machine.

    Attributes:
        pid: of the process that takes SIGHUP.
        source: path or preset of its config, absolute where it is a file.
        workers: processes that answer.
    """

    pid: int
    source: str
    host: str
    port: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """A worker's answer.

    Attributes:
        at: Unix seconds.
        error: why it kept its old config; None where it took the new one.
    """

    worker: int
    at: float
    error: str | None


@contextmanager
def announced(serving: Serving) -> Iterator[Path]:
    """Leaves word of a server while it runs; the file's path is for its workers."""
    path = _folder() / f"{serving.pid}.json"
    _write(path, asdict(serving))
    try:
        yield path
    finally:
        for file in (path, *path.parent.glob(f"{serving.pid}-*.json")):
            file.unlink(missing_ok=True)


def servers() -> list[Serving]:
    """Those that run now."""
    found = []
    for path in _folder().glob("*.json"):
        if "-" in path.stem:
            continue
        try:
            serving = Serving(**json.loads(path.read_text("utf-8")))
            os.kill(serving.pid, 0)
        except (ProcessLookupError, PermissionError):
            path.unlink(missing_ok=True)  # it was killed
        except (OSError, ValueError, TypeError):
            continue
        else:
            found.append(serving)
    return sorted(found, key=lambda serving: serving.port)


def answer(path: Path, error: str | None) -> None:
    """A worker says what became of its reload."""
    worker = os.getpid()
    told = Reloaded(worker=worker, at=time.time(), error=error)
    _write(path.with_name(f"{path.stem}-{worker}.json"), asdict(told))


def answers(serving: Serving, *, since: float) -> list[Reloaded]:
    """What its workers have said since then (Unix seconds)."""
    found = []
    for path in _folder().glob(f"{serving.pid}-*.json"):
        try:
            told = Reloaded(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if told.at >= since:
            found.append(told)
    return found


def _folder() -> Path:
    """The user's own.

    Raises:
        ConfigError: somebody else has made it.
    """
    user = os.getuid()
    path = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"mmrouter-{user}"
    path.mkdir(mode=0o700, exist_ok=True)
    made = path.lstat()
    if not stat.S_ISDIR(made.st_mode) or made.st_uid != user or made.st_mode & 0o077:
        raise ConfigError(f"{path} is not a folder of this user alone: remove it")
    return path


def _write(path: Path, value: Any) -> None:
    """Whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(value), "utf-8")
    part.replace(path)
