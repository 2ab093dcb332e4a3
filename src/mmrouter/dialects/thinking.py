"""Leaves out the signed thinking of earlier turns, which no other model can read.

Anthropic: thinking must be sent back unchanged while a turn with tools is under way, and may be
left out of the turns before it
(https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mmrouter.dialects.base import Json, items
from mmrouter.dialects.history import CHAT_SIGNED, chat_is_signed, is_signed_block, turn_begins
from mmrouter.types import Dialect


def can_leave_out(dialect: Dialect) -> bool:
    """Earlier turns stay valid without their thinking. In the Responses dialect other items refer
    to it."""
    return dialect in _WITHOUT


def without_earlier(dialect: Dialect, body: Json) -> Json:
    """The body without the signed thinking of the turns before the one under way; what it shares
    with the given one is not copied."""
    messages = items(body.get("messages"))
    begins = turn_begins(messages)
    strip = _WITHOUT[dialect]
    kept = []
    for place, message in enumerate(messages):
        stripped = strip(message) if place < begins else message
        if stripped is not None:
            kept.append(stripped)
    return {**body, "messages": kept}


def _messages(message: Json) -> Json | None:
    """None where nothing but thinking was in it."""
    content = message.get("content")
    parts = items(content)
    if message.get("role") != "assistant" or not any(map(is_signed_block, parts)):
        return message
    rest = [part for part in parts if not is_signed_block(part)]
    return {**message, "content": rest} if rest else None


def _chat(message: Json) -> Json:
    if message.get("role") != "assistant" or not chat_is_signed(message):
        return message
    return {key: value for key, value in message.items() if key not in CHAT_SIGNED}


_WITHOUT: Mapping[Dialect, Callable[[Any], Json | None]] = {
    Dialect.CHAT: _chat,
    Dialect.MESSAGES: _messages,
}
