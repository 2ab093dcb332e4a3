"""`mmrouter demo`."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

_TRIAL = "small-for-medium"
_SEED = 7


@click.command(short_help="Fill a throw-away database with a day's requests; show the dashboard.")
@click.option("--requests", default=400, show_default=True, type=click.IntRange(1, 20_000))
@click.option("--local", default=4, show_default=True, help="How many the local model answers.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--db", metavar="PATH", help="Keep the database here.  [default: thrown away]")
@click.option("--serve/--no-serve", default=True, help="Serve afterwards, dashboard and API.")
@click.option("--open/--no-open", "browse", default=True, help="Open a browser on it.")
def demo(
    requests: int, local: int, host: str, port: int, db: str | None, serve: bool, browse: bool
) -> None:
    """Show the dashboard with a day of traffic that never was.

    The prompts are made up and the cloud is simulated, as its models' names say; everything else is
    real: classifying, routing, retries, fallbacks, budgets, prices and books. No key is needed and
    nothing leaves this machine.

    \b
    Examples:
      mmrouter demo
      mmrouter demo --requests 1000 --port 8001 --no-open
    """
    from mmrouter.demo.cloud import simulated_cloud
    from mmrouter.demo.config import demo_config, thriftier

    with (
        tempfile.TemporaryDirectory(prefix="mmrouter-demo-") as folder,
        simulated_cloud(_SEED) as cloud,
    ):
        import yaml

        source = Path(folder) / "demo.yaml"
        config = demo_config(cloud.base_url)
        source.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
        books = db or str(Path(folder) / "demo.db")
        _fill(source, thriftier(config), books, requests, min(local, requests))
        if serve:
            _serve(source, books, host, port, browse)


def _fill(source: Path, other: dict[str, Any], books: str, requests: int, local: int) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from mmrouter.bootstrap import build
    from mmrouter.cli.books import opened
    from mmrouter.config import Config, load_config
    from mmrouter.demo.fill import demo_now, experiment, fill
    from mmrouter.demo.prompts import day
    from mmrouter.tracker import experiments

    asked = day(requests, local, _SEED, datetime.now().astimezone().hour)
    config = load_config(source)
    with opened(config, books) as store:
        if experiments.running(store) is None and experiments.named(store, _TRIAL) is None:
            experiments.create(
                store, experiment(_TRIAL, config, Config.model_validate(other), asked)
            )

    async def run(progress: Progress) -> None:
        task = progress.add_task("A day of requests", total=len(asked))
        parts = build(source, db=books, now=demo_now)
        try:
            await fill(parts, asked, _SEED, lambda: progress.advance(task))
        finally:
            await parts.aclose()

    began = time.perf_counter()
    with Progress(console=Console(stderr=True)) as progress:
        asyncio.run(run(progress))
    click.echo(f"{len(asked)} requests in {time.perf_counter() - began:.0f} s: {books}", err=True)


def _serve(source: Path, books: str, host: str, port: int, browse: bool) -> None:
    from mmrouter.server.run import serve

    url = f"http://{host}:{port}/dashboard"
    click.echo(f"Dashboard: {url}  (Ctrl+C ends the demo)")
    if browse:
        click.launch(url)
    serve(str(source), host=host, port=port, db=books, workers=1, log_level="warning")
