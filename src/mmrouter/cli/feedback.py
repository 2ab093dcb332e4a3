"""`mmrouter feedback`."""

from __future__ import annotations

import click

from mmrouter.cli.books import db_option, opened


@click.command(short_help="Say whether an answer was good.")
@click.argument("request_id")
@click.argument("direction", type=click.Choice(["up", "down"]), required=False)
@click.option("--score", type=click.FloatRange(0, 1), help="Instead of up (1) or down (0).")
@click.option("--comment", help="Kept with the score.")
@db_option
@click.pass_obj
def feedback(
    obj: dict[str, str],
    request_id: str,
    direction: str | None,
    score: float | None,
    comment: str | None,
    db: str | None,
) -> None:
    """Note how good the answer to REQUEST_ID was: ours ("req_..."), or the provider's own id.

    The last word on a request counts. With `adaptive:` in the config, what people say changes which
    models are tried first; `mmrouter stats --feedback` shows what is believed of each.

    \b
    Examples:
      mmrouter feedback req_0123456789abcdef0123456789abcdef down --comment "wrong year"
      mmrouter feedback chatcmpl-9 --score 0.7
    """
    if (direction is None) == (score is None):
        raise click.UsageError("Say `up` or `down`, or give --score.")
    from mmrouter.config import load_config

    value = score if score is not None else float(direction == "up")
    with opened(load_config(obj["config"]), db) as store:
        found = store.add_feedback(request_id, value, comment=comment, source="cli")
    if found is None:
        raise click.ClickException(f"No request '{request_id}' is in the books.")
    click.secho(f"Noted {value:g} for {found}.", fg="green")
