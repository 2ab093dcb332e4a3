"""The config file as pydantic models: every key, its meaning, its unit and its default.

Unknown keys are errors (`extra=forbid`). Numbers may be quoted, as in the published examples.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from mmrouter.types import Category, Complexity

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Usd = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Capability = Literal["tools", "vision", "json_schema", "audio", "reasoning"]


def _blank_section(value: Any) -> Any:
    """`section:` with nothing under it means its defaults, as people expect of YAML."""
    return {} if value is None else value


class Section(BaseModel):
    """Base of all sections: closed, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RouteConfig(Section):
    """Which models serve one bucket."""

    model: str = Field(min_length=1, description="The model that serves this bucket.")
    fallbacks: tuple[str, ...] = Field(
        default=(), description="Tried in order when the model fails."
    )
    cascade: tuple[str, ...] = Field(
        default=(), description="With cascade.enabled: tried cheapest first, gated."
    )


class ClassifierConfig(Section):
    """How prompts are classified."""

    strategy: Literal["auto", "rules", "embeddings", "llm"] = Field(
        default="auto", description="auto takes embeddings where installed, else rules."
    )
    model: str | None = Field(default=None, description="strategy llm: the model that classifies.")
    threshold: Fraction = Field(
        default=0.7, description="A confidence below this moves the request one level up."
    )
    second_look: bool = Field(
        default=True,
        description="strategy embeddings: requests of which it is unsure are looked at again by a "
        "transformer, some 3 to 80 ms on one thread.",
    )
    trained_model: str | None = Field(default=None, description="Folder that `train` wrote.")
    timeout_ms: int = Field(default=3000, gt=0, description="strategy llm: give up after this.")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.strategy == "llm" and not self.model:
            raise ValueError("strategy llm needs 'model': the name of the model that classifies")
        return self


class ProviderConfig(Section):
    """How providers are called: deadlines, retries, circuit breakers."""

    timeout_ms: int = Field(
        default=30_000, gt=0, description="Longest wait for an attempt's first byte."
    )
    stall_timeout_ms: int = Field(
        default=30_000, gt=0, description="Longest silence inside a stream."
    )
    total_timeout_ms: int = Field(
        default=600_000, gt=0, description="Longest time for a request, all attempts together."
    )
    max_retries: int = Field(
        default=2, ge=0, le=10, description="More tries of one model after a retryable failure."
    )
    circuit_breaker_threshold: int = Field(
        default=5, gt=0, description="Failures in a row that open a model's breaker."
    )
    circuit_breaker_reset_ms: int = Field(
        default=60_000, gt=0, description="How long a model's breaker stays open."
    )
    provider_circuit_breaker_threshold: int = Field(
        default=2, gt=0, description="Open models that open their provider's breaker."
    )
    provider_circuit_breaker_reset_ms: int = Field(
        default=120_000, gt=0, description="How long a provider's breaker stays open."
    )
    circuit_breaker_probes: int = Field(
        default=1, gt=0, description="Calls at a time that try whether a half-open one is back."
    )
    retry_budget: float = Field(
        default=0.2, ge=0, le=10, description="Retries of a provider, as a share of its calls."
    )
    retry_budget_floor: float = Field(
        default=1.0, ge=0, description="Retries a second that a provider gets on top."
    )
    on_context_overflow: Literal["next", "fail"] = Field(
        default="next",
        description="A prompt is too long for the model: ask one with a larger window, or fail.",
    )
    on_content_filter: Literal["next", "fail"] = Field(
        default="next",
        description="A provider's filter refuses before a byte was sent: ask the next, or fail.",
    )
    provider_map: dict[str, str] = Field(
        default_factory=dict, description="Model name to provider, over the registry's patterns."
    )
    prompt_caching: bool = Field(
        default=True, description="Add cache_control to prompts for Anthropic models."
    )


class CascadeConfig(Section):
    """Cheap first; escalate when the answer fails the gate."""

    enabled: bool = False
    strategy: Literal["heuristic", "llm_judge"] = "heuristic"
    min_response_length: int = Field(
        default=50, ge=0, description="Characters; shorter answers are looked at more closely."
    )
    hedging_phrases: tuple[str, ...] = Field(
        default=(
            "I'm not sure",
            "I don't know",
            "I cannot",
            "I'm unable",
            "I don't have enough information",
        ),
        description="Phrases that mark an answer as a refusal or a guess.",
    )
    judge_model: str | None = Field(default=None, description="strategy llm_judge: who judges.")
    judge_threshold: int = Field(default=4, ge=1, le=5, description="Least score that passes.")
    max_buffer_ms: int = Field(
        default=20_000, gt=0, description="Streams: longest wait for the gated attempt."
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.strategy == "llm_judge" and not self.judge_model:
            raise ValueError("strategy llm_judge needs 'judge_model': the name of the judge")
        return self


class BudgetLimits(Section):
    """Spending limits in USD; None is no limit."""

    daily_limit: Usd | None = None
    monthly_limit: Usd | None = None


class BudgetConfig(Section):
    """Spending limits, and what happens as spending nears them."""

    enabled: bool = False
    daily_limit: Usd = Field(default=0.0, description="USD a day; 0 is no daily limit.")
    monthly_limit: Usd = Field(default=0.0, description="USD a month; 0 is no monthly limit.")
    warn_threshold: Fraction = Field(default=0.75, description="Share of the limit: log a warning.")
    downgrade_threshold: Fraction = Field(
        default=0.90, description="Share of the limit: route one level down."
    )
    hard_limit_action: Literal["cheapest", "reject"] = Field(
        default="cheapest", description="At the limit: only the cheapest model that fits, or 429."
    )
    timezone: str = Field(default="UTC", description="IANA zone whose midnight starts the day.")
    tags: dict[str, BudgetLimits] = Field(default_factory=dict, description="Limits per tag.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warn_threshold > self.downgrade_threshold:
            raise ValueError("warn_threshold must not be above downgrade_threshold")
        return self

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # "Europe" is a folder
            raise ValueError(f"'{name}' is no IANA time zone, such as Europe/Berlin") from None
        return name


class SessionsConfig(Section):
    """Conversations: who answered before, what a provider has cached of them."""

    enabled: bool = True
    ttl: float = Field(
        default=3600.0, gt=0, description="Seconds after its last answer; then it is forgotten."
    )
    most: int = Field(
        default=20_000, gt=0, description="Conversations remembered in memory; the oldest go first."
    )
    momentum_half_life: float = Field(
        default=3.0, ge=0, description="User turns in which a hard turn's weight halves; 0 is none."
    )
    switch_horizon: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Requests, this one included, over which a switch's saving is counted ahead.",
    )


class AdaptiveConfig(Section):
    """Feedback moves models within a route."""

    enabled: bool = False
    strategy: Literal["thresholds", "beta", "thompson"] = Field(
        default="thresholds", description="How scores become an order: see docs/adaptive.md."
    )
    min_feedback_count: int = Field(
        default=20,
        ge=1,
        description="Scores before anything moves: of the model (thresholds), of the bucket.",
    )
    decay_days: int = Field(default=30, ge=1, description="A score of this age counts half.")
    penalty_threshold: Fraction = Field(
        default=0.4, description="thresholds: a mean score below it puts a model behind the others."
    )
    boost_threshold: Fraction = Field(
        default=0.8, description="thresholds: a mean score above it puts it before them."
    )
    cost_weight: float = Field(
        default=0.2,
        ge=0,
        le=0.5,
        description="beta, thompson: how much better an answer of the route's dearest model must "
        "be, compared with one that costs nothing.",
    )
    cache_ttl: float = Field(default=60.0, ge=0, description="Seconds between reads of feedback.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.penalty_threshold > self.boost_threshold:
            raise ValueError("penalty_threshold must not be above boost_threshold")
        return self


_ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"

AlertRule = Literal[
    "cost_spike",
    "error_rate",
    "budget_warning",
    "latency",
    "breaker_open",
    "unknown_price",
    "drift",
]


class AlertsConfig(Section):
    """Who is told, and of what."""

    enabled: bool = False
    rules: tuple[AlertRule, ...] = Field(
        default=("cost_spike", "error_rate", "budget_warning"), description="See docs/alerts.md."
    )
    webhook_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="Where alerts are posted."
    )
    webhook_url_env: str | None = Field(
        default=None,
        pattern=_ENV_NAME,
        description="Environment variable that holds webhook_url, where the URL is a secret.",
    )
    format: Literal["auto", "slack", "generic"] = Field(
        default="auto", description="Shape of the webhook's body; auto: slack at hooks.slack.com."
    )
    secret_env: str | None = Field(
        default=None,
        pattern=_ENV_NAME,
        description="Environment variable with the secret that signs generic webhooks.",
    )
    notify_env: str | None = Field(
        default=None,
        pattern=_ENV_NAME,
        description="Environment variable with Apprise URLs (mailto://...), split by spaces.",
    )
    allow_private: bool = Field(
        default=False, description="Webhooks may go to private and loopback addresses."
    )
    cooldown_seconds: int = Field(
        default=300, ge=0, description="A rule that spoke of a thing is quiet about it for this."
    )
    remind_seconds: int = Field(
        default=14_400, ge=0, description="Say again what still holds, after this; 0: never."
    )
    recovery: bool = Field(default=False, description="Say so too when it is over.")
    every_seconds: int = Field(default=60, ge=1, description="Time between two looks at the books.")
    window_seconds: int = Field(
        default=300, ge=1, description="error_rate, latency, unknown_price: requests of this long."
    )
    min_requests: int = Field(
        default=20, ge=1, description="error_rate, latency: fewer in the window say nothing."
    )
    error_rate: Fraction = Field(default=0.1, description="Share of requests that fail.")
    latency_ms: int = Field(
        default=30_000, gt=0, description="latency: 95th percentile of the time to the first byte."
    )
    cost_spike_factor: float = Field(
        default=3.0, gt=1, description="Last hour's cost over that of a usual hour."
    )
    cost_spike_min_usd: Usd = Field(default=1.0, description="A cheaper hour is no spike.")
    drift_usd: Usd = Field(
        default=0.01, description="Most that budget counters and books may differ."
    )


class QualityConfig(Section):
    """Whether routed answers are as good as the baseline's: who judges, and how much of the live
    traffic."""

    judge_model: str | None = Field(
        default=None, description="Who judges; default: complex/reasoning's model."
    )
    shadow: Fraction = Field(
        default=0.0,
        description="Share of the server's routed answers that are judged in the background.",
    )
    daily_limit: Usd = Field(
        default=1.0, description="shadow: USD a day for judging, baseline answers included."
    )


class ProviderRow(Section):
    """An endpoint of your own, or a change to a built-in one."""

    kind: Literal["openai", "anthropic", "litellm", "local"] = "openai"
    base_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    api_key_env: str | None = Field(
        default=None,
        pattern=_ENV_NAME,
        description="Name of the environment variable that holds the key; never the key.",
    )


class PriceRow(Section):
    """USD per million tokens."""

    input: Usd
    output: Usd
    cache_read: Usd | None = Field(default=None, description="Default: the input price.")
    cache_write: Usd | None = Field(default=None, description="Default: the input price.")
    cache_write_1h: Usd | None = Field(
        default=None, description="Kept for an hour. Default: the cache_write price."
    )
    reasoning: Usd | None = Field(default=None, description="Default: the output price.")


class ModelRow(Section):
    """A model under a name of your choice."""

    provider: str
    upstream: str | None = Field(default=None, description="Name at the provider; default: ours.")
    price: PriceRow | None = None
    context_window: int | None = Field(default=None, gt=0, description="Tokens.")
    max_output: int | None = Field(default=None, gt=0, description="Tokens.")
    capabilities: tuple[Capability, ...] | None = None
    path: str | None = Field(default=None, description="kind local: a GGUF file.")


class TrackerConfig(Section):
    """The books."""

    url: str = Field(
        default="sqlite:///mmrouter.db", description="sqlite:///FILE or postgresql://USER@HOST/DB."
    )
    store_prompts: bool = Field(default=False, description="Keep prompts, not only their hashes.")
    on_failure: Literal["refuse", "spill"] = Field(
        default="refuse",
        description="The database is lost: refuse requests, or set rows aside in a file.",
    )
    spill_path: str = Field(
        default="mmrouter.spill.jsonl", description="on_failure spill: that file."
    )


class StateConfig(Section):
    """Counters that replicas share."""

    url: str = "memory://"


class KeyRow(Section):
    """A client's API key: only its hash is here (`mmrouter keys create`)."""

    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    scope: Literal["client", "admin"] = Field(
        default="client", description="`admin` opens the dashboard too; `client` only asks models."
    )
    tags: tuple[str, ...] = ()
    daily_limit: Usd | None = None
    monthly_limit: Usd | None = None
    requests_per_minute: int | None = Field(default=None, gt=0)


class ServerConfig(Section):
    """The HTTP server."""

    max_body_bytes: int = Field(default=32 * 1024 * 1024, gt=0)
    max_messages: int = Field(default=10_000, gt=0)
    max_json_depth: int = Field(default=64, gt=0)
    drain_seconds: float = Field(default=30.0, ge=0)
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Host names besides loopback that browsers may use."
    )
    keys: dict[str, KeyRow] = Field(default_factory=dict)


Bucket = dict[Category, RouteConfig]


class Config(Section):
    """A whole config file."""

    version: str = "1"
    routes: dict[Complexity, Bucket]
    classifier: Annotated[ClassifierConfig, BeforeValidator(_blank_section)] = ClassifierConfig()
    provider: Annotated[ProviderConfig, BeforeValidator(_blank_section)] = ProviderConfig()
    cascade: Annotated[CascadeConfig, BeforeValidator(_blank_section)] = CascadeConfig()
    budget: Annotated[BudgetConfig, BeforeValidator(_blank_section)] = BudgetConfig()
    sessions: Annotated[SessionsConfig, BeforeValidator(_blank_section)] = SessionsConfig()
    adaptive: Annotated[AdaptiveConfig, BeforeValidator(_blank_section)] = AdaptiveConfig()
    alerts: Annotated[AlertsConfig, BeforeValidator(_blank_section)] = AlertsConfig()
    quality: Annotated[QualityConfig, BeforeValidator(_blank_section)] = QualityConfig()
    providers: dict[str, ProviderRow] = Field(default_factory=dict)
    models: dict[str, ModelRow] = Field(default_factory=dict)
    tracker: Annotated[TrackerConfig, BeforeValidator(_blank_section)] = TrackerConfig()
    state: Annotated[StateConfig, BeforeValidator(_blank_section)] = StateConfig()
    server: Annotated[ServerConfig, BeforeValidator(_blank_section)] = ServerConfig()
    unpriced: Literal["refuse", "allow"] = Field(
        default="refuse", description="What happens with a model whose price is unknown."
    )
    baseline: str | None = Field(
        default=None,
        description="Savings are counted against this model; default: medium/reasoning's.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [
            f"{complexity.value}.{category.value}"
            for complexity in Complexity
            for category in Category
            if category not in self.routes.get(complexity, {})
        ]
        if missing:
            raise ValueError(f"routes must cover all 12 buckets; missing: {', '.join(missing)}")
        return self

    def route(self, complexity: Complexity, category: Category) -> RouteConfig:
        """The route of a bucket."""
        return self.routes[complexity][category]

    @property
    def baseline_model(self) -> str:
        """Name of the model that savings are counted against."""
        return self.baseline or self.route(Complexity.MEDIUM, Category.REASONING).model

    @property
    def judge_model(self) -> str:
        """Name of the model that compares answers."""
        return self.quality.judge_model or self.route(Complexity.COMPLEX, Category.REASONING).model

    def model_names(self) -> tuple[str, ...]:
        """Every model that routes name, in order of first mention, without repeats."""
        names: dict[str, None] = {}
        for bucket in self.routes.values():
            for route in bucket.values():
                names |= dict.fromkeys((route.model, *route.fallbacks, *route.cascade))
        return tuple(names)

    def called_names(self) -> tuple[str, ...]:
        """Models that may be called without a client naming them: those of `model_names`, and those
        that classify and judge."""
        aside: list[str | None] = []
        if self.classifier.strategy == "llm":
            aside.append(self.classifier.model)
        if self.cascade.enabled and self.cascade.strategy == "llm_judge":
            aside.append(self.cascade.judge_model)
        if self.quality.shadow > 0:
            aside += (self.baseline_model, self.judge_model)
        return tuple(dict.fromkeys((*self.model_names(), *filter(None, aside))))
