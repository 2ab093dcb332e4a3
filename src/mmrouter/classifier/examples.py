"""A user's own labelled prompts, from YAML or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmrouter.classifier.text import Judged, judge
from mmrouter.dialects.base import Conversation, items
from mmrouter.errors import ConfigError
from mmrouter.types import Category, Complexity


@dataclass(frozen=True, slots=True)
class Example:
    """A judged text and its labels."""

    judged: Judged
    complexity: Complexity
    category: Category


def read_examples(path: Path) -> list[Example]:
    """The examples in a file: JSON Lines where its name ends in `.jsonl`, else YAML.

    An entry is `{"prompt" | "messages", "complexity", "category"}`, with "tools" if there are any.
    YAML holds a list of them, alone or under "examples" or "prompts". Raises ConfigError that names
    the file and the entry at fault.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    lines = path.suffix == ".jsonl"
    made = []
    for number, entry in _of_lines(text, path) if lines else _of_yaml(text, path):
        try:
            made.append(_example(entry))
        except ValueError as error:
            where = "line" if lines else "entry"
            raise ConfigError(f"{path}, {where} {number}: {error}") from error
    if not made:
        raise ConfigError(f"{path}: there is no example in it")
    return made


def _of_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise ConfigError(f"{path}, line {number}: not valid JSON: {error}") from error


def _of_yaml(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    import yaml

    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if isinstance(read, dict):
        read = read.get("examples", read.get("prompts"))
    if not isinstance(read, list):
        raise ConfigError(f'{path}: expected a list of examples, or one under "examples"')
    yield from enumerate(read, 1)


def _example(entry: Any) -> Example:
    """An example from its plain data. Raises ValueError that says what is missing or wrong."""
    if not isinstance(entry, dict):
        raise ValueError('expected an object with "prompt", "complexity" and "category"')
    prompt, messages = entry.get("prompt"), entry.get("messages")
    if isinstance(prompt, str):
        messages = [{"role": "user", "content": prompt}]
    elif not isinstance(messages, list) or not messages:
        raise ValueError('expected "prompt" (a string) or "messages" (a list)')
    return Example(
        judge(Conversation(items(messages), items(entry.get("tools")))),
        Complexity(str(entry.get("complexity"))),
        Category(str(entry.get("category"))),
    )
