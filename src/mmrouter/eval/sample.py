"""Conversations to judge routing on: from a file, from the books, or from the shipped test set."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmrouter.errors import ConfigError
from mmrouter.eval.dataset import conversation_of, read_rows
from mmrouter.tracker.store import Filter, Store
from mmrouter.types import Status, Surface

Body = Mapping[str, Any]
"""`messages`, and `tools` where there are any, in the shape of OpenAI's chat API."""


def shipped() -> Iterator[Body]:
    """The prompts of the test set that comes with mmrouter."""
    for row in read_rows():
        yield _body(row.conversation.messages, row.conversation.tools)


def from_file(path: Path) -> Iterator[Body]:
    """A JSON Lines file of `{"prompt"}` or `{"messages", "tools"?}`.

    Raises:
        ConfigError: names the line at fault.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found = conversation_of(json.loads(line))
            except (ValueError, AttributeError) as error:
                raise ConfigError(f"{path}, line {number}: {error}") from error
            yield _body(found.messages, found.tools)


def from_books(store: Store, since: float | None) -> Iterator[Body]:
    """The prompts that the books keep, without what was sent to compare answers.

    Raises:
        ConfigError: they keep none.
    """
    kept = False
    for row in store.rows(Filter(since=since, status=Status.OK.value)):
        theirs = row["surface"] != Surface.QUALITY and row["requested_model"].startswith("auto")
        if theirs and row["prompt"]:
            kept = True
            yield _body([{"role": "user", "content": row["prompt"]}], ())
    if not kept:
        raise ConfigError(
            "the books keep no prompts: set `tracker.store_prompts: true` and wait for traffic, or "
            "judge a file (--from prompts.jsonl)"
        )


def drawn(bodies: Iterator[Body], count: int, rng: random.Random) -> list[Body]:
    """`count` of them, each as likely as the others (reservoir sampling, Vitter 1985)."""
    kept: list[Body] = []
    for seen, body in enumerate(bodies):
        if seen < count:
            kept.append(body)
        elif (place := rng.randint(0, seen)) < count:
            kept[place] = body
    return kept


def _body(messages: Any, tools: Any) -> Body:
    body: dict[str, Any] = {"messages": list(messages)}
    return body | {"tools": list(tools)} if tools else body
