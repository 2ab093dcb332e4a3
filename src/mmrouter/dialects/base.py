"""What mmrouter must know of a wire format, and no more.

Requests and answers pass through as they came. A dialect only *reads* them: the conversation to
judge, the needs that constrain the choice of a model, and in the answer its text, usage and end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mmrouter.dialects import exact
from mmrouter.errors import InvalidRequestError
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

IMAGE_TOKENS_BOUND = 50_000
"""The most that one image is billed for: 48,169 at gpt-4o-mini, whose image tokens are inflated to
the price of gpt-4o's; every other published rule stays below 20,000."""

UNSEEN_TOKENS = 2_048
"""The most that providers add to a prompt without showing it: instructions for tool use (Anthropic:
up to 1,200), formats, chat templates."""

_BYTES_PER_TOKEN = 3.6
"""English prose is nearer 4.3, code and JSON nearer 3.2: a middle that errs to more tokens."""


def count_tokens(texts: Iterable[str], images: int) -> int:
    """An estimate of the prompt tokens in some texts and images."""
    size = 0
    pieces = 0
    for text in texts:
        size += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        pieces += 1
    return int(size / _BYTES_PER_TOKEN) + 4 * pieces + images * IMAGE_TOKENS


def bound_tokens(body: Json, images: Sequence[Json]) -> int:
    """Prompt tokens that no byte-level tokenizer exceeds: no token is shorter than one byte.

    The whole body counts as it is sent, so that nothing in it is overlooked: numbers, keys and the
    punctuation of tool schemas are billed too.

    Args:
        images: the parts of `body` that are images; each counts as `IMAGE_TOKENS_BOUND`.

    Raises:
        InvalidRequestError: the body cannot be sent as JSON.
    """
    shown = sum(_json_bytes(image) for image in images)
    return _json_bytes(body) - shown + len(images) * IMAGE_TOKENS_BOUND + UNSEEN_TOKENS


def _json_bytes(value: Json) -> int:
    try:
        return len(exact.dumps(value))
    except TypeError as error:
        raise InvalidRequestError(f"The request cannot be sent as JSON: {error}") from None


def strings(value: Any) -> Iterator[str]:
    """Every string in some JSON, but for inline images and audio (base64)."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if not item.startswith("data:"):
                yield item
        elif isinstance(item, _OBJECT):
            if item.get("type") not in _BINARY_PARTS:
                stack.extend(item.keys())
                stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)


_OBJECT = (dict, Mapping)
"""A JSON object. Plain ones are known at once; to ask an abstract class takes ten times as long."""

_BINARY_PARTS = ("image", "image_url", "input_image", "input_audio", "base64")
"""A tuple: what clients send as `type` need not be hashable."""


PLAIN_TIERS = (None, "auto", "default", "standard", "standard_only", "flex")
"""Values of `service_tier` that cost what the price list says, or less."""


def is_count(value: Any) -> bool:
    """A non-negative whole number (and not a bool)."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def count(value: Any) -> int:
    """A token count from a provider's JSON; what is not a count is 0."""
    return value if is_count(value) else 0


def asked(value: Any) -> int | None:
    """A count that a caller asks for, also where it is written as "5" or 5.0, which lenient
    upstreams take; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if is_count(value) else None


def kind(part: Json) -> str:
    """The `type` of a message, part or tool; empty where it has none."""
    value = part.get("type")
    return value if isinstance(value, str) else ""


def word(value: Any) -> str | None:
    """The value if it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def mapping(value: Any) -> Json:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, _OBJECT) else {}


def items(value: Any) -> list[Json]:
    """The JSON objects in a JSON array; an empty list for anything else."""
    return [item for item in value if isinstance(item, _OBJECT)] if isinstance(value, list) else []
