"""What mmrouter must know of a wire format, and no more.

Requests and answers pass through as they came. A dialect only *reads* them: the conversation to
judge, the needs that constrain the choice of a model, and in the answer its text, usage and end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mmrouter.types import Needs, Usage

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request's messages in one shape, whatever dialect they came in.

    Attributes:
        messages: OpenAI-shaped: `role` ("system", "developer", "user", "assistant", "tool") and
            `content` (str, or parts with `type`); assistant turns may carry `tool_calls`.
        tools: the tool schemas as they came.
    """

    messages: Sequence[Json]
    tools: Sequence[Json] = ()


@dataclass(slots=True)
class Fragment:
    """What one stream event, or one whole answer, adds.

    Attributes:
        text: generated text, tool arguments and reasoning included; for counting and gates.
        hidden: the event exists only because we asked for usage; the client must not see it.
        last: the stream's own end marker; nothing follows.
        error: the provider reports a failure inside a stream that began well.
    """

    text: str = ""
    hidden: bool = False
    last: bool = False
    error: Json | None = None


class Reader(Protocol):
    """Reads one answer, event by event; keeps what the books need."""

    usage: Usage | None
    finish_reason: str | None
    upstream_id: str | None

    def feed(self, data: bytes) -> Fragment:
        """Takes the `data` of one SSE event. Raises ValueError if it is not JSON."""

    def whole(self, answer: Json) -> Fragment:
        """Takes a whole JSON answer."""

    @property
    def finished(self) -> bool:
        """The answer reached its end: a stream that stops earlier was cut off."""


class Dialect(Protocol):
    """One wire format."""

    path: str
    """Below the API root of a provider."""

    def conversation(self, body: Json) -> Conversation:
        """The messages to judge."""

    def needs(self, body: Json) -> Needs:
        """Hard constraints on the model."""

    def prepare(self, body: Json, upstream: str, *, stream: bool) -> dict[str, Any]:
        """The body to send: a copy with the model's name set, and usage asked for."""

    def reader(self, body: Json) -> Reader:
        """A fresh reader for the answer to `body`."""


IMAGE_TOKENS = 1_600
"""What an image counts as where nothing says its size: the most Anthropic bills for one."""

_BYTES_PER_TOKEN = 3.6
"""English prose is nearer 4.3, code and JSON nearer 3.2: a middle that errs to more tokens."""


def count_tokens(texts: Iterable[str], images: int) -> tuple[int, int]:
    """(estimate, bound) of the prompt tokens in some texts and images.

    The bound holds for every byte-level tokenizer: no token is shorter than one byte.
    """
    size = 0
    pieces = 0
    for text in texts:
        size += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        pieces += 1
    framing = 4 * pieces
    estimate = int(size / _BYTES_PER_TOKEN) + framing + images * IMAGE_TOKENS
    return estimate, size + 2 * framing + 64 + images * IMAGE_TOKENS


def strings(value: Any) -> Iterator[str]:
    """Every string in some JSON, but for inline images and audio (base64)."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if not item.startswith("data:"):
                yield item
        elif isinstance(item, Mapping):
            if item.get("type") not in _BINARY_PARTS:
                stack.extend(item.keys())
                stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)


_BINARY_PARTS = frozenset({"image", "image_url", "input_image", "input_audio", "base64"})


def is_count(value: Any) -> bool:
    """A non-negative whole number (and not a bool)."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def count(value: Any) -> int:
    """A token count from a provider's JSON; what is not a count is 0."""
    return value if is_count(value) else 0


def mapping(value: Any) -> Json:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Json]:
    """The JSON objects in a JSON array; an empty list for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
