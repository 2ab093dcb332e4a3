"""Labelled requests: the rows that classifiers are measured on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from mmrouter.classifier.text import Judged, judge
from mmrouter.dialects.base import Conversation, items
from mmrouter.errors import ConfigError
from mmrouter.types import Category, Complexity


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A request and what it is.

    Attributes:
        id: unique in its file.
        kind: the register: "clean", "messy", "multilingual", "multi_turn" or "agent"; free text.
        lang: language code, "" where the row does not say.
        family: rows of one family share a topic or template; "" where the row does not say.
    """

    id: str
    conversation: Conversation
    complexity: Complexity
    category: Category
    kind: str = ""
    lang: str = ""
    family: str = ""

    @property
    def judged(self) -> Judged:
        """What classifiers look at."""
        return judge(self.conversation)


def read_rows(path: Path | None = None) -> list[Row]:
    """The rows of a JSON Lines file; those shipped with mmrouter where no path is given.

    A line is `{"id", "complexity", "category", "prompt" | "messages", "tools"?, "kind"?, "lang"?,
    "family"?}`. Raises ConfigError with the line at fault.
    """
    source = path if path is not None else files("mmrouter.eval").joinpath("data/test_set.jsonl")
    try:
        text = source.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{source}: {error.strerror or error}") from error
    return list(_rows(text, str(source)))


def _rows(text: str, name: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield row_of(json.loads(line), default_id=str(number))
            except ValueError as error:
                raise ConfigError(f"{name}, line {number}: {error}") from error


def row_of(record: Any, *, default_id: str = "") -> Row:
    """A row from its JSON object. Raises ValueError that says what is missing or wrong."""
    if not isinstance(record, dict):
        raise ValueError("expected a JSON object")
    return Row(
        id=str(record.get("id", default_id)),
        conversation=conversation_of(record),
        complexity=Complexity(str(record.get("complexity"))),
        category=Category(str(record.get("category"))),
        kind=str(record.get("kind", "")),
        lang=str(record.get("lang", "")),
        family=str(record.get("family", "")),
    )


def conversation_of(record: dict[str, Any]) -> Conversation:
    """The conversation of `{"prompt"}` or `{"messages", "tools"?}`. Raises ValueError."""
    prompt, messages = record.get("prompt"), record.get("messages")
    if isinstance(messages, list) and messages:
        return Conversation(items(messages), items(record.get("tools")))
    if isinstance(prompt, str):
        return Conversation([{"role": "user", "content": prompt}], items(record.get("tools")))
    raise ValueError('expected "prompt" (a string) or "messages" (a list)')


def by_kind(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each kind, in the order in which kinds appear."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.kind, []).append(row)
    return groups
