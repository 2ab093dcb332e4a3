"""OpenAI Chat Completions (https://platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

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
        images = 0
        for message in items(body.get("messages")):
            for part in items(message.get("content")):
                if part.get("type") == "image_url":
                    capabilities.add("vision")
                    images += 1
                elif part.get("type") == "input_audio":
                    capabilities.add("audio")
                    images += 1
        estimate, bound = count_tokens(
            strings([body.get("messages"), body.get("tools"), body.get("response_format")]), images
        )
        most = body.get("max_completion_tokens", body.get("max_tokens"))
        choices = body.get("n")
        return Needs(
            input_tokens=estimate,
            input_bound=bound,
            max_output=most if is_count(most) else None,
            choices=choices if is_count(choices) and choices else 1,
            capabilities=frozenset(capabilities),
        )

    def prepare(self, body: Json, upstream: str, *, stream: bool) -> dict[str, Any]:
        sent = {**body, "model": upstream}
        if stream and not _wants_usage(body):
            sent["stream_options"] = {**mapping(body.get("stream_options")), "include_usage": True}
        return sent

    def reader(self, body: Json) -> ChatReader:
        return ChatReader(hide_usage=not _wants_usage(body))


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
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        hidden = self._hide_usage and not choices and bool(chunk.get("usage"))
        return Fragment(text=text, hidden=hidden)

    def whole(self, answer: Json) -> Fragment:
        self._note(answer)
        text = ""
        for choice in items(answer.get("choices")):
            text += _text(mapping(choice.get("message")))
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        self._ended = True
        return Fragment(text=text)

    def _note(self, answer: Json) -> None:
        identity = answer.get("id")
        if isinstance(identity, str) and identity:
            self.upstream_id = identity
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
    output = count(usage.get("completion_tokens"))
    reasoning = count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
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
    if len(message) <= 2 and "content" in message:
        return text
    for key in ("reasoning_content", "reasoning", "refusal"):
        value = message.get(key)
        if isinstance(value, str):
            text += value
    for call in items(message.get("tool_calls")):
        function = mapping(call.get("function"))
        for key in ("name", "arguments"):
            value = function.get(key)
            if isinstance(value, str):
                text += value
    return text
