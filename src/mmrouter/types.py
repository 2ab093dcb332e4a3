"""The plain data that flows through mmrouter.

Everything here is frozen and does nothing: a surface makes a `Request`, the classifier a
`Classification`, `decide` a `Plan`, the pipeline `Attempt`s and one `Outcome`. Money is an integer
of nano-dollars (1e-9 USD), durations are float milliseconds, instants are float Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

Nanos = int
"""Nano-dollars: 1_000_000_000 is one US dollar."""


class Complexity(StrEnum):
    """How strong a model the request needs."""

    SIMPLE = "simple"
    MEDIUM = "medium"
    COMPLEX = "complex"


class Category(StrEnum):
    """What kind of work the request asks for."""

    FACTUAL = "factual"
    REASONING = "reasoning"
    CREATIVE = "creative"
    CODE = "code"


class Dialect(StrEnum):
    """The wire format of a request body and of the answer to it."""

    CHAT = "chat"
    """OpenAI Chat Completions."""
    MESSAGES = "messages"
    """Anthropic Messages."""
    RESPONSES = "responses"
    """OpenAI Responses."""
    EMBEDDINGS = "embeddings"
    """OpenAI Embeddings."""


class Surface(StrEnum):
    """The door through which a request came in."""

    CLI = "cli"
    LIBRARY = "library"
    CHAT = "chat"
    MESSAGES = "messages"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    QUALITY = "quality"
    """No door: made by ourselves to compare answers. Nobody else asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What a classifier says of a conversation.

    Attributes:
        confidence: probability in 0..1 that both labels are right.
        difficulty: chance in 0..1 that a weak model fails where a strong one succeeds.
        strategy: the classifier that decided: "rules", "embeddings" or "llm".
        cost_nanos: what classifying cost beyond the attempts in the books: 0 where it cost nothing,
            and where a model was asked through the router, whose call is an attempt of its own.
        degraded: why a stronger strategy could not be used, or None.
    """

    complexity: Complexity
    category: Category
    confidence: float
    difficulty: float
    strategy: str
    cost_nanos: Nanos = 0
    degraded: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one provider call. The kinds are disjoint, but for the two that are called
    a part of another.

    Attributes:
        input_tokens: prompt tokens billed at the full rate (neither read from nor written to a
            prompt cache).
        cache_read_tokens: prompt tokens read from the provider's cache.
        cache_write_tokens: prompt tokens written to the provider's cache.
        cache_write_1h_tokens: the part of `cache_write_tokens` that is kept for an hour, at a rate
            of its own.
        output_tokens: all generated tokens, reasoning included.
        reasoning_tokens: the part of `output_tokens` spent on hidden reasoning.
        estimated: True where we counted because the provider did not say.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Prices of one tier, in pico-dollars (1e-12 USD) per token.

    1 USD per million tokens is 1_000_000 pico-dollars per token, so every published price is an
    exact integer. `cache_write_1h` is None where an hour in the cache costs no more than
    `cache_write`.
    """

    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    cache_write_1h: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model charges.

    Attributes:
        tiers: (least number of prompt tokens, rates), ascending; the first starts at 0. The tier
            of the whole prompt prices all of its tokens.
        source: where the price comes from: "config", or the library and its version.
    """

    tiers: tuple[tuple[int, Rates], ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model that can be called: a name in config, resolved.

    Attributes:
        name: the name that config and clients use.
        provider: the provider row's name ("anthropic", "corp").
        kind: "openai", "anthropic", "litellm" or "local".
        upstream: the name sent to the provider.
        base_url: API root without trailing slash; None lets the kind choose.
        api_key_env: environment variable that holds the key; None needs no key.
        price: None is "unknown", never free.
        context_window: most prompt + output tokens; None is unknown.
        max_output: most output tokens; None is unknown.
        capabilities: subset of {"tools", "vision", "json_schema", "audio", "reasoning"}; None is
            unknown, which no constraint excludes.
        prompt_caching: annotate the prompt with `cache_control` before sending.
    """

    name: str
    provider: str
    kind: str
    upstream: str
    base_url: str | None = None
    api_key_env: str | None = None
    price: Price | None = None
    context_window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None
    prompt_caching: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as its surface received it.

    Attributes:
        id: ours, "req_" and 32 hex digits.
        model: "auto", "auto:cheap", "auto:balanced", "auto:best", or the name of a model.
        body: the surface's JSON as it came; shared, so never changed in place.
        stream: the client reads the answer as it is made.
        session: conversation id, or None.
        key_name: name of the API key that was used, or None.
        max_cost_nanos: most that the request may cost, or None.
        dry_run: decide only, call nobody.
        unit: what a running experiment never splits, and this request is a part of, as a hash.
        forward_headers: headers that the upstream must see (`anthropic-version`, `anthropic-beta`).
    """

    id: str
    surface: Surface
    dialect: Dialect
    model: str
    body: Mapping[str, Any]
    stream: bool = False
    session: str | None = None
    key_name: str | None = None
    tags: tuple[str, ...] = ()
    max_cost_nanos: Nanos | None = None
    dry_run: bool = False
    unit: str | None = None
    forward_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a request asks of any model: hard constraints, read from the body.

    Attributes:
        input_tokens: estimated prompt tokens, tools included.
        input_bound: prompt tokens that no tokenizer exceeds; what a budget reserves for. None where
            the body does not bound them (a PDF, a conversation kept by the provider).
        max_output: the caller's bound on output tokens of one choice, or None.
        choices: how many answers are asked for (`n`).
        capabilities: what the model must be able to do.
        unpriced: what is asked for that rates per token do not price ("server tools", "audio"), so
            that the cost has no bound.
        sealed_by: kind of the targets ("anthropic", "openai") that signed the thinking of the turn
            under way, which may be neither changed nor left out (`History.signed_open`); None where
            there is none.
    """

    input_tokens: int
    input_bound: int | None
    max_output: int | None = None
    choices: int = 1
    capabilities: frozenset[str] = frozenset()
    unpriced: frozenset[str] = frozenset()
    sealed_by: str | None = None


class Role(StrEnum):
    """Why a candidate stands in a plan."""

    ROUTE = "route"
    FALLBACK = "fallback"
    CASCADE = "cascade"
    EXPLICIT = "explicit"
    LOCAL = "local"
    SESSION = "session"
    """It answered the conversation's last turn."""
    CLASSIFIER = "classifier"
    """Not a candidate: asked how hard the request is."""
    JUDGE = "judge"
    """Not a candidate: asked whether an answer is good enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model to try, and how.

    Attributes:
        gated: the answer must pass the cascade's gate before the client sees any of it.
        estimate_nanos: expected cost, or None where the price is unknown.
        bound_nanos: most that the attempt can cost; what the budget reserves. None: the price is
            unknown, or nothing bounds the tokens.
        omit_thinking: signed thinking of earlier turns is left out, which this model cannot read.
    """

    target: Target
    role: Role
    gated: bool = False
    estimate_nanos: Nanos | None = None
    bound_nanos: Nanos | None = None
    omit_thinking: bool = False


class Move(StrEnum):
    """What became of a conversation that one model has answered so far."""

    SAME = "same"
    """The route chose that model again."""
    TIED = "tied"
    """Only that model, or its provider, can read all of the history."""
    PINNED = "pinned"
    """It asked for the tool whose result this is; another stands in where it fails."""
    STAYED = "stayed"
    """The route chose another, which is not worth the switch."""
    SWITCHED = "switched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """How a plan follows from the turns before it.

    Attributes:
        model: name of the model that answered last.
        switch_nanos: what leaving it costs: prompt tokens that are cached there and must be read
            anew elsewhere, and here again on coming back. None where nothing was compared.
        saving_nanos: what the other model saves over the requests that config looks ahead, and what
            it would have saved on those before; negative where it is dearer. None where nothing was
            compared.
        forgone_nanos: what staying has cost since this model was last needed, this request
            included.
    """

    model: str
    move: Move
    switch_nanos: Nanos | None = None
    saving_nanos: Nanos | None = None
    forgone_nanos: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The decision: which models to try, in which order, and why.

    Attributes:
        classification: None where the caller named the model.
        candidates: tried in order until one is accepted.
        reasons: short sentences, in the order in which they changed the plan.
        wanted: the model that config names for the bucket, whatever was changed after.
        escalated: low confidence moved the request up a level.
        budget_downgraded: the budget moved it down.
        adaptive_reranked: feedback changed the order.
        variant: "experiment/variant" that chose the config, or None.
        continuation: None where no earlier turn is known.
    """

    classification: Classification | None
    candidates: tuple[Candidate, ...]
    needs: Needs
    reasons: tuple[str, ...] = ()
    wanted: Target | None = None
    escalated: bool = False
    budget_downgraded: bool = False
    adaptive_reranked: bool = False
    variant: str | None = None
    continuation: Continuation | None = None


class AttemptStatus(StrEnum):
    """How one provider call ended."""

    OK = "ok"
    FAILED = "failed"
    REJECTED = "rejected"
    """The cascade's gate did not accept the answer."""
    CANCELLED = "cancelled"
    """The client went away; priced from what had arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One provider call, as the books keep it.

    Attributes:
        cost_nanos: None where the price is unknown.
        bound_nanos: most that it could have cost, which a budget set aside before the call; None
            where nothing bounded it.
        started: Unix seconds.
        ttft_ms: milliseconds to the first byte of the answer, or None.
        http_status: the provider's status, or None where none came.
        error: class and message of the failure, without secrets.
        detail: the gate's reason, a retry's cause.
    """

    target: Target
    role: Role
    status: AttemptStatus
    usage: Usage
    cost_nanos: Nanos | None
    started: float
    latency_ms: float
    bound_nanos: Nanos | None = None
    ttft_ms: float | None = None
    finish_reason: str | None = None
    http_status: int | None = None
    error_class: str | None = None
    error: str | None = None
    upstream_id: str | None = None
    detail: str | None = None

    @property
    def aside(self) -> bool:
        """A call on the way to the answer, not for it: it classified or judged."""
        return self.role in (Role.CLASSIFIER, Role.JUDGE)


class Status(StrEnum):
    """How a request ended for the client."""

    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """Nobody was called: no model fits, or the budget said no."""


@dataclass(frozen=True, kw_only=True)  # no slots: they leave no place for what is cached
class Outcome:
    """A finished request: what the tracker, the metrics and the caller learn.

    Attributes:
        plan: None where the request failed before there was one.
        attempts: every provider call, in order.
        started: Unix seconds.
        latency_ms: from the request's arrival to its last byte.
        overhead_ms: the part of it that mmrouter itself took before the first call.
        cost_nanos: of all attempts and of classifying; None where any part is unknown.
        prompt_hash: SHA-256 of the judged text, hex.
        prompt: the judged text itself, only where config stores prompts.
    """

    request: Request
    plan: Plan | None
    attempts: tuple[Attempt, ...]
    status: Status
    started: float
    latency_ms: float
    overhead_ms: float
    cost_nanos: Nanos | None
    ttft_ms: float | None = None
    error_class: str | None = None
    error: str | None = None
    prompt_hash: str | None = None
    prompt: str | None = None

    @cached_property
    def answered(self) -> Attempt | None:
        """The attempt whose answer the client got, or None."""
        for attempt in reversed(self.tries):
            if attempt.status in (AttemptStatus.OK, AttemptStatus.CANCELLED):
                return attempt
        return None

    @cached_property
    def fallback_used(self) -> bool:
        """A model answered after another one had failed."""
        answered = self.answered
        return answered is not None and any(
            a.status is AttemptStatus.FAILED and a.target.name != answered.target.name
            for a in self.tries
        )

    @cached_property
    def tries(self) -> tuple[Attempt, ...]:
        """The attempts to answer: no classifying, no judging."""
        return tuple([a for a in self.attempts if not a.aside])

    @property
    def cascade_used(self) -> bool:
        """A cheaper model of a cascade was asked first."""
        return any(a.role is Role.CASCADE for a in self.tries)
