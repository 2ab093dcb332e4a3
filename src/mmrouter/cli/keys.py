"""`mmrouter keys`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click


@click.group(short_help="Make, list and revoke API keys of the server.")
def keys() -> None:
    """API keys of `mmrouter serve`, kept in the config by their hashes alone."""


@keys.command()
@click.argument("name")
@click.option(
    "--admin", is_flag=True, help="Opens the dashboard too: sees all requests, runs experiments."
)
@click.option("--tag", "tags", multiple=True, help="Added to each of its requests; repeatable.")
@click.option("--daily-limit", type=click.FloatRange(min=0), help="USD a day.")
@click.option("--monthly-limit", type=click.FloatRange(min=0), help="USD a month.")
@click.option("--requests-per-minute", type=click.IntRange(min=1))
@click.pass_obj
def create(
    obj: dict[str, str],
    name: str,
    admin: bool,
    tags: tuple[str, ...],
    daily_limit: float | None,
    monthly_limit: float | None,
    requests_per_minute: int | None,
) -> None:
    """Make a key called NAME and print it, once: the config keeps only its hash.

    It may ask models; with --admin it also opens the dashboard. A running server knows it after
    `mmrouter config reload`.

    \b
    Examples:
      mmrouter -c mmrouter.yaml keys create ci --tag ci --daily-limit 5
      mmrouter -c mmrouter.yaml keys create boss --admin
    """
    from mmrouter.server.keyfile import new_key, read, rewrite, with_key

    if not re.fullmatch(r"[\w.@-]{1,64}", name):
        raise click.UsageError("A NAME has up to 64 letters, digits, dots, dashes and underscores.")
    path = _file(obj)
    limits = {
        "scope": "admin" if admin else None,
        "tags": list(tags) or None,
        "daily_limit": daily_limit,
        "monthly_limit": monthly_limit,
        "requests_per_minute": requests_per_minute,
    }
    key = new_key()
    given = {field: value for field, value in limits.items() if value is not None}
    rewrite(path, with_key(read(path), name, key, given))
    click.secho(f"Key '{name}' is in {path}. It is shown this once:", fg="green", err=True)
    click.echo(key)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def list_keys(obj: dict[str, str], as_json: bool) -> None:
    """List the keys of the config."""
    from mmrouter.config import load_config

    rows = [
        {"name": name, **row.model_dump(exclude={"hash"}), "hash": row.hash}
        for name, row in load_config(obj["config"]).server.keys.items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("No keys. Make one with: mmrouter keys create NAME")
    for row in rows:
        limits = [
            f"{field.replace('_', ' ')} {row[field]:g}"
            for field in ("daily_limit", "monthly_limit", "requests_per_minute")
            if row[field] is not None
        ]
        facts = (row["name"], row["scope"], row["hash"][:15] + "…", ",".join(row["tags"]), *limits)
        click.echo("  ".join(facts).rstrip())


@keys.command()
@click.argument("name")
@click.pass_obj
def revoke(obj: dict[str, str], name: str) -> None:
    """Take the key called NAME out of the config.

    A running server refuses it after `mmrouter config reload`.
    """
    from mmrouter.server.keyfile import read, rewrite, without_key

    path = _file(obj)
    rewrite(path, without_key(read(path), name))
    click.secho(f"Key '{name}' is revoked.", fg="green")


def _file(obj: dict[str, str]) -> Path:
    """The config as a file that can be written: presets cannot."""
    path = Path(obj["config"])
    if not path.is_file():
        raise click.ClickException(
            f"Keys are kept in a config file of your own, and '{path}' is none. "
            "Make one with `mmrouter init`, then: mmrouter -c mmrouter.yaml keys ..."
        )
    return path
