"""OpenAI Embeddings (https://platform.openai.com/docs/api-reference/embeddings)."""

from __future__ import annotations

from typing import Any

from mmrouter.dialects.base import (
    Conversation,
    Fragment,
    Json,
    bound_tokens,
    count_tokens,
    mapping,
    strings,
)
from mmrouter.dialects.chat import read_usage
from mmrouter.types import Needs, Usage


class EmbeddingsDialect:
    """See `mmrouter.dialects.base.Dialect`. Embeddings are never streamed."""

    path = "/embeddings"

    def conversation(self, body: Json) -> Conversation:
        return Conversation([{"role": "user", "content": "\n".join(strings(body.get("input")))}])

    def needs(self, body: Json) -> Needs:
        return Needs(
            input_tokens=count_tokens(strings(body.get("input")), 0),
            input_bound=bound_tokens(body, ()),
            max_output=0,
        )

    def prepare(self, body: Json, upstream: str, *, stream: bool) -> dict[str, Any]:
        return {**body, "model": upstream}

    def reader(self, body: Json) -> EmbeddingsReader:
        return EmbeddingsReader()


class EmbeddingsReader:
    """Reads the usage of an embeddings answer."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.upstream_id: str | None = None
        self._ended = False

    @property
    def finished(self) -> bool:
        return self._ended

    def feed(self, data: bytes) -> Fragment:
        raise ValueError("embeddings are not streamed")

    def whole(self, answer: Json) -> Fragment:
        usage = mapping(answer.get("usage"))
        if usage:
            self.usage = read_usage(usage)
        self._ended = True
        return Fragment()
