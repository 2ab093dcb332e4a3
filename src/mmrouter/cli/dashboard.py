"""`mmrouter dashboard`."""

from __future__ import annotations

import click

from mmrouter.cli.books import db_option


@click.command(short_help="Show where every dollar went, and why, in the browser.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free."
)
@db_option
@click.pass_obj
def dashboard(obj: dict[str, str], host: str, port: int, db: str | None) -> None:
    """Serve the dashboard alone, on the books of a server that runs elsewhere, or of none.

    `mmrouter serve` has the same dashboard under /dashboard, and knows there what only the serving
    process knows: which breakers are open, and what is set aside for calls in flight.

    \b
    Examples:
      mmrouter dashboard --port 8000
      mmrouter dashboard --db postgresql://mmrouter@db/mmrouter
    """
    from mmrouter.server.run import serve

    where = f"[{host}]" if ":" in host else host
    click.echo(f"Dashboard: http://{where}:{port}/dashboard  (Ctrl+C stops it)")
    serve(
        obj["config"],
        host=host,
        port=port,
        db=db,
        workers=1,
        log_level="warning",
        factory="dashboard",
    )
