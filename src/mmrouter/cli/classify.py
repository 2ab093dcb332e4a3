"""`mmrouter classify`."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any

import click

from mmrouter.cli.prompts import read_prompt

if TYPE_CHECKING:
    from mmrouter.cli.strategies import Labels
    from mmrouter.types import Classification


_AHEAD = 32
"""Lines of a batch that are classified before the first of them is printed."""


@click.command(short_help="Classify prompts; no model is called.")
@click.argument("prompt", required=False)
@click.option(
    "--classifier",
    type=click.Choice(["auto", "rules", "embeddings", "llm"]),
    help="Strategy, over the config's.",
)
@click.option("--trained-model", metavar="DIR", help="Folder that `mmrouter train` wrote.")
@click.option(
    "--batch",
    type=click.File("rb"),
    metavar="FILE.jsonl",
    help='Lines of {"id", "prompt"} or {"id", "messages", "tools"}; prints one JSON line for each.',
)
@click.pass_obj
def classify(
    obj: dict[str, str],
    prompt: str | None,
    classifier: str | None,
    trained_model: str | None,
    batch: IO[bytes] | None,
) -> None:
    """Print the complexity, category, confidence and difficulty of PROMPT as JSON.

    Nothing is sent anywhere, but for the strategy llm, which asks the configured model.

    \b
    Examples:
      mmrouter classify "Explain quantum entanglement"
      mmrouter classify --batch prompts.jsonl > labels.jsonl
    """
    if batch is not None and prompt is not None:
        raise click.UsageError("Give a prompt or --batch, not both.")
    from mmrouter.cli.strategies import classifier_for

    with classifier_for(obj["config"], classifier, trained_model) as labels:
        if batch is None:
            label = _one(labels, {"prompt": read_prompt(prompt)})
            click.echo(json.dumps(as_plain(label), indent=2))
            return
        for line in _labelled(labels, batch):
            click.echo(line)


def as_plain(label: Classification) -> dict[str, Any]:
    """The classification as JSON."""
    return {
        "complexity": label.complexity.value,
        "category": label.category.value,
        "confidence": round(label.confidence, 4),
        "difficulty": round(label.difficulty, 4),
    }


def _one(labels: Labels, row: dict[str, Any]) -> Classification:
    from mmrouter.classifier.text import judge
    from mmrouter.dialects import DIALECTS
    from mmrouter.types import Dialect

    body = row if "messages" in row else {"messages": [{"role": "user", "content": row["prompt"]}]}
    return labels(judge(DIALECTS[Dialect.CHAT].conversation(body)))


def _labelled(labels: Labels, lines: IO[bytes]) -> Iterator[str]:
    """One line of JSON for each of the file's; a bad line is an error that names it."""

    def line_of(number: int, raw: bytes) -> str:
        row = _parse(raw, number)
        label = as_plain(_one(labels, row))
        return json.dumps({"id": row.get("id", number), **label}, ensure_ascii=False)

    filled = ((number, raw) for number, raw in enumerate(lines, start=1) if raw.strip())
    # Some lines ahead, so that every core has one: second looks compute beside each other.
    ahead: deque[Future[str]] = deque()
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for numbered in filled:
            ahead.append(pool.submit(line_of, *numbered))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C or a bad line nothing more is asked


def _parse(raw: bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(raw)
    except ValueError as error:
        raise click.ClickException(f"line {number}: not valid JSON: {error}") from None
    if not isinstance(row, dict) or not (
        isinstance(row.get("prompt"), str) or isinstance(row.get("messages"), list)
    ):
        raise click.ClickException(
            f'line {number}: expected {{"id", "prompt": "..."}} or {{"id", "messages": [...]}}'
        )
    return row
