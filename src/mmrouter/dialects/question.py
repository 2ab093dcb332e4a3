"""A question of our own to a model (how hard is this, is that good enough), in any dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmrouter.types import Dialect, Role, Target

THINKING_TOKENS = 2_000
"""More room for models that reason before they answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask, and of whom.

    Attributes:
        model: the name in config.
        role: how the call stands in the books.
        turns: (role, text), alternating, from the user's first to the user's last.
        schema: JSON schema of the answer; sent along where the model is known to keep to one.
        timeout_s: give up after this, first byte to last.
    """

    model: str
    role: Role
    system: str
    turns: Sequence[tuple[str, str]]
    schema: Mapping[str, Any]
    max_tokens: int
    timeout_s: float


Ask = Callable[[Question], Awaitable[str]]
"""Asks within a request under way, whose books and budget the call falls under; the answer's text.

Raises MMRouterError.
"""


def dialect_of(target: Target) -> Dialect:
    """The dialect that the target itself speaks."""
    return Dialect.MESSAGES if target.kind == "anthropic" else Dialect.CHAT


def bound_key(dialect: Dialect, target: Target) -> str:
    """The body's key for the most tokens to write."""
    if dialect is Dialect.RESPONSES:
        return "max_output_tokens"
    # OpenAI's reasoning models take this name only; most other endpoints only the older one
    openai = dialect is Dialect.CHAT and target.provider == "openai"
    return "max_completion_tokens" if openai else "max_tokens"


def body_of(question: Question, target: Target) -> dict[str, Any]:
    """The question as a request in `dialect_of(target)`."""
    turns = [{"role": role, "content": text} for role, text in question.turns]
    able = target.capabilities or frozenset()
    room = question.max_tokens + (THINKING_TOKENS if "reasoning" in able else 0)
    if dialect_of(target) is Dialect.MESSAGES:
        return {
            "model": question.model,
            "system": question.system,
            "messages": turns,
            "max_tokens": room,
        }
    body: dict[str, Any] = {
        "model": question.model,
        "messages": [{"role": "system", "content": question.system}, *turns],
        bound_key(Dialect.CHAT, target): room,
    }
    if "json_schema" in able:
        schema = {"name": question.role.value, "strict": True, "schema": dict(question.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if "reasoning" not in able:
        body["temperature"] = 0
    return body
