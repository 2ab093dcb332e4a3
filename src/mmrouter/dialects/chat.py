"""OpenAI Chat Completions (https://platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

import orjson

from mmrouter.dialects.base import (
    PLAIN_TIERS,
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
from mmrouter.types import Needs, Usage


class ChatDialect:
    """See `mmrouter.dialects.base.Dialect`."""

    path = "/chat/completions"

    def conversation(self, body: Json) -> Conversation:
        return Conversation(items(body.get("messages")), items(body.get("tools")))

    def needs(self, body: Json) -> Needs:
        capabilities = set()
        if body.get("tools") or body.get("functions"):
            capabilities.add("tools")
        if mapping(body.get("response_format")).get("type") == "json_schema":
            capabilities.add("json_schema")
        parts = [p for m in items(body.get("messages")) for p in items(m.get("content"))]
        kinds = {kind(part) for part in parts}
        images = [part for part in parts if kind(part) == "image_url"]
        if images:
            capabilities.add("vision")
        if "input_audio" in kinds:
            capabilities.add("audio")
        texts = strings([body.get("messages"), body.get("tools"), body.get("response_format")])
        limits = (asked(body.get("max_completion_tokens")), asked(body.get("max_tokens")))
        return Needs(
            input_tokens=count_tokens(texts, len(images)),
            input_bound=bound_tokens(body, images) if kinds <= _BOUNDED_PARTS else None,
            max_output=max((limit for limit in limits if limit is not None), default=None),
            choices=asked(body.get("n")) or 1,
            capabilities=frozenset(capabilities),
            unpriced=frozenset(_unpriced(body, kinds)),
        )

    def prepare(self, body: Json, upstream: str, *, stream: bool) -> dict[str, Any]:
        sent = {**body, "model": upstream}
        if stream and not _wants_usage(body):
            sent["stream_options"] = {**mapping(body.get("stream_options")), "include_usage": True}
        return sent

    def reader(self, body: Json) -> ChatReader:
        return ChatReader(hide_usage=not _wants_usage(body))


_BOUNDED_PARTS = frozenset({"text", "refusal", "image_url"})


def _unpriced(body: Json, kinds: Set[str]) -> Iterator[str]:
    """See `Needs.unpriced`."""
    tools = {kind(tool) for tool in items(body.get("tools"))}
    if "web_search_options" in body or body.get("plugins") or tools - {"function", "custom"}:
        yield "server tools"
    modalities = body.get("modalities")
    if "input_audio" in kinds or modalities not in (None, [], ["text"]):
        yield "audio or made images"
    if body.get("prediction"):  # what of it is rejected is billed beyond the caller's bound
        yield "predicted output"
    if body.get("service_tier") not in PLAIN_TIERS:
        yield "a service tier"


def _wants_usage(body: Json) -> bool:
    return mapping(body.get("stream_options")).get("include_usage") is True


class ChatReader:
    """Reads `chat.completion` and `chat.completion.chunk` objects."""

    def __init__(self, *, hide_usage: bool) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.upstream_id: str | None = None
        self._hide_usage = hide_usage
        self._ended = False

    @property
    def finished(self) -> bool:
        return self._ended or self.finish_reason is not None

    def feed(self, data: bytes) -> Fragment:
        if data.strip() == b"[DONE]":
            self._ended = True
            return Fragment(last=True)
        chunk = mapping(orjson.loads(data))
        if "error" in chunk and "choices" not in chunk:
            return Fragment(error=chunk)
        self._note(chunk)
        text = ""
        choices = items(chunk.get("choices"))
        for choice in choices:
            text += _text(mapping(choice.get("delta")))
            self.finish_reason = word(choice.get("finish_reason")) or self.finish_reason
        hidden = self._hide_usage and not choices and bool(chunk.get("usage"))
        return Fragment(text=text, hidden=hidden)

    def whole(self, answer: Json) -> Fragment:
        self._note(answer)
        text = ""
        for choice in items(answer.get("choices")):
            text += _text(mapping(choice.get("message")))
            self.finish_reason = word(choice.get("finish_reason")) or self.finish_reason
        self._ended = True
        return Fragment(text=text)

    def _note(self, answer: Json) -> None:
        self.upstream_id = word(answer.get("id")) or self.upstream_id
        usage = answer.get("usage")
        if isinstance(usage, dict):
            self.usage = read_usage(usage)


def read_usage(usage: Json) -> Usage:
    """OpenAI's `usage`, in which cached tokens are a part of `prompt_tokens`.

    DeepSeek's `prompt_cache_hit_tokens` and the Anthropic-style counts that some gateways add are
    read too.
    """
    prompt = count(usage.get("prompt_tokens"))
    details = mapping(usage.get("prompt_tokens_details"))
    read = count(details.get("cached_tokens")) or count(usage.get("prompt_cache_hit_tokens"))
    written = count(details.get("cache_write_tokens")) or count(
        usage.get("cache_creation_input_tokens")
    )
    read = min(read, prompt)
    written = min(written, prompt - read)
    visible = count(usage.get("completion_tokens"))
    reasoning = count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    # Google and xAI leave reasoning out of `completion_tokens`, and bill it: the total tells
    output = max(visible, count(usage.get("total_tokens")) - prompt)
    reasoning = max(reasoning, output - visible)
    return Usage(
        input_tokens=prompt - read - written,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=min(reasoning, output),
    )


def _text(message: Json) -> str:
    """Everything the model generated in a message or delta, tool arguments included."""
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    if "content" in message and len(message) == 1 + ("role" in message):
        return text  # nothing but content, as most deltas are
    for key in ("reasoning_content", "reasoning", "refusal"):
        value = message.get(key)
        if isinstance(value, str):
            text += value
    for call in items(message.get("tool_calls")):
        made = mapping(call.get("function") or call.get("custom"))
        for key in ("name", "arguments", "input"):
            value = made.get(key)
            if isinstance(value, str):
                text += value
    return text
