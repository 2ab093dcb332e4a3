"""What LiteLLM returns, as a provider's answer: bytes in the client's dialect, usage, text.

LiteLLM makes up what a stream lacks: a beginning before the provider has said a word, and an end
where it stopped in the middle. Under each translation lies the stream of Chat chunks as they came;
its record decides what the provider did say.
"""

from __future__ import annotations

import asyncio
import base64
import time
from array import array
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

import orjson

from mmrouter import errors
from mmrouter.decide.rate_limit import Allowance
from mmrouter.dialects import DIALECTS, Reader
from mmrouter.dialects.base import mapping
from mmrouter.providers import litellm_failures
from mmrouter.providers.base import Call, Chunk, Finish
from mmrouter.providers.rate_limits import allowances
from mmrouter.providers.sse import SseParser
from mmrouter.types import Dialect

_INSIDE = (
    "litellm_custom_stream_wrapper",
    "_anthropic_wrapper",
    "completion_stream",
    "_stream",
    "streaming_response",
    "response",
)
"""Where LiteLLM's streams, and the SDK's, keep the stream that they read."""


def whole(answer: Any, call: Call) -> Finish:
    """The answer to a call that asked for no stream."""
    body = _plain(answer)
    if call.dialect is Dialect.EMBEDDINGS and call.body.get("encoding_format") == "base64":
        for row in body.get("data", []):
            if isinstance(row.get("embedding"), list):
                row["embedding"] = base64.b64encode(array("f", row["embedding"])).decode()
    if call.dialect is Dialect.CHAT:
        for choice in body["choices"]:
            choice["message"].setdefault("content", None)
    reader = DIALECTS[call.dialect].reader(call.body)
    fragment = reader.whole(body)
    return Finish(
        data=orjson.dumps(body),
        text=fragment.text,
        usage=reader.usage,
        finish_reason=reader.finish_reason,
        upstream_id=reader.upstream_id,
        allowances=_allowances(answer),
    )


async def pieces(
    answer: Any, call: Call, deadline: float, secret: str | None
) -> AsyncGenerator[Chunk | Finish, None]:
    """The pieces of a stream; closing the generator closes the connection.

    Args:
        deadline: the loop's time by which the provider must have said something.
        secret: the key that was sent; no error shows it.

    Raises:
        ProviderTimeoutError: nothing by the deadline, or for `call.stall_s` after it began.
        ProviderProtocolError: the stream breaks off.
        ProviderError: the provider reports a failure inside it.
    """
    who = call.target.provider
    reader = DIALECTS[call.dialect].reader(call.body)
    events = _Events(call.dialect)
    layers = list(_layers(answer))
    received = next((layer.chunks for layer in layers if hasattr(layer, "chunks")), None)
    begun, data = False, bytearray()
    stream = aiter(answer)
    try:
        while True:
            wait = asyncio.timeout(call.stall_s) if begun else asyncio.timeout_at(deadline)
            try:
                async with wait:
                    item = await anext(stream, None)
            except TimeoutError:
                waited = call.stall_s if begun else call.timeout_s
                raise errors.ProviderTimeoutError(f"{who} sent nothing for {waited:g} s") from None
            if item is None:
                break
            text, end = "", None
            for raw, payload in events.of(item):
                fragment = reader.feed(payload)
                if fragment.error is not None:
                    raise litellm_failures.in_stream(fragment.error, who, secret)
                if reader.finished and not _has_end(received):
                    raise litellm_failures.cut(who)
                text += fragment.text
                if fragment.last:
                    end = raw
                    break
                if not fragment.hidden:
                    data += raw
            begun = begun or received is None or bool(received)
            if begun and (data or text):
                yield Chunk(bytes(data), text, reader.usage)
                data.clear()
            if end is not None:
                yield _finish(end, reader, answer)
                return
    finally:
        await _close(layers)
    if not reader.finished:
        raise litellm_failures.cut(who)
    last = b"data: [DONE]\n\n" if call.dialect is Dialect.CHAT else b""
    yield _finish(last, reader, answer)


def _layers(answer: Any) -> Iterator[Any]:
    """The stream and those inside it, down to the connection."""
    layer = answer
    while layer is not None:
        yield layer
        held = (getattr(layer, name, None) for name in _INSIDE)
        layer = next((inner for inner in held if inner is not None), None)


async def _close(layers: Sequence[Any]) -> None:
    """From the connection outwards: not every stream of LiteLLM closes the one that it reads."""
    for layer in reversed(layers):
        if hasattr(layer, "aclose"):
            await layer.aclose()


def _has_end(received: Sequence[Any] | None) -> bool:
    """Whether the provider finished; None: its own events are passed on, and the reader knows."""
    return received is None or any(
        choice.finish_reason for chunk in reversed(received) for choice in chunk.choices
    )


class _Events:
    """What LiteLLM yields, as server-sent events: (bytes for the client, payload to read)."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._parser = SseParser()
        self._number = 0
        self._thoughts = 0

    def of(self, item: Any) -> Iterator[tuple[bytes, bytes]]:
        if self._dialect is Dialect.MESSAGES:
            for event in self._parser.feed(item if isinstance(item, bytes) else item.encode()):
                if event.data:
                    yield event.raw, event.data
            return
        body = _plain(item)
        if self._dialect is Dialect.RESPONSES:
            body["sequence_number"] = self._number
            self._number += 1
            payload = orjson.dumps(body)
            yield b"event: %b\ndata: %b\n\n" % (str(body["type"]).encode(), payload), payload
            return
        for choice in body["choices"]:
            self._set_right(choice)
        if body.get("usage") and not any(c["delta"] or c["finish_reason"] for c in body["choices"]):
            body["choices"] = []  # as OpenAI sends it, and by which readers know it
        payload = orjson.dumps(body)
        yield b"data: %b\n\n" % payload, payload

    def _set_right(self, choice: dict[str, Any]) -> None:
        """Makes a choice one that OpenAI's SDK can put together with those before it."""
        choice.setdefault("finish_reason", None)
        delta = choice["delta"]
        if "tool_calls" in delta and not delta.get("content"):
            delta.pop("content", None)  # an empty text beside a call is LiteLLM's own
        delta.pop("provider_specific_fields", None)  # says again what the fields beside it say
        for block in delta.get("thinking_blocks", ()):
            block.setdefault("index", self._thoughts)
            self._thoughts += "signature" in block and bool(block["signature"])


def _plain(answer: Any) -> dict[str, Any]:
    """LiteLLM's object as JSON, without the price that it guesses."""
    body: dict[str, Any]
    body = (
        dict(answer)
        if isinstance(answer, Mapping)
        else answer.model_dump(mode="json", exclude_none=True)
    )
    for holder in (body, mapping(body.get("response"))):
        usage = holder.get("usage")
        if isinstance(usage, dict):
            usage.pop("cost", None)
    return body


def _finish(data: bytes, reader: Reader, answer: Any) -> Finish:
    return Finish(
        data=data,
        usage=reader.usage,
        finish_reason=reader.finish_reason,
        upstream_id=reader.upstream_id,
        allowances=_allowances(answer),
    )


def _allowances(answer: Any) -> tuple[Allowance, ...]:
    hidden = mapping(getattr(answer, "_hidden_params", None))
    headers = {
        str(name).removeprefix("llm_provider-").lower(): str(value)
        for name, value in mapping(hidden.get("additional_headers")).items()
    }
    return allowances(headers, time.time())
