"""`mmrouter route`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from mmrouter.cli.books import db_option
from mmrouter.cli.prompts import read_prompt

if TYPE_CHECKING:
    from mmrouter.library.result import RouteResult


@click.command(short_help="Answer a prompt with the cheapest model that will do it well.")
@click.argument("prompt", required=False)
@click.option("-v", "--verbose", is_flag=True, help="Show the decision and every attempt.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--model", default="auto", show_default=True, help="auto, auto:cheap, auto:best, or a name."
)
@click.option("--session", help="Id of the conversation that the prompt goes on with.")
@db_option
@click.pass_obj
def route(
    obj: dict[str, str],
    prompt: str | None,
    verbose: bool,
    as_json: bool,
    model: str,
    session: str | None,
    db: str | None,
) -> None:
    """Classify PROMPT, route it, print the answer and what it cost.

    The prompt is read from standard input where none is given. Without an API key a small local
    model answers, and the output says so.

    \b
    Examples:
      mmrouter route "What is the capital of France?"
      mmrouter route -v "Compare microservices and monoliths"
      git diff | mmrouter route --json
    """
    text = read_prompt(prompt)
    from mmrouter.library.router import Router
    from mmrouter.types import Surface

    with Router(obj["config"], db=db, local_fallback=True, surface=Surface.CLI) as router:
        if as_json:
            result = router.route(text, model=model, session=session)
        else:
            stream = router.stream(text, model=model, session=session)
            for piece in stream:
                click.echo(piece, nl=False)
            click.echo("\n")
            assert stream.result is not None  # noqa: S101 - an ended stream has a result
            result = stream.result
    if as_json:
        click.echo(json.dumps(as_plain(result), ensure_ascii=False, indent=2))
    elif verbose:
        _show_block(result)
    else:
        _show_line(result)


def as_plain(result: RouteResult) -> dict[str, Any]:
    """The result as JSON: costs in USD, times in milliseconds."""
    from mmrouter.money import to_usd

    classification = result.classification
    would = result.would_have_cost_nanos
    return {
        "content": result.content,
        "model": result.model,
        "provider": result.provider,
        "complexity": classification and classification.complexity.value,
        "category": classification and classification.category.value,
        "confidence": classification and round(classification.confidence, 4),
        "difficulty": classification and round(classification.difficulty, 4),
        "classifier": classification and classification.strategy,
        "tokens_in": result.usage.prompt_tokens,
        "tokens_out": result.usage.output_tokens,
        "cost_usd": result.cost_usd,
        "latency_ms": round(result.latency_ms, 1),
        "finish_reason": result.finish_reason,
        "request_id": result.request_id,
        "fallback_used": result.fallback_used,
        "cascade_used": result.cascade_used,
        "models_tried": result.models_tried,
        "reasons": list(result.decision.reasons),
        "attempts": [
            {
                "model": a.target.name,
                "status": a.status.value,
                "cost_usd": None if a.cost_nanos is None else to_usd(a.cost_nanos),
                "latency_ms": round(a.latency_ms, 1),
                "error": a.error,
            }
            for a in result.attempts
        ],
        "would_route_to": (
            result.decision.wanted.name if would is not None and result.decision.wanted else None
        ),
        "would_have_cost_usd": None if would is None else to_usd(would),
    }


def _show_line(result: RouteResult) -> None:
    from mmrouter.money import format_usd

    label = result.classification
    bucket = f"{label.complexity}/{label.category}" if label else "explicit"
    click.secho(
        f"[{bucket}] model={result.model} cost={format_usd(result.cost_nanos)} "
        f"latency={result.latency_ms:.0f}ms "
        f"tokens={result.usage.prompt_tokens}+{result.usage.output_tokens}",
        dim=True,
    )
    _show_notes(result)


def _show_block(result: RouteResult) -> None:
    from mmrouter.money import format_usd

    label = result.classification
    rows = [("Model", result.model)]
    if label is not None:
        rows += [
            ("Complexity", label.complexity.value),
            ("Category", label.category.value),
            ("Confidence", f"{label.confidence:.2f}"),
        ]
    rows += [
        ("Tokens", f"{result.usage.prompt_tokens} in / {result.usage.output_tokens} out"),
        ("Cost", format_usd(result.cost_nanos)),
        ("Latency", f"{result.latency_ms:.0f}ms"),
        ("Request", result.request_id),
        ("Decision", "; ".join(result.decision.reasons)),
    ]
    for name, value in rows:
        click.secho(f"  {name + ':':<12}{value}", dim=True)
    for number, attempt in enumerate(result.attempts, start=1):
        detail = attempt.error or attempt.detail or attempt.finish_reason or ""
        click.secho(
            f"  Attempt {number}:  {attempt.target.name} {attempt.status} "
            f"{attempt.latency_ms:.0f}ms {format_usd(attempt.cost_nanos)} {detail}".rstrip(),
            dim=True,
        )
    _show_notes(result)


def _show_notes(result: RouteResult) -> None:
    from mmrouter.money import format_usd

    if result.would_have_cost_nanos is not None and result.decision.wanted is not None:
        wanted = result.decision.wanted
        click.secho(
            f"  (no {wanted.api_key_env} is set: a small local model answered. With a key this "
            f"goes to {wanted.name}, and an answer of this length costs "
            f"{format_usd(result.would_have_cost_nanos)})",
            fg="yellow",
        )
    if result.cascade_used:
        tried = f"{result.models_tried} model{'s' if result.models_tried > 1 else ''}"
        click.secho(f"  (cascade: tried {tried})", fg="yellow")
    if result.fallback_used:
        click.secho("  (fallback model used)", fg="yellow")
    if result.decision.budget_downgraded:
        click.secho("  (budget: model downgraded due to spend limit)", fg="yellow")
