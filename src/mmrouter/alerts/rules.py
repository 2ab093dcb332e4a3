"""When something is wrong: pure functions from what is known to readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mmrouter.alerts.base import Reading
from mmrouter.config.schema import AlertsConfig, BudgetConfig
from mmrouter.decide.budget import Balance, Limit
from mmrouter.money import NANOS_PER_USD, format_usd
from mmrouter.types import Nanos

USUAL_HOURS = 6
"""Hours with requests that make a usual hour known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at.

    Attributes:
        answerable: requests of the window that were not refused unasked.
        failed: those of them that ended without an answer.
        first_byte_ms: 95th percentile of the time to the first byte in the window; None: none came.
        unpriced: requests of the window of unknown cost, by the model that answered.
        hour_nanos: cost of the last hour.
        usual_hours: cost of each hour with requests of the week before.
        limits: every budget limit, and how it stands.
        open: whose breakers are open; see `whose_breaker`.
        drift: how far each limit's counter is from the books; None where nobody looked.
    """

    answerable: int = 0
    failed: int = 0
    first_byte_ms: float | None = None
    unpriced: Mapping[str, int] = field(default_factory=dict)
    hour_nanos: Nanos = 0
    usual_hours: Sequence[Nanos] = ()
    limits: Sequence[tuple[Limit, Balance]] = ()
    open: Sequence[str] = ()
    drift: Mapping[str, Nanos] | None = None


def read(facts: Facts, alerts: AlertsConfig, budget: BudgetConfig) -> list[Reading]:
    """What every rule says, those that config leaves out included; one reading at least of each
    rule that has anything to look at."""
    return [
        *_cost_spike(facts, alerts),
        *_error_rate(facts, alerts),
        *_budget_warning(facts, budget),
        *_latency(facts, alerts),
        *_breaker_open(facts),
        *_unknown_price(facts),
        *_drift(facts, alerts),
    ]


def whose_breaker(provider: str, model: str | None) -> str:
    """How alerts name a breaker: by its model, or, where `model` is None, by its provider."""
    return f"provider {provider}" if model is None else model


def _cost_spike(facts: Facts, config: AlertsConfig) -> Iterator[Reading]:
    hour, hours = facts.hour_nanos / NANOS_PER_USD, facts.usual_hours
    if len(hours) < USUAL_HOURS:
        text = "too few hours with requests to know a usual one"
        yield Reading("cost_spike", "", None, config.cost_spike_min_usd, "usd", text)
        return
    usual = sum(hours) / len(hours) / NANOS_PER_USD
    threshold = max(config.cost_spike_factor * usual, config.cost_spike_min_usd)
    text = (
        f"the last hour cost {format_usd(facts.hour_nanos)}, a usual one "
        f"{format_usd(round(usual * NANOS_PER_USD))}"
    )
    yield Reading("cost_spike", "", hour, threshold, "usd", text)


def _error_rate(facts: Facts, config: AlertsConfig) -> Iterator[Reading]:
    enough = facts.answerable >= config.min_requests
    share = facts.failed / facts.answerable if enough else None
    text = (
        f"{facts.failed} of {facts.answerable} requests in {config.window_seconds} s "
        "ended without an answer"
    )
    yield Reading("error_rate", "", share, config.error_rate, "share", text)


def _budget_warning(facts: Facts, budget: BudgetConfig) -> Iterator[Reading]:
    for limit, balance in facts.limits:
        share = balance.committed / limit.nanos if limit.nanos else 1.0
        text = (
            f"{limit.title}: {format_usd(balance.committed)} of {format_usd(limit.nanos)} "
            f"({share:.0%}) is spent or set aside"
        )
        threshold = budget.warn_threshold
        yield Reading(
            "budget_warning", limit.title, share, threshold, "share", text, at_threshold=True
        )


def _latency(facts: Facts, config: AlertsConfig) -> Iterator[Reading]:
    value = facts.first_byte_ms if facts.answerable >= config.min_requests else None
    text = (
        "too few requests to say"
        if value is None
        else f"one request in 20 waits {value / 1000:.1f} s or more for the first byte"
    )
    yield Reading("latency", "", value, config.latency_ms, "ms", text)


def _breaker_open(facts: Facts) -> Iterator[Reading]:
    if not facts.open:
        yield Reading("breaker_open", "", 0, 0, "count", "no breaker is open")
    for whose in facts.open:
        text = f"{whose} is failing: its circuit breaker is open"
        yield Reading("breaker_open", whose, 1, 0, "count", text)


def _unknown_price(facts: Facts) -> Iterator[Reading]:
    if not facts.unpriced:
        yield Reading("unknown_price", "", 0, 0, "count", "every cost is known")
    for model, count in facts.unpriced.items():
        text = f"{count} requests to {model} cost nobody knows how much"
        yield Reading("unknown_price", model, count, 0, "count", text)


def _drift(facts: Facts, config: AlertsConfig) -> Iterator[Reading]:
    if not facts.drift:
        text = "no limit is set" if facts.drift is not None else "not looked at yet"
        yield Reading("drift", "", None, config.drift_usd, "usd", text)
        return
    for title, nanos in facts.drift.items():
        text = f"{title}: the counter and the books differ by {format_usd(nanos)}"
        usd = nanos / NANOS_PER_USD
        yield Reading("drift", title, usd, config.drift_usd, "usd", text)
