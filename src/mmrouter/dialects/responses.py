"""OpenAI Responses (https://platform.openai.com/docs/api-reference/responses)."""

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
from mmrouter.dialects.history import history
from mmrouter.types import Dialect, Needs, Usage

_PART_TYPES = {"input_text": "text", "output_text": "text", "input_image": "image_url"}
_FINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponsesDialect:
    """See `mmrouter.dialects.base.Dialect`."""

    path = "/responses"

    def conversation(self, body: Json) -> Conversation:
        messages: list[Json] = []
        if isinstance(body.get("instructions"), str):
            messages.append({"role": "system", "content": body["instructions"]})
        given = body.get("input")
        if isinstance(given, str):
            messages.append({"role": "user", "content": given})
        messages.extend(_message(item) for item in items(given))
        return Conversation(messages, items(body.get("tools")))

    def needs(self, body: Json) -> Needs:
        capabilities = set()
        if body.get("tools"):
            capabilities.add("tools")
        if mapping(mapping(body.get("text")).get("format")).get("type") == "json_schema":
            capabilities.add("json_schema")
        given = items(body.get("input"))
        parts = [p for i in given for key in ("content", "output") for p in items(i.get(key))]
        images = [part for part in parts if kind(part) == "input_image"]
        if images:
            capabilities.add("vision")
        kinds = {kind(part) for part in (*given, *parts)}
        kept = any(body.get(key) for key in _KEPT_BY_PROVIDER)
        texts = strings([body.get("instructions"), body.get("input"), body.get("tools")])
        sealed = "reasoning" in kinds and history(Dialect.RESPONSES, body).signed_open
        return Needs(
            input_tokens=count_tokens(texts, len(images)),
            input_bound=(
                bound_tokens(body, images) if kinds <= _BOUNDED_KINDS and not kept else None
            ),
            max_output=asked(body.get("max_output_tokens")),
            capabilities=frozenset(capabilities),
            unpriced=frozenset(_unpriced(body, kinds)),
            sealed_by="openai" if sealed else None,
        )

    def prepare(self, body: Json, upstream: str, *, stream: bool) -> dict[str, Any]:
        return {**body, "model": upstream}

    def reader(self, body: Json) -> ResponsesReader:
        return ResponsesReader()


_KEPT_BY_PROVIDER = ("previous_response_id", "conversation", "prompt")
"""Name text that is not in the body, and is billed."""

_BOUNDED_KINDS = frozenset(
    {"", "message", "reasoning", "function_call", "function_call_output", "custom_tool_call"}
    | {"custom_tool_call_output", "local_shell_call", "local_shell_call_output"}
    | {"input_text", "output_text", "refusal", "input_image"}
)
_CLIENT_TOOLS = frozenset(
    {"function", "custom", "local_shell", "apply_patch", "computer_use_preview"}
)


def _unpriced(body: Json, kinds: Set[str]) -> Iterator[str]:
    """See `Needs.unpriced`."""
    if {kind(tool) for tool in items(body.get("tools"))} - _CLIENT_TOOLS:
        yield "server tools"
    if "input_audio" in kinds:
        yield "audio"
    if body.get("service_tier") not in PLAIN_TIERS:
        yield "a service tier"


def _message(item: Json) -> Json:
    """An input item in the shape of a chat message."""
    name = item.get("type", "message")
    if name == "function_call":
        function = {"name": item.get("name"), "arguments": item.get("arguments")}
        return {"role": "assistant", "tool_calls": [{"type": "function", "function": function}]}
    if name == "function_call_output":
        return {"role": "tool", "content": item.get("output")}
    content = item.get("content")
    if isinstance(content, list):
        content = [
            {**part, "type": _PART_TYPES.get(str(part.get("type")), part.get("type"))}
            for part in items(content)
        ]
    return {"role": item.get("role", "assistant"), "content": content}


class ResponsesReader:
    """Reads a `response` object, or its `response.*` events."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.upstream_id: str | None = None
        self._ended = False

    @property
    def finished(self) -> bool:
        return self._ended

    def feed(self, data: bytes) -> Fragment:
        if data.strip() == b"[DONE]":
            return Fragment(last=True)
        event = mapping(orjson.loads(data))
        name = kind(event)
        if name.endswith(".delta"):
            delta = event.get("delta")
            return Fragment(text=delta if isinstance(delta, str) else "")
        if name in _FINAL:
            self._note(mapping(event.get("response")))
            self._ended = True
            return Fragment(last=True)
        if name == "error":
            return Fragment(error=event)
        if name == "response.created":
            self._note(mapping(event.get("response")))
        return Fragment()

    def whole(self, answer: Json) -> Fragment:
        self._note(answer)
        self._ended = True
        texts = [
            str(part.get("text", ""))
            for item in items(answer.get("output"))
            for part in items(item.get("content"))
        ]
        texts += [str(item.get("arguments", "")) for item in items(answer.get("output"))]
        return Fragment(text="".join(texts))

    def _note(self, response: Json) -> None:
        self.upstream_id = word(response.get("id")) or self.upstream_id
        status = response.get("status")
        if isinstance(status, str) and status != "in_progress":
            reason = mapping(response.get("incomplete_details")).get("reason")
            self.finish_reason = reason if isinstance(reason, str) else status
        usage = response.get("usage")
        if isinstance(usage, dict):
            prompt = count(usage.get("input_tokens"))
            prefix = mapping(usage.get("input_tokens_details"))
            read = min(count(prefix.get("cached_tokens")), prompt)
            written = min(count(prefix.get("cache_write_tokens")), prompt - read)
            output = count(usage.get("output_tokens"))
            details = mapping(usage.get("output_tokens_details"))
            self.usage = Usage(
                input_tokens=prompt - read - written,
                cache_read_tokens=read,
                cache_write_tokens=written,
                output_tokens=output,
                reasoning_tokens=min(count(details.get("reasoning_tokens")), output),
            )
