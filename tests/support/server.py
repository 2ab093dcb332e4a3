"""The server on a real socket, as `mmrouter serve` runs it: in a thread, or in a process."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from mmrouter.bootstrap import build
from mmrouter.config import Config
from mmrouter.server.app import App
from mmrouter.server.protocol import Protocol
from tests.support.command import COMMAND, clean_environment


@contextmanager
def serving(config: Config, db: str) -> Iterator[str]:
    """Starts the application on a free loopback port, in a thread of its own; gives its URL."""
    started = threading.Event()
    settings = uvicorn.Config(
        App(partial(build, config, db=db)),
        host="127.0.0.1",
        port=0,
        http=Protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Announcing(settings, started)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert started.wait(30), "the server did not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server did not stop"


class _Announcing(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._announce = started

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self._announce.set()


@contextmanager
def serving_process(config: Config, folder: Path) -> Iterator[tuple[str, int]]:
    """Runs `mmrouter serve` in a process of its own; gives its URL and process id."""
    path = folder / "config.json"  # JSON is YAML
    path.write_text(config.model_dump_json(exclude_defaults=True))
    process = subprocess.Popen(
        [COMMAND, "serve", "--config", path, "--db", folder / "books.db", "--port", "0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    )
    assert process.stderr is not None
    try:
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            raise AssertionError("".join(lines))
        threading.Thread(target=process.stderr.read, daemon=True).start()  # it must not fill up
        yield found.group(), process.pid
    finally:
        process.terminate()
        process.wait(30)
