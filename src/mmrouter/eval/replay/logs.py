"""Logs of requests that others answered, read a line at a time.

Each line of a JSONL file is one request, in any of these shapes, which may be mixed:

- OpenAI: a request body (`messages`, or `input` of the Responses API), with the answer's `usage`
  beside it; or both under `request`/`response`, `body`/`response`, as the Batch API and most
  proxies write them.
- LiteLLM: its standard logging payload, and rows of its spend logs (`LiteLLM_SpendLogs`).
- Langfuse: exported observations of type GENERATION.

Rows of our own books are read from the tracker (`from_books`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mmrouter.dialects.base import Json, asked, count, items, mapping
from mmrouter.dialects.chat import read_usage
from mmrouter.dialects.messages import MessagesReader
from mmrouter.dialects.responses import ResponsesReader
from mmrouter.money import NANOS_PER_USD
from mmrouter.tracker.records import Row
from mmrouter.types import Category, Classification, Complexity, Dialect, Nanos, Usage

_NO_CHAT = ("embedding", "image", "speech", "transcription", "moderation", "rerank")


class UnreadableError(ValueError):
    """A line that cannot be replayed; the message says why, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A request as some log has it.

    Attributes:
        body: as it would be sent again.
        model: who answered, by the log's own name; None where it does not say.
        usage: token counts of the answer; None where the log has none.
        cost_nanos: what the log says it cost, or None.
        classification: how it was classified then, where the text itself was not kept.
    """

    body: Json
    dialect: Dialect = Dialect.CHAT
    model: str | None = None
    usage: Usage | None = None
    cost_nanos: Nanos | None = None
    classification: Classification | None = None


def parse(line: bytes) -> Logged:
    """One line of a log.

    Raises:
        UnreadableError: it is of no known shape, or no chat request.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise UnreadableError("not JSON") from None
    if not isinstance(row, dict):
        raise UnreadableError("not a JSON object")
    if "call_type" in row or "response_cost" in row or "spend" in row:
        return _litellm(row)  # first: its payload has a trace_id too
    if "traceId" in row or "trace_id" in row:
        return _langfuse(row)
    return _openai(row)


def from_books(row: Row) -> Logged:
    """A row of `requests` in our own books. Without `tracker.store_prompts` it has no text, and
    keeps the classification of then.

    Raises:
        UnreadableError: nobody answered, or the caller had named the model.
    """
    if row["answered_model"] is None:
        raise UnreadableError("nobody answered")
    if row["complexity"] is None:
        raise UnreadableError("the caller had named the model")
    text = row["prompt"]
    kept = None
    if text is None:
        kept = Classification(
            complexity=Complexity(row["complexity"]),
            category=Category(row["category"]),
            confidence=row["confidence"],
            difficulty=row["difficulty"],
            strategy=row["classifier"],
        )
    return Logged(
        body={"messages": [{"role": "user", "content": text or ""}]},
        model=row["answered_model"],
        usage=Usage(
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cache_read_tokens=row["cache_read_tokens"],
            cache_write_tokens=row["cache_write_tokens"],
            cache_write_1h_tokens=row["cache_write_1h_tokens"],
            reasoning_tokens=row["reasoning_tokens"],
        ),
        cost_nanos=row["cost_nanos"],
        classification=kept,
    )


def chunks_of(lines: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    """Lines in lists, blank ones left out."""
    chunk: list[bytes] = []
    for line in lines:
        if not line.isspace():
            chunk.append(line)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _openai(row: Json) -> Logged:
    body = row
    for key in ("request", "body", "input"):
        inner = _inner(row.get(key))
        if inner.get("messages") or inner.get("input"):
            body = inner
            break
    response = _inner(row.get("response")) or _inner(row.get("output"))
    response = _inner(response.get("body")) or response
    usage = _inner(response.get("usage")) or _inner(row.get("usage"))
    return _logged(body, response.get("model") or row.get("model") or body.get("model"), usage)


def _litellm(row: Json) -> Logged:
    kind = str(row.get("call_type", ""))
    if any(other in kind for other in _NO_CHAT):
        raise UnreadableError("not a chat request")
    if str(row.get("status", "success")) not in ("success", ""):
        raise UnreadableError("it failed")
    request = _inner(row.get("proxy_server_request"))
    request = _inner(request.get("body")) or request
    parameters = _inner(row.get("model_parameters")) or _inner(row.get("optional_params"))
    body = {**parameters, **request}
    given = body.get("messages") or _json(row.get("messages"))
    if "responses" in kind:  # the payload calls it messages all the same
        body["input"] = body.get("input") or given
    else:
        body["messages"] = given
    response = _inner(row.get("response"))
    counted = _inner(_inner(row.get("metadata")).get("usage_object"))
    usage = (
        _inner(response.get("usage"))
        or counted
        or {
            "prompt_tokens": row.get("prompt_tokens"),
            "completion_tokens": row.get("completion_tokens"),
            "total_tokens": row.get("total_tokens"),
        }
    )
    cost = row.get("response_cost", row.get("spend"))
    return _logged(body, row.get("model") or response.get("model"), usage, cost)


def _langfuse(row: Json) -> Logged:
    if str(row.get("type", "GENERATION")).upper() != "GENERATION":
        raise UnreadableError("not a generation")
    given = _json(row.get("input"))
    if isinstance(given, list):
        given = {"messages": given}
    elif isinstance(given, str):
        given = {"messages": [{"role": "user", "content": given}]}
    body = {**_inner(_first(row, "modelParameters", "model_parameters")), **mapping(given)}
    details = _inner(_first(row, "usageDetails", "usage_details")) or _inner(row.get("usage"))
    cost = _inner(_first(row, "costDetails", "cost_details")).get("total")
    if cost is None:
        cost = _first(
            row, "calculatedTotalCost", "calculated_total_cost", "totalCost", "total_cost"
        )
    model = _first(row, "providedModelName", "provided_model_name", "model")
    return _logged(body, model, _langfuse_usage(details), cost)


def _langfuse_usage(details: Json) -> Json:
    """In OpenAI's names. `input` leaves out what was read from a cache or written to it."""
    if "input" not in details:
        return details
    read = count(details.get("input_cached_tokens")) or count(
        details.get("cache_read_input_tokens")
    )
    written = count(details.get("cache_creation_input_tokens"))
    return {
        "prompt_tokens": count(details.get("input")) + read + written,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens": count(details.get("output")),
    }


def _logged(body: Json, model: Any, usage: Json, cost: Any = None) -> Logged:
    return Logged(
        body=body,
        dialect=_dialect(body),
        model=model if isinstance(model, str) and model else None,
        usage=_usage(usage),
        cost_nanos=_nanos(cost),
    )


def _dialect(body: Json) -> Dialect:
    if items(body.get("messages")):
        return Dialect.MESSAGES if "system" in body else Dialect.CHAT
    given = body.get("input")
    if "messages" not in body and (items(given) or (isinstance(given, str) and given)):
        return Dialect.RESPONSES
    raise UnreadableError("no messages")


def _usage(usage: Json) -> Usage | None:
    if "input_tokens_details" in usage:  # OpenAI's Responses: the cached are among the input
        responses = ResponsesReader()
        responses.whole({"usage": usage})
        return responses.usage
    if "input_tokens" in usage:
        reader = MessagesReader()
        reader.whole({"usage": usage})
        return reader.usage
    if asked(usage.get("prompt_tokens")) is None:
        return None
    return read_usage(usage)


def _nanos(cost: Any) -> Nanos | None:
    try:
        usd = float(cost)
    except (TypeError, ValueError):
        return None
    return round(usd * NANOS_PER_USD) if 0 < usd < 1e6 else None


def _first(row: Json, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _json(value: Any) -> Any:
    """Exports write nested JSON as text in some columns."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _inner(value: Any) -> Mapping[str, Any]:
    return mapping(_json(value))
