"""The command `mmrouter serve`, in a process of its own."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmrouter.config import Config
from tests.support.command import COMMAND, clean_environment


@contextmanager
def serving_process(
    config: Config, folder: Path, db: str | None = None
) -> Iterator[tuple[str, int]]:
    """Runs `mmrouter serve` in a process of its own; gives its URL and process id.

    Args:
        db: path or URL of the books; default: a file in `folder`.
    """
    path = folder / "config.json"  # JSON is YAML
    path.write_text(config.model_dump_json(exclude_defaults=True))
    process = subprocess.Popen(
        [COMMAND, "serve", "--config", path, "--db", db or folder / "books.db", "--port", "0"],
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
        while process.poll() is None and not _listens(found.group()):
            time.sleep(0.005)
        yield found.group(), process.pid
    finally:
        process.terminate()
        process.wait(30)


def _listens(url: str) -> bool:
    """The line with the URL is written a moment before."""
    try:
        socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))).close()
    except ConnectionRefusedError:
        return False
    return True
