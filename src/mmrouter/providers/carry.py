"""What of a request LiteLLM can carry to a provider of another kind. The rest is refused by name.

LiteLLM leaves out in silence what it cannot translate, and takes some names of a request's fields
for orders to itself (`api_base`, `api_key`, `mock_response`, …). So only known fields become its
arguments; others reach a provider that speaks OpenAI's dialect inside its body, and no one else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmrouter.dialects.base import Json, items, mapping
from mmrouter.errors import InvalidRequestError
from mmrouter.providers import shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is known of the provider behind a model.

    Attributes:
        who: our name of the provider, for messages.
        provider: LiteLLM's name of it.
        openai_like: takes a Chat body as it comes, unknown fields included.
        speaks_messages: takes a Messages body without translation.
        supported: names of the Chat fields that LiteLLM translates for the model.
    """

    who: str
    provider: str
    openai_like: bool
    speaks_messages: bool
    supported: frozenset[str]


_CHAT_FIELDS = frozenset(
    {
        "audio",
        "cache_control",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream_options",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)

_RESPONSES_FIELDS = {
    "input": "messages",
    "instructions": "messages",
    "max_output_tokens": "max_tokens",
    "parallel_tool_calls": "parallel_tool_calls",
    "reasoning": "reasoning_effort",
    "service_tier": "service_tier",
    "temperature": "temperature",
    "text": "response_format",
    "tool_choice": "tool_choice",
    "tools": "tools",
    "top_p": "top_p",
    "user": "user",
}
"""Fields of Responses, and the Chat field into which LiteLLM translates each."""

_MESSAGES_FIELDS = {
    "messages": "messages",
    "system": "messages",
    "max_tokens": "max_tokens",
    "metadata": "user",
    "output_config": "response_format",
    "output_format": "response_format",
    "stop_sequences": "stop",
    "temperature": "temperature",
    "thinking": "reasoning_effort",
    "tool_choice": "tool_choice",
    "tools": "tools",
    "top_k": "top_k",
    "top_p": "top_p",
}
"""The same for Messages."""

_MESSAGES_NATIVE = frozenset(_MESSAGES_FIELDS) | {
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "service_tier",
    "speed",
}

_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "background": (False,),
    "frequency_penalty": (0,),
    "include": ([], ["reasoning.encrypted_content"]),
    "logit_bias": ({},),
    "logprobs": (False,),
    "metadata": ({},),
    "modalities": (["text"],),
    "n": (1,),
    "presence_penalty": (0,),
    "service_tier": ("auto",),
    "store": (False,),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
    "verbosity": ("medium",),
}
"""Values that say what their absence says too: nothing is lost without them."""

_HINTS = frozenset({"prompt_cache_key", "prompt_cache_retention"})
"""Addresses in OpenAI's own prompt cache; to anybody else they mean nothing."""

_ALWAYS = frozenset({"messages", "stream_options"})
_SET_BY_US = frozenset({"model", "stream"})

# tuples: what clients send as `type` need not be hashable
_CHAT_PARTS = ("text", "image_url", "file", "thinking", "redacted_thinking")
_AUDIO_LISTENERS = frozenset({"gemini", "vertex_ai"})
_MESSAGES_BLOCKS = ("text", "image", "tool_use", "tool_result")
_INPUT_ITEMS = ("message", "function_call", "function_call_output", "reasoning")
_INPUT_PARTS = (
    "input_text",
    "output_text",
    "input_image",
    "text",
    "summary_text",
    "reasoning_text",
)
_TOOL_KEYS = frozenset({"type", "name", "description", "input_schema", "cache_control", "strict"})

_PERSONAL = re.compile(r"[\w.%+-]+@[\w.-]+\.[A-Za-z]{2,}|\+?[\d\s()-]{7,}")
"""A mail address or a phone number: Anthropic wants none as a user's id."""


def chat(body: Json, route: Route) -> dict[str, Any]:
    """A Chat body as arguments for `acompletion`, without `model` and `stream`.

    Raises:
        InvalidRequestError: names the field that cannot be carried.
    """
    arguments: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    for name, value in _said(body, route):
        if name in _CHAT_FIELDS and (name in _ALWAYS or name in route.supported):
            arguments[name] = value
        elif route.openai_like:
            beside[name] = value
        else:
            raise _refusal(name, route)
    if beside:
        arguments["extra_body"] = beside
    if not route.openai_like:
        _check_chat(body, route)
        shapes.check_chat(body)
    return arguments


def responses(body: Json, route: Route) -> dict[str, Any]:
    """A Responses body as arguments for `aresponses`; raises as `chat` does."""
    arguments = _translated(body, route, _RESPONSES_FIELDS)
    text = mapping(body.get("text"))
    if text.get("verbosity") not in (None, "medium"):
        raise _refusal("text.verbosity", route)
    for tool in items(body.get("tools")):
        if tool.get("type") != "function":
            raise _refusal("tools", route, f"a tool of type '{tool.get('type')}'")
    for item in items(body.get("input")):
        kind = item.get("type", "message")
        if kind not in _INPUT_ITEMS:
            raise _refusal("input", route, f"an item of type '{kind}'")
        for part in items(item.get("content")):
            if part.get("type") not in _INPUT_PARTS or "file_id" in part:
                raise _refusal("input", route, f"a part of type '{part.get('type')}'")
    shapes.check_responses(body)
    return arguments


def messages(body: Json, route: Route) -> dict[str, Any]:
    """A Messages body as arguments for `anthropic_messages`; raises as `chat` does."""
    for name in ("messages", "max_tokens"):
        if body.get(name) is None:
            raise InvalidRequestError(f"'{name}' is missing", param=name)
    if route.speaks_messages:
        arguments = dict(_said(body, route))
        for name in arguments:
            if name not in _MESSAGES_NATIVE:
                raise _refusal(name, route)
        return arguments
    arguments = _translated(body, route, _MESSAGES_FIELDS)
    _check_messages(body, route)
    shapes.check_messages(body)
    config = dict(mapping(arguments.pop("output_config", None)))
    effort = _effort(mapping(arguments.pop("thinking", None)), config.pop("effort", None))
    if config.keys() - {"format"}:
        raise _refusal("output_config", route)
    if config:
        arguments["output_config"] = config
    if effort is not None:
        if not route.openai_like and "reasoning_effort" not in route.supported:
            raise _refusal("thinking", route)
        arguments["reasoning_effort"] = effort
    if mapping(body.get("tool_choice")).get("disable_parallel_tool_use"):
        arguments["parallel_tool_calls"] = False
    arguments["messages"] = [_with_errors_told(m) for m in items(body["messages"])]
    return arguments


def embeddings(body: Json, route: Route) -> dict[str, Any]:
    """An Embeddings body as arguments for `aembedding`; raises as `chat` does."""
    arguments: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    for name, value in _said(body, route):
        if name in ("input", "dimensions", "encoding_format", "user"):
            arguments[name] = value
        elif route.openai_like:
            beside[name] = value
        else:
            raise _refusal(name, route)
    if beside:
        arguments["extra_body"] = beside
    return arguments


def _said(body: Json, route: Route) -> Iterator[tuple[str, Any]]:
    """The fields that ask for something."""
    for name, value in body.items():
        if name in _SET_BY_US or value is None:
            continue
        if route.openai_like or (name not in _HINTS and value not in _NEUTRAL.get(name, ())):
            yield name, value


def _translated(body: Json, route: Route, fields: Mapping[str, str]) -> dict[str, Any]:
    """The fields, each of which has a Chat field that the provider takes."""
    arguments = {}
    for name, value in _said(body, route):
        becomes = fields.get(name)
        if becomes is None:
            if value in _NEUTRAL.get(name, ()) or name in _HINTS:
                continue
            raise _refusal(name, route)
        optional = becomes not in ("messages", "reasoning_effort")
        if optional and not route.openai_like and becomes not in route.supported:
            raise _refusal(name, route)
        arguments[name] = value
    if "reasoning" in arguments and not route.openai_like:
        effort = mapping(arguments["reasoning"]).get("effort")
        if effort is not None and "reasoning_effort" not in route.supported:
            raise _refusal("reasoning", route)
    return arguments


def _check_chat(body: Json, route: Route) -> None:
    """Refuses what LiteLLM would leave out of messages and tools without a word."""
    user = body.get("user")
    if route.provider == "anthropic" and isinstance(user, str) and _PERSONAL.fullmatch(user):
        raise _refusal("user", route, "a mail address or phone number as an id")
    for tool in items(body.get("tools")):
        if tool.get("type") != "function":
            raise _refusal("tools", route, f"a tool of type '{tool.get('type')}'")
    for index, message in enumerate(items(body.get("messages"))):
        where = f"messages[{index}]"
        named = message.get("name") and message.get("role") not in ("tool", "function")
        for key in ("audio", "refusal", *(("name",) if named else ())):
            if message.get(key):
                raise _refusal(f"{where}.{key}", route)
        for part in items(message.get("content")):
            kind = part.get("type")
            heard = kind == "input_audio" and route.provider in _AUDIO_LISTENERS
            if kind not in _CHAT_PARTS and not heard:
                raise _refusal(f"{where}.content", route, f"a part of type '{kind}'")


def _check_messages(body: Json, route: Route) -> None:
    """The same for a Messages body that becomes a Chat body."""
    if mapping(body.get("metadata")).keys() - {"user_id"}:
        raise _refusal("metadata", route, "a key other than 'user_id'")
    for tool in items(body.get("tools")):
        if tool.get("type", "custom") != "custom":
            raise _refusal("tools", route, f"a tool of type '{tool.get('type')}'")
        for key in tool.keys() - _TOOL_KEYS:
            raise _refusal("tools", route, f"a tool's '{key}'")
    for index, message in enumerate(items(body.get("messages"))):
        blocks = items(message.get("content"))
        nested = [b for block in blocks for b in items(block.get("content"))]
        for block in blocks + nested:
            kind = block.get("type")
            unreadable = mapping(block.get("source")).get("type") == "file"
            if kind not in _MESSAGES_BLOCKS or unreadable:
                raise _refusal(f"messages[{index}].content", route, f"a block of type '{kind}'")


def _effort(thinking: Json, effort: object) -> str | None:
    """Anthropic's thinking in OpenAI's three words; None asks for nothing."""
    kind = thinking.get("type")
    if kind in (None, "disabled"):
        return effort if isinstance(effort, str) else None
    if isinstance(effort, str):
        return effort
    budget = thinking.get("budget_tokens")
    if kind == "adaptive" or not isinstance(budget, int):
        return "medium"
    return "low" if budget <= 2_048 else "medium" if budget <= 8_192 else "high"


def _with_errors_told(message: Json) -> Json:
    """OpenAI's tool messages have no `is_error`: the text says it."""
    content = message.get("content")
    if not isinstance(content, list) or not any(b.get("is_error") for b in items(content)):
        return message
    return {**message, "content": [_told(b) if b.get("is_error") else b for b in items(content)]}


def _told(block: Json) -> Json:
    content = block.get("content") or ""
    if isinstance(content, str):
        return {**block, "content": f"Error: {content}"}
    return {**block, "content": [{"type": "text", "text": "Error:"}, *items(content)]}


def _refusal(name: str, route: Route, what: str | None = None) -> InvalidRequestError:
    return InvalidRequestError(
        f"{what or 'This field'} ('{name}') cannot be carried to {route.who}: leave it out, or "
        "name a model whose provider takes it",
        param=name,
    )
