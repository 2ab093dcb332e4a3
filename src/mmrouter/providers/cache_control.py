"""Marks long prompts for Anthropic's prompt cache.

A cache read costs a tenth of an input token, a cache write a quarter more than one
(https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching). Callers who place
`cache_control` themselves know better: their bodies are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEAST_CHARACTERS = 4_000
"""Anthropic caches no prefix below 1,024 tokens; a mark on a shorter one does nothing."""

_MARK = {"type": "ephemeral"}


def annotate(body: dict[str, Any]) -> dict[str, Any]:
    """The Messages body with its system prompt marked, if that is long and nothing is marked."""
    system = body.get("system")
    if not system or _marked(body):
        return body
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
    if not isinstance(blocks, list) or not isinstance(blocks[-1], Mapping):
        return body
    if (
        sum(len(str(b.get("text", ""))) for b in blocks if isinstance(b, Mapping))
        < _LEAST_CHARACTERS
    ):
        return body
    return {**body, "system": [*blocks[:-1], {**blocks[-1], "cache_control": _MARK}]}


def annotate_chat(body: dict[str, Any]) -> dict[str, Any]:
    """The same for a Chat body that LiteLLM will translate: the system message is marked."""
    messages = body.get("messages")
    if not isinstance(messages, list) or _marked(body):
        return body
    for index, message in enumerate(messages):
        if isinstance(message, Mapping) and message.get("role") in ("system", "developer"):
            content = message.get("content")
            if isinstance(content, str) and len(content) >= _LEAST_CHARACTERS:
                block = {"type": "text", "text": content, "cache_control": _MARK}
                marked = {**message, "content": [block]}
                return {**body, "messages": [*messages[:index], marked, *messages[index + 1 :]]}
    return body


def _marked(value: Any) -> bool:
    """`cache_control` stands somewhere in this JSON."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            if "cache_control" in item:
                return True
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False
