"""The contract of a provider: one method that yields an answer as it arrives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from mmrouter.decide.rate_limit import Allowance
from mmrouter.types import Dialect, Target, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One provider call.

    Attributes:
        body: in `dialect`, as the client sent it; the provider sets the model's name.
        forward_headers: client headers that the upstream must see.
        timeout_s: longest wait for the first byte of the answer.
        stall_s: longest silence after it.
        total_s: longest time for all of the answer.
    """

    target: Target
    dialect: Dialect
    body: Mapping[str, Any]
    stream: bool
    timeout_s: float
    stall_s: float
    total_s: float = inf
    forward_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Chunk:
    """A piece of the answer.

    Attributes:
        data: bytes for the client, in the call's dialect; empty where there is nothing to show.
        text: generated text in it, tool arguments included.
        usage: token counts as far as the provider has told them, or None.
    """

    data: bytes
    text: str = ""
    usage: Usage | None = None


@dataclass(slots=True)
class Finish:
    """The end of an answer: the last thing that a provider yields.

    Attributes:
        data: the last bytes for the client (a stream's end marker; a whole JSON answer).
        text: generated text in `data`.
        usage: None where the provider did not say.
        allowances: what the provider's headers say is left of its rate limits.
    """

    data: bytes
    text: str = ""
    usage: Usage | None = None
    finish_reason: str | None = None
    upstream_id: str | None = None
    allowances: Sequence[Allowance] = ()


Answer = AsyncGenerator[Chunk | Finish, None]


class ProviderBase(ABC):
    """Calls models. Stateless but for its connections; safe for concurrent calls on one loop."""

    @abstractmethod
    def stream(self, call: Call) -> Answer:
        """Yields `Chunk`s, then one `Finish`.

        A call with `stream=False` yields only the `Finish`, whose data is the whole answer.
        Closing the generator cancels the upstream call.

        Raises:
            ProviderError: whatever went wrong, in our own terms.
            InvalidRequestError: the request cannot be carried to this kind of provider.
        """

    async def count_tokens(self, call: Call) -> int | None:
        """Prompt tokens of the call as the provider counts them; None where it cannot say.

        Raises:
            ProviderError
        """
        return None

    async def aclose(self) -> None:  # noqa: B027 - most providers hold nothing open
        """Closes connections. Called once; no call is in flight."""
