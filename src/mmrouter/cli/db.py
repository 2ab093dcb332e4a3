"""`mmrouter db`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from mmrouter.cli.books import db_option, opened
from mmrouter.cli.when import When


@click.group(short_help="Look after the tracker's database.")
def db() -> None:
    """Look after the tracker's database."""


@db.command()
@db_option
@click.pass_obj
def migrate(obj: dict[str, str], db: str | None) -> None:
    """Bring the schema up to date; opening the database does so too."""
    from mmrouter.config import load_config

    with opened(load_config(obj["config"]), db):
        click.secho("The schema is up to date.", fg="green")


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@db_option
@click.pass_context
def verify(ctx: click.Context, as_json: bool, db: str | None) -> None:
    """Check that the books balance: attempts against requests, and rows without an owner.

    Exits with 1 where they do not.
    """
    from mmrouter.config import load_config

    with opened(load_config(ctx.obj["config"]), db) as store:
        faults = store.verify()
    if as_json:
        click.echo(json.dumps({"faults": [asdict(fault) for fault in faults]}, indent=2))
    elif not faults:
        click.secho("The books balance.", fg="green")
    else:
        for fault in faults:
            click.secho(f"{fault.kind} {fault.request_id}: {fault.detail}", fg="red")
    ctx.exit(1 if faults else 0)


@db.command()
@click.option("--older-than", type=When(), required=True, help="An age (90d) or a date.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@db_option
@click.pass_obj
def prune(obj: dict[str, str], older_than: float, yes: bool, db: str | None) -> None:
    """Delete requests older than that, with their attempts and feedback."""
    from mmrouter.config import load_config
    from mmrouter.tracker.analytics import stats
    from mmrouter.tracker.store import Filter

    with opened(load_config(obj["config"]), db) as store:
        count = stats(store, Filter(until=older_than)).total.requests
        if count and not yes:
            click.confirm(f"Delete {count} requests for good?", abort=True)
        click.secho(f"Deleted {store.prune(older_than=older_than)} requests.", fg="green")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "parquet"]), default="jsonl", show_default=True
)
@click.option("--since", type=When(), help="Only since: 24h, 7d, or a date.")
@db_option
@click.pass_obj
def export(obj: dict[str, str], file: Path, form: str, since: float | None, db: str | None) -> None:
    """Write requests with their attempts to FILE.

    \b
    Example:
      mmrouter db export requests.jsonl --since 7d
    """
    from mmrouter.config import load_config
    from mmrouter.tracker.export import to_jsonl, to_parquet
    from mmrouter.tracker.store import Filter

    write = to_parquet if form == "parquet" else to_jsonl
    with opened(load_config(obj["config"]), db) as store:
        try:
            count = write(store, Filter(since=since), file)
        except OSError as error:
            raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    click.secho(f"Wrote {count} requests to {file}.", fg="green")
