"""The server in a process of its own, as operators run it."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.http.serving import Served
from tests.support.command import COMMAND, clean_environment
from tests.support.configs import config_for
from tests.support.upstream import Upstream


@contextmanager
def process(upstream: Upstream, folder: Path, *arguments: str) -> Iterator[tuple[Any, int]]:
    """`mmrouter serve` in a process of its own, and its port. Its config is `c.json` in `folder`,
    where `mmrouter config reload` finds it with XDG_RUNTIME_DIR set to that folder."""
    patient = {"max_retries": 0, "timeout_ms": 60_000}
    config = config_for({"m": upstream.base_url}, server={"drain_seconds": 10}, provider=patient)
    (folder / "c.json").write_text(config.model_dump_json(exclude_defaults=True))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    command = [COMMAND, "-c", "c.json", "serve", "--port", str(port), "--db", "b.db", *arguments]
    environment = clean_environment() | {"XDG_RUNTIME_DIR": str(folder)}
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: child.poll() is not None or healthy(port))
        assert child.poll() is None, (folder / "log").read_text()
        yield child, port
    finally:
        if child.poll() is None:
            child.terminate()
        child.wait(20)


def healthy(port: int) -> bool:
    try:
        return Served(port, "").ask("GET", "/health").status == 200
    except OSError:
        return False


def eventually(look: Any) -> Any:
    """What `look` finds, as soon as it finds anything."""
    end = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < end, "it never happened"
        threading.Event().wait(0.02)
    return found
