"""Starts the server: uvicorn with uvloop and httptools (docs/decisions/0002-http-libraries.md)."""

from __future__ import annotations

import gc
import logging
import math
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from mmrouter.bootstrap import build
from mmrouter.config import Config, load_config
from mmrouter.errors import ConfigError, MissingDependencyError
from mmrouter.router.parts import Parts
from mmrouter.server.app import App
from mmrouter.server.auth import KEY_ENV
from mmrouter.server.origin import is_loopback
from mmrouter.server.rendezvous import Serving, announced, answer

LOG_LEVELS = ("debug", "info", "warning", "error")

_CONFIG_ENV = "MMROUTER_CONFIG"
_DB_ENV = "MMROUTER_DB"
_SHADOW_ENV = "MMROUTER_SHADOW"
_ANNOUNCED_ENV = "MMROUTER_ANNOUNCED"

STARTUP_FAILED = 3
"""Exit code, as uvicorn has it."""
_KEEP_ALIVE_S = 75
"""Longer than clients keep idle connections, so that it is not we who close under a request."""


def serve(
    source: str,
    *,
    host: str,
    port: int,
    db: str | None,
    workers: int,
    log_level: str,
    shadow: float | None = None,
    factory: str = "app",
) -> None:
    """Serves until SIGTERM or SIGINT; then lets what runs finish for `server.drain_seconds`.

    Args:
        source: path or preset name of the config.
        port: 0 takes a free one.
        db: URL or path of the tracker's database, over config's.
        workers: processes that share the port.
        shadow: share of routed answers that are judged, over config's.
        factory: "app", or "dashboard" to serve that alone.

    Raises:
        ConfigError: the config is wrong, or the server would be open to everybody.
        MissingDependencyError: the extra `server` is not installed.
    """
    config = load_config(source)
    refuse_open_door(config, host)
    try:
        import uvicorn

        from mmrouter.server.protocol import Protocol
        from mmrouter.server.workers import Workers
    except ImportError as error:
        raise MissingDependencyError(str(error.name), "pip install 'mmrouter[server]'") from None
    os.environ[_CONFIG_ENV] = source  # workers are processes of their own, and read it there
    if db is not None:
        os.environ[_DB_ENV] = db
    if shadow is not None:
        os.environ[_SHADOW_ENV] = str(shadow)
    settings = uvicorn.Config(
        f"mmrouter.server.run:{factory}",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        http=Protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=_logging(log_level),
        log_level=None if log_level == "debug" else log_level,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=4096,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(config.server.drain_seconds),
    )
    listening = settings.bind_socket()
    # that says where it serves: who comes now waits for the workers, and is not refused
    listening.listen(settings.backlog)
    # until workers listen for it, SIGHUP must not end them
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    serving = Serving(
        pid=os.getpid(),
        source=str(Path(source).absolute()) if Path(source).is_file() else source,
        host=host,
        port=listening.getsockname()[1],
        workers=workers,
    )
    with announced(serving) as path:
        os.environ[_ANNOUNCED_ENV] = str(path)
        if workers > 1:
            Workers(settings, sockets=[listening]).run()
            return
        server = uvicorn.Server(settings)
        server.run(sockets=[listening])
    if not server.started:
        sys.exit(STARTUP_FAILED)


def app() -> App:
    """The application of one worker, from the environment that `serve` set."""
    return App(_built, load=_config, reloaded=_reloaded)


def _reloaded(error: str | None) -> None:
    path = os.environ.get(_ANNOUNCED_ENV)
    if path is not None:
        answer(Path(path), error)


def _built() -> Parts:
    # our lines show neither, and each request writes one
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    parts = build(_config(), db=os.environ.get(_DB_ENV), shadow=True)
    gc.collect()
    gc.freeze()  # what lives as long as the process need not be looked at again and again
    return parts


def _config() -> Config:
    """The config, with what the command line says over it."""
    config = load_config(os.environ[_CONFIG_ENV])
    shadow = os.environ.get(_SHADOW_ENV)
    if shadow is None:
        return config
    quality = config.quality.model_copy(update={"shadow": float(shadow)})
    return config.model_copy(update={"quality": quality})


def dashboard() -> App:
    """The dashboard beside a server that runs in another process, or in none."""
    looking = partial(build, os.environ[_CONFIG_ENV], db=os.environ.get(_DB_ENV), spends=False)
    return App(looking, serving=False)


def refuse_open_door(config: Config, host: str) -> None:
    """Without a key only this machine may reach the server: whoever can, spends its owner's money.

    Raises:
        ConfigError
    """
    if not (is_loopback(host) or config.server.keys or os.environ.get(KEY_ENV)):
        raise ConfigError(
            f"Not listening on {host} without an API key. Set one with: export {KEY_ENV}=... (or "
            "`mmrouter keys create NAME`), or listen on 127.0.0.1"
        )


def _logging(level: str) -> dict[str, Any]:
    """Our own lines at the level asked for; of libraries, whose debug lines show prompts, only
    warnings."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"mmrouter": {"level": level.upper()}},
    }
