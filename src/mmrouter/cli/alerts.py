"""`mmrouter alerts`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

import click

from mmrouter.cli.books import db_option, opened
from mmrouter.cli.when import When

if TYPE_CHECKING:
    from mmrouter.alerts.watch import Alerts
    from mmrouter.config import Config
    from mmrouter.tracker.store import Store

T = TypeVar("T")

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_WIDTH = 110


@click.group(short_help="What is wrong now, what people were told, whether it reaches them.")
def alerts() -> None:
    """What is wrong now, what people were told, and whether it reaches them.

    The server looks at the rules every `alerts.every_seconds`, and tells people through the
    channels of `alerts:` in the config.
    """


@alerts.command()
@_JSON
@db_option
@click.pass_obj
def status(obj: dict[str, str], as_json: bool, db: str | None) -> None:
    """Work every rule out now, and show its value against its threshold.

    Nobody is told. Of circuit breakers it knows what servers wrote into the books last.
    """
    from mmrouter.alerts import view
    from mmrouter.config import load_config

    config = load_config(obj["config"])
    found = _with(
        config, db, lambda made, store: view.status(made, config.alerts, store, audit=True)
    )
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    _show(found["rules"])
    if found["up"]:
        click.secho("\nPeople were told of, and it is not over:", bold=True)
        for one in found["up"]:
            told = _instant(one["told"], config)
            click.echo(f"  {one['rule']} {one['subject']}".rstrip() + f", last at {told}")
    click.echo(f"\nChannels: {', '.join(found['channels'])}")
    if not config.alerts.enabled:
        click.secho("alerts.enabled is false: nobody is told.", fg="yellow")


@alerts.command()
@click.option("--webhook-url", help="Post there, instead of to the channels of the config.")
@_JSON
@db_option
@click.pass_obj
def test(obj: dict[str, str], webhook_url: str | None, as_json: bool, db: str | None) -> None:
    """Send a trial alert through every channel, and say how that went.

    Ends with exit code 1 where it did not arrive.

    \b
    Example:
      mmrouter alerts test --webhook-url https://hooks.slack.com/services/...
    """
    from mmrouter.config import load_config

    config = load_config(obj["config"])
    if webhook_url is not None:
        there = {"webhook_url": webhook_url, "webhook_url_env": None, "notify_env": None}
        config = _changed(config, there)
    click.echo("Sending a trial alert...", err=True)
    sent = _with(config, db, lambda made, _: made.test())
    if as_json:
        click.echo(json.dumps({"delivered": sent}, indent=2))
    elif not sent:
        click.echo("Alerts are only logged. Set alerts.webhook_url, or give --webhook-url.")
    for name, fault in () if as_json else sent.items():
        if fault is None:
            click.secho(f"{name}: delivered", fg="green")
        else:
            click.secho(f"{name}: {fault}", fg="red", err=True)
    if any(sent.values()) or not sent:
        raise SystemExit(1)


@alerts.command()
@click.option("--since", type=When(), help="Only since: 24h, 7d, or a date.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@_JSON
@db_option
@click.pass_obj
def history(
    obj: dict[str, str], since: float | None, limit: int, as_json: bool, db: str | None
) -> None:
    """Show what people were told, newest first, and whether it was delivered."""
    from mmrouter.config import load_config
    from mmrouter.tracker.alerts import history as told

    config = load_config(obj["config"])
    with opened(config, db) as store:
        rows = told(store, since=since or 0.0, limit=limit)
    if as_json:
        click.echo(json.dumps({"alerts": rows}, indent=2))
        return
    if not rows:
        click.echo("Nobody was told of anything.")
    for row in rows:
        of = f" ({row['subject']})" if row["subject"] else ""
        kind = "" if row["kind"] == "raised" else f" {row['kind']}"
        click.echo(f"{_instant(row['at'], config)}  {row['rule']}{of}{kind}: {row['text']}")
        for name, fault in row["delivered"].items():
            if fault is not None:
                click.secho(f"  {name}: {fault}", fg="red")


def _with(config: Config, db: str | None, work: Callable[[Alerts, Store], Awaitable[T]]) -> T:
    """The result of work on a config's alerts, which are not started."""
    from mmrouter.bootstrap import open_alerts, open_budget

    async def run(store: Store) -> T:
        budget = open_budget(config, store)
        try:
            return await work(open_alerts(config, store, budget, None), store)
        finally:
            await budget.aclose()

    with opened(config, db) as store:
        return asyncio.run(run(store))


def _changed(config: Config, keys: dict[str, Any]) -> Config:
    """The config with other keys under `alerts:`.

    Raises:
        click.BadParameter: the URL is none.
    """
    from pydantic import ValidationError

    from mmrouter.config.schema import AlertsConfig

    try:
        alerts = AlertsConfig.model_validate(config.alerts.model_dump() | keys)
    except ValidationError:
        raise click.BadParameter("expected an http or https URL") from None
    return config.model_copy(update={"alerts": alerts})


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("rule", "of", "value", "threshold", "", "what"):
        justify: Any = "right" if column in ("value", "threshold") else "left"
        table.add_column(column, no_wrap=column != "what", justify=justify)
    for row in rows:
        state = "[red]fires[/red]" if row["firing"] else "ok" if row["value"] is not None else "?"
        table.add_row(
            row["rule"],
            row["subject"],
            _figure(row["value"], row["unit"]),
            _figure(row["threshold"], row["unit"]),
            state if row["on"] else f"{state}, off",
            row["text"],
        )
    Console(width=_WIDTH).print(table)


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    match unit:
        case "share":
            return f"{value:.0%}"
        case "usd":
            return f"${value:.2f}"
        case "ms":
            return f"{value / 1000:.1f} s"
        case _:
            return f"{value:g}"


def _instant(at: float, config: Config) -> str:
    zone = ZoneInfo(config.budget.timezone)
    return datetime.fromtimestamp(at, zone).isoformat(sep=" ", timespec="seconds")
