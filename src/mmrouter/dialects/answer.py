"""An answer in one shape, and the form that its request asked for, whatever the dialect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mmrouter.dialects.base import Json, items, kind, mapping
from mmrouter.types import Dialect


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said; of several choices, the first.

    Attributes:
        text: its words; neither reasoning nor tool calls.
        tool_arguments: of each tool call, as the model wrote them.
        cut: it ended at a token limit.
        refused: the provider itself marks it as a refusal or as filtered.
    """

    text: str = ""
    tool_arguments: tuple[str, ...] = ()
    cut: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What form a request asks for.

    Attributes:
        json: "object" or "schema" where the answer must be JSON, else "".
        schema: of the answer, with `json="schema"`.
    """

    json: str = ""
    schema: Mapping[str, Any] | None = None


def form_of(dialect: Dialect, body: Json) -> Form:
    """The form that a request asks for."""
    if dialect is Dialect.CHAT:
        wanted = mapping(body.get("response_format"))
    elif dialect is Dialect.RESPONSES:
        wanted = mapping(mapping(body.get("text")).get("format"))
    else:
        wanted = mapping(mapping(body.get("output_config")).get("format"))
    if kind(wanted) == "json_object":
        return Form("object")
    if kind(wanted) == "json_schema":
        inner = mapping(wanted.get("json_schema")) or wanted
        return Form("schema", mapping(inner.get("schema")))
    return Form()


_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_context_window_exceeded"})
_REFUSED = frozenset({"content_filter", "refusal"})


def read_whole(dialect: Dialect, answer: Json) -> Answer:
    """A whole JSON answer."""
    if dialect is Dialect.MESSAGES:
        blocks = items(answer.get("content"))
        return _answer(
            "".join(_string(b.get("text")) for b in blocks if kind(b) == "text"),
            [orjson.dumps(b.get("input")).decode() for b in blocks if kind(b) == "tool_use"],
            answer.get("stop_reason"),
        )
    if dialect is Dialect.RESPONSES:
        output = items(answer.get("output"))
        parts = [p for item in output for p in items(item.get("content"))]
        return _answer(
            "".join(_string(p.get("text")) for p in parts if kind(p) == "output_text"),
            [_string(i.get("arguments")) for i in output if kind(i) == "function_call"],
            mapping(answer.get("incomplete_details")).get("reason"),
            "".join(_string(p.get("refusal")) for p in parts),
        )
    choice = _first(answer)
    message = mapping(choice.get("message"))
    return _answer(
        _text(message.get("content")),
        [
            _string(mapping(call.get("function")).get("arguments"))
            for call in items(message.get("tool_calls"))
        ],
        choice.get("finish_reason"),
        _string(message.get("refusal")),
    )


def read_events(dialect: Dialect, events: Iterable[bytes]) -> Answer:
    """A stream's events, or the first of them; what is not JSON is passed over."""
    text, refusal, calls, reason = "", "", dict[str, str](), None
    for data in events:
        try:
            event = mapping(orjson.loads(data))
        except orjson.JSONDecodeError:
            continue
        name = kind(event)
        delta = mapping(event.get("delta"))
        if dialect is Dialect.MESSAGES:
            text += _string(delta.get("text"))
            place = str(event.get("index"))
            if kind(mapping(event.get("content_block"))) == "tool_use":
                calls[place] = ""
            if "partial_json" in delta:
                calls[place] = calls.get(place, "") + _string(delta["partial_json"])
            reason = delta.get("stop_reason") or reason
        elif dialect is Dialect.RESPONSES:
            if name in ("response.completed", "response.incomplete"):
                return read_whole(dialect, mapping(event.get("response")))
            if name == "response.output_text.delta":
                text += _string(event.get("delta"))
        else:
            choice = _first(event)
            delta = mapping(choice.get("delta"))
            text += _string(delta.get("content"))
            refusal += _string(delta.get("refusal"))
            for call in items(delta.get("tool_calls")):
                place = str(call.get("index", 0))
                made = _string(mapping(call.get("function")).get("arguments"))
                calls[place] = calls.get(place, "") + made
            reason = choice.get("finish_reason") or reason
    return _answer(text, list(calls.values()), reason, refusal)


def _answer(text: str, arguments: list[str], reason: object, refusal: str = "") -> Answer:
    return Answer(
        text=text or refusal,
        # a tool without parameters may be called with none at all
        tool_arguments=tuple(made.strip() or "{}" for made in arguments),
        cut=isinstance(reason, str) and reason in _CUT,
        refused=bool(refusal) or (isinstance(reason, str) and reason in _REFUSED),
    )


def _first(answer: Json) -> Json:
    choices = items(answer.get("choices"))
    return next((c for c in choices if c.get("index", 0) == 0), {})


def _text(content: Any) -> str:
    return _string(content) or "".join(_string(part.get("text")) for part in items(content))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
