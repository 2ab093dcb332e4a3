"""Anthropic Messages (https://docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from mmrouter.dialects.base import (
    Conversation,
    Fragment,
    Json,
    asked,
    bound_tokens,
    count,
    count_tokens,
    items,
    kind,
    mapping,
    strings,
    word,
)
from mmrouter.dialects.history import history
from mmrouter.types import Dialect, Needs, Usage


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
        if body.get("tools"):
            capabilities.add("tools")
        if mapping(body.get("thinking")).get("type") in ("enabled", "adaptive"):
            capabilities.add("reasoning")
        parts = [part for message in items(body.get("messages")) for part in _parts(message)]
        kinds = {kind(part) for part in parts}
        images = [part for part in parts if kind(part) == "image"]
        if kinds & {"image", "document"}:
            capabilities.add("vision")
        documents = sum(kind(part) == "document" for part in parts)
        texts = strings([body.get("system"), body.get("messages"), body.get("tools")])
        sealed = kinds & _THINKING and history(Dialect.MESSAGES, body).signed_open
        return Needs(
            input_tokens=count_tokens(texts, len(images) + documents),
            input_bound=bound_tokens(body, images) if kinds <= _BOUNDED_PARTS else None,
            max_output=_max_output(body),
            capabilities=frozenset(capabilities),
            unpriced=frozenset(_unpriced(body)),
            sealed_by="anthropic" if sealed else None,
        )

    def prepare(self, body: Json, upstream: str, *, stream: bool) -> dict[str, Any]:
        return {**body, "model": upstream}

    def reader(self, body: Json) -> MessagesReader:
        return MessagesReader()


_BOUNDED_PARTS = frozenset(
    {"text", "image", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result"}
)
_CLIENT_TOOLS = ("custom", "bash_", "text_editor_", "computer_", "memory_")


_THINKING = frozenset({"thinking", "redacted_thinking"})


def _max_output(body: Json) -> int | None:
    """With interleaved thinking its budget may be the larger of the two, and then stands beside
    `max_tokens` instead of within it."""
    most = asked(body.get("max_tokens"))
    thinking = asked(mapping(body.get("thinking")).get("budget_tokens")) or 0
    return most if most is None or thinking < most else most + thinking


def _unpriced(body: Json) -> Iterator[str]:
    """See `Needs.unpriced`."""
    tools = (kind(tool) or "custom" for tool in items(body.get("tools")))
    if body.get("mcp_servers") or not all(tool.startswith(_CLIENT_TOOLS) for tool in tools):
        yield "server tools"
    if body.get("context_management"):  # compaction samples once more
        yield "context management"
    if body.get("speed") not in (None, "standard") or body.get("inference_geo"):
        yield "a service tier"


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
        name = event.get("type")
        if name == "content_block_delta":
            return Fragment(text=_delta_text(mapping(event.get("delta"))))
        if name == "message_start":
            self._note(mapping(event.get("message")))
        elif name == "message_delta":
            self._note({**mapping(event.get("delta")), "usage": event.get("usage")})
        elif name == "message_stop":
            self._ended = True
            return Fragment(last=True)
        elif name == "error":
            return Fragment(error=event)
        return Fragment()

    def whole(self, answer: Json) -> Fragment:
        self._note(answer)
        self._ended = True
        return Fragment(text="".join(_block_text(b) for b in items(answer.get("content"))))

    def _note(self, message: Json) -> None:
        self.upstream_id = word(message.get("id")) or self.upstream_id
        self.finish_reason = word(message.get("stop_reason")) or self.finish_reason
        usage = message.get("usage")
        if isinstance(usage, Mapping):
            # message_delta repeats only some counts, each cumulative: the newest of each holds.
            self._counts |= {k: v for k, v in usage.items() if v is not None}
            written = count(self._counts.get("cache_creation_input_tokens"))
            kept = mapping(self._counts.get("cache_creation"))
            self.usage = Usage(
                input_tokens=count(self._counts.get("input_tokens")),
                cache_read_tokens=count(self._counts.get("cache_read_input_tokens")),
                cache_write_tokens=written,
                cache_write_1h_tokens=min(count(kept.get("ephemeral_1h_input_tokens")), written),
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
