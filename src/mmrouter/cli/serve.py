"""`mmrouter serve`."""

from __future__ import annotations

import click


@click.command(short_help="Serve the OpenAI and Anthropic APIs over HTTP.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: any free."
)
@click.option("--config", metavar="PATH|PRESET", help="Over `mmrouter -c`.")
@click.option("--db", metavar="PATH|URL", help="The tracker's database.  [default: config's]")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes."
)
@click.option(
    "--shadow",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Judge this share of routed answers against the baseline's in the background, within "
    "quality.daily_limit.  [default: config's]",
)
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="info logs one line per request.",
)
@click.pass_obj
def serve(
    obj: dict[str, str],
    host: str,
    port: int,
    config: str | None,
    db: str | None,
    workers: int,
    shadow: float | None,
    log_level: str,
) -> None:
    """Serve /v1/chat/completions, /v1/messages, /v1/responses and /v1/embeddings.

    Set MMROUTER_API_KEY, or list keys in the config (`mmrouter keys create`), to serve other
    machines. Budgets, breakers and rate limits are per worker unless config names a shared state.

    \b
    Examples:
      mmrouter serve --port 8080
      OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python your_program.py
      ANTHROPIC_BASE_URL=http://127.0.0.1:8080 claude
    """
    from mmrouter.server.run import serve as run

    source = config or obj["config"]
    run(source, host=host, port=port, db=db, workers=workers, shadow=shadow, log_level=log_level)
