"""`mmrouter stats --feedback`: what is believed of each model."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from mmrouter.cli.books import opened

if TYPE_CHECKING:
    from mmrouter.config import Config
    from mmrouter.router.beliefs import Believed

_WIDTH = 110


def show_beliefs(config: Config, db: str | None, *, as_json: bool) -> None:
    """Prints the belief per bucket and model."""
    from mmrouter.providers.registry import Registry
    from mmrouter.router.beliefs import believed, plain
    from mmrouter.tracker.feedback import tallies

    adaptive = config.adaptive
    with opened(config, db) as store:
        said = tallies(store, now=time.time(), decay_days=adaptive.decay_days)
    rows = list(believed(config, Registry(config).resolve, said))
    if as_json:
        found = {
            "enabled": adaptive.enabled,
            "strategy": adaptive.strategy,
            "decay_days": adaptive.decay_days,
            "beliefs": [plain(row) for row in rows],
        }
        click.echo(json.dumps(found, indent=2))
    elif rows:
        _table(rows, ZoneInfo(config.budget.timezone))
        if not adaptive.enabled:
            click.secho("adaptive.enabled is false: nothing is reordered.", fg="yellow")
    else:
        click.echo("Nobody has said anything yet. Try: mmrouter feedback REQUEST_ID up")


def _table(rows: list[Believed], zone: ZoneInfo) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Chance of a good answer", title_justify="left", box=None, pad_edge=False)
    for column in ("bucket", "model"):
        table.add_column(column, no_wrap=True)
    for column in ("mean", "90 % interval", "n", "effective", "last", "place"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        low, high = row.belief.interval
        last = datetime.fromtimestamp(row.tally.last, zone) if row.tally.count else None
        table.add_row(
            f"{row.complexity}/{row.category}",
            row.model,
            f"{row.belief.mean:.2f}",
            f"{low:.2f} to {high:.2f}",
            str(row.tally.count),
            f"{row.tally.weight:.1f}",
            f"{last:%Y-%m-%d}" if last else "-",
            _place(row),
        )
    Console(width=_WIDTH).print(table)


def _place(row: Believed) -> str:
    if row.configured is None:
        return "not in the route"
    return str(row.tried) if row.tried == row.configured else f"{row.configured} -> {row.tried}"
