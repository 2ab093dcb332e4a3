"""`mmrouter budget`."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

if TYPE_CHECKING:
    from mmrouter.config import Config
    from mmrouter.router.budget import Audited

_DB = click.option("--db", metavar="PATH|URL", help="The books.  [default: mmrouter.db]")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(short_help="Spending limits: what is left, and whether the counters are right.")
def budget() -> None:
    """Spending limits: what is left, and whether the counters are right."""


@budget.command()
@_JSON
@_DB
@click.pass_obj
def status(obj: dict[str, str], as_json: bool, db: str | None) -> None:
    """Show every limit of today and of this month: spent, set aside, left, tier.

    Money that is set aside for calls in flight is known where `state.url` names a Redis; a server
    that counts in its own memory tells nobody.
    """
    config, audited = _audited(obj["config"], db)
    rows = standing(config, audited)
    if as_json:
        click.echo(
            json.dumps({"action": config.budget.hard_limit_action, "limits": rows}, indent=2)
        )
    elif _any(audited):
        show_standing(config, rows)


def budget_rows(source: str, db: str | None) -> tuple[Config, list[dict[str, Any]]]:
    """The limits of a config and how they stand; none where it sets none."""
    config, audited = _audited(source, db)
    return config, standing(config, audited)


def standing(config: Config, audited: list[Audited]) -> list[dict[str, Any]]:
    """How each limit stands, as JSON."""
    from mmrouter.decide.budget import tier

    return [
        {
            "limit": row.limit.title,
            "period": row.limit.period.label,
            "limit_nanos": row.limit.nanos,
            "settled_nanos": row.balance.settled,
            "reserved_nanos": row.balance.reserved,
            "left_nanos": max(0, row.limit.nanos - row.balance.committed),
            "tier": tier(row.limit, row.balance, config.budget).value,
            "resets": _instant(row.limit.period.end, config),
        }
        for row in audited
    ]


def show_standing(config: Config, rows: list[dict[str, Any]]) -> None:
    """Prints what `standing` found."""
    _table(
        ("limit", "of", "spent", "set aside", "left", "tier", "resets"),
        [
            (
                row["limit"],
                *(_usd(row[f"{name}_nanos"]) for name in ("limit", "settled", "reserved", "left")),
                row["tier"],
                row["resets"],
            )
            for row in rows
        ],
    )
    click.echo(f"At a limit: {config.budget.hard_limit_action}.")


@budget.command()
@_JSON
@_DB
@click.pass_obj
def audit(obj: dict[str, str], as_json: bool, db: str | None) -> None:
    """Add every attempt in the books up anew and compare with the counters.

    Ends with exit code 1 where they differ. Requests that end meanwhile show as a difference, so
    audit when it is quiet.
    """
    _, audited = _audited(obj["config"], db)
    drift = any(row.drift_nanos for row in audited)
    if as_json:
        rows = [
            {
                "limit": row.limit.title,
                "period": row.limit.period.label,
                "counter_nanos": row.balance.settled,
                "books_nanos": row.books_nanos,
                "drift_nanos": row.drift_nanos,
            }
            for row in audited
        ]
        click.echo(json.dumps({"drift": drift, "limits": rows}, indent=2))
    elif _any(audited):
        _table(
            ("limit", "period", "counter", "books", "drift"),
            [
                (
                    row.limit.title,
                    row.limit.period.label,
                    _usd(row.balance.settled),
                    _usd(row.books_nanos),
                    f"{row.drift_nanos} nano-USD",
                )
                for row in audited
            ],
        )
        if drift:
            click.secho("The counters and the books differ.", fg="red")
        else:
            click.secho("The counters are what the books say.", fg="green")
    if drift:
        raise SystemExit(1)


def _audited(source: str, db: str | None) -> tuple[Config, list[Audited]]:
    from mmrouter.bootstrap import open_budget
    from mmrouter.config import database_url, load_config
    from mmrouter.tracker.store import open_store

    config = load_config(source)
    store = open_store(database_url(config, db))

    async def look() -> list[Audited]:
        limits = open_budget(config, store)
        try:
            return await limits.audit()
        finally:
            await limits.aclose()

    try:
        return config, asyncio.run(look())
    finally:
        store.close()


def _any(audited: list[Audited]) -> bool:
    if not audited:
        click.echo(
            "No limits are set. Give them under `budget:` in the config, with enabled: true."
        )
    return bool(audited)


def _usd(nanos: int) -> str:
    from mmrouter.money import format_usd

    return format_usd(nanos)


def _instant(at: float, config: Config) -> str:
    return datetime.fromtimestamp(at, ZoneInfo(config.budget.timezone)).isoformat()


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    lines = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())
