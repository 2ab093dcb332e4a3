"""`mmrouter config reload`: a running server takes its config file as it is now."""

from __future__ import annotations

import os
import signal
import time

import click

from mmrouter.bootstrap import priced_config
from mmrouter.server.rendezvous import Reloaded, Serving, answers, servers

_LOOK_S = 0.05


def reload_server(port: int | None, timeout_s: float) -> None:
    """Checks the server's config, tells it, and waits for what it says.

    Raises:
        ConfigError: the config is wrong; the server is not told.
        click.ClickException: there is no such server, or it did not take the config.
    """
    serving = _chosen(port)
    priced_config(serving.source)
    sent = time.time()
    os.kill(serving.pid, signal.SIGHUP)
    told = _awaited(serving, sent, timeout_s)
    refused = [reloaded for reloaded in told if reloaded.error is not None]
    for error in dict.fromkeys(reloaded.error for reloaded in refused):
        click.secho(f"Not reloaded: {error}", fg="red", err=True)
    if refused:
        raise SystemExit(1)
    if len(told) < serving.workers:
        raise click.ClickException(
            f"{len(told)} of {serving.workers} workers answered within {timeout_s:g} s: see its log"
        )
    click.secho(f"{serving.source} is in force on port {serving.port}.", fg="green")


def _chosen(port: int | None) -> Serving:
    running = servers()
    found = [serving for serving in running if port in (None, serving.port)]
    if not found:
        where = "" if port is None else f" on port {port}"
        raise click.ClickException(f"No server of yours runs{where} on this machine.")
    if len(found) > 1:
        ports = ", ".join(str(serving.port) for serving in found)
        raise click.UsageError(f"Several servers run: choose one with --port ({ports}).")
    return found[0]


def _awaited(serving: Serving, sent: float, timeout_s: float) -> list[Reloaded]:
    until = time.monotonic() + timeout_s
    while True:
        told = answers(serving, since=sent)
        if len(told) >= serving.workers or time.monotonic() > until:
            return told
        time.sleep(_LOOK_S)
