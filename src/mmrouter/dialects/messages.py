"""Anthropic Messages (https://docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mmrouter.dialects.base import (
    Conversation,
    Fragment,
    Json,
    count,
    count_tokens,
    is_count,
    items,
    mapping,
    strings,
)
from mmrouter.types import Needs, Usage


class MessagesDialect:
    """See `mmrouter.dialects.base.Dialect`."""

    path = "/messages"

    def conversation(self, body: Json) -> Conversation:
        messages: list[Json] = []
        system = body.get("system")
        if system:
            messages.append({"role": "system", "content": system})
        messages.extend(items(body.get("messages")))
        return Conversation(messages, items(body.get("tools")))

    def needs(self, body: Json) -> Needs:
        capabilities = set()
        images = 0
        if body.get("tools"):
            capabilities.add("tools")
        if mapping(body.get("thinking")).get("type") in ("enabled", "adaptive"):
            capabilities.add("reasoning")
        for message in items(body.get("messages")):
            for part in _parts(message):
                if part.get("type") in ("image", "document"):
                    capabilities.add("vision")
                    images += 1
        estimate, bound = count_tokens(
            strings([body.get("system"), body.get("messages"), body.get("tools")]), images
        )
        most = body.get("max_tokens")
        return Needs(
            input_tokens=estimate,
            input_bound=bound,
            max_output=most if is_count(most) else None,
            capabilities=frozenset(capabilities),
        )

    def prepare(self, body: Json, upstream: str, *, stream: bool) -> dict[str, Any]:
        return {**body, "model": upstream}

    def reader(self, body: Json) -> MessagesReader:
        return MessagesReader()


def _parts(message: Json) -> list[Json]:
    """Content blocks, those inside of tool results included."""
    parts = items(message.get("content"))
    nested = [inner for part in parts for inner in items(part.get("content"))]
    return parts + nested


class MessagesReader:
    """Reads a `message` object, or the events from `message_start` to `message_stop`."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.upstream_id: str | None = None
        self._counts: dict[str, Any] = {}
        self._ended = False

    @property
    def finished(self) -> bool:
        return self._ended

    def feed(self, data: bytes) -> Fragment:
        event = mapping(orjson.loads(data))
        kind = event.get("type")
        if kind == "content_block_delta":
            return Fragment(text=_delta_text(mapping(event.get("delta"))))
        if kind == "message_start":
            self._note(mapping(event.get("message")))
        elif kind == "message_delta":
            self._note({**mapping(event.get("delta")), "usage": event.get("usage")})
        elif kind == "message_stop":
            self._ended = True
            return Fragment(last=True)
        elif kind == "error":
            return Fragment(error=event)
        return Fragment()

    def whole(self, answer: Json) -> Fragment:
        self._note(answer)
        self._ended = True
        return Fragment(text="".join(_block_text(b) for b in items(answer.get("content"))))

    def _note(self, message: Json) -> None:
        identity = message.get("id")
        if isinstance(identity, str) and identity:
            self.upstream_id = identity
        self.finish_reason = message.get("stop_reason") or self.finish_reason
        usage = message.get("usage")
        if isinstance(usage, Mapping):
            # message_delta repeats only some counts, each cumulative: the newest of each holds.
            self._counts |= {k: v for k, v in usage.items() if v is not None}
            self.usage = Usage(
                input_tokens=count(self._counts.get("input_tokens")),
                cache_read_tokens=count(self._counts.get("cache_read_input_tokens")),
                cache_write_tokens=count(self._counts.get("cache_creation_input_tokens")),
                output_tokens=count(self._counts.get("output_tokens")),
            )


def _delta_text(delta: Json) -> str:
    for key in ("text", "partial_json", "thinking"):
        value = delta.get(key)
        if isinstance(value, str):
            return value
    return ""


def _block_text(block: Json) -> str:
    if block.get("type") == "tool_use":
        return str(block.get("name", "")) + orjson.dumps(block.get("input")).decode()
    value = block.get("text") or block.get("thinking")
    return value if isinstance(value, str) else ""
