"""Overview: what was spent, what routing saved, how well it went."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from mmrouter.config.schema import Config
from mmrouter.dashboard.latency import latencies
from mmrouter.dashboard.series import series
from mmrouter.providers.registry import Registry
from mmrouter.tracker.savings import Savings, savings
from mmrouter.tracker.store import Filter, Store

Json = dict[str, Any]


def traffic(store: Store, filter: Filter, zone: ZoneInfo, now: float) -> Json:
    """Requests and money over time, by model; the page adds them up."""
    found = series(store, filter, zone=zone, now=now)
    return {
        "step_s": found.step_s,
        "first": found.first,
        "last": found.last,
        "cells": [asdict(cell) for cell in found.cells],
    }


def times(store: Store, filter: Filter) -> Json:
    """Percentiles of latency and of time to first token, in milliseconds."""
    return asdict(latencies(store, filter))


def saved(store: Store, filter: Filter, config: Config, registry: Registry) -> Json:
    """Savings against the baseline, with how sure they are; `unpriced` baselines have none."""
    baseline = config.baseline_model
    target = registry.resolve(baseline)
    if target.price is None:
        return {"baseline": baseline, "unpriced": True}
    found: Savings = savings(store, filter, baseline=baseline, price=target.price)
    low, high = found.interval_nanos
    return {
        "baseline": baseline,
        "unpriced": False,
        "spent_nanos": found.spent_nanos,
        "baseline_nanos": found.baseline_nanos,
        "saved_nanos": found.saved_nanos,
        "low_nanos": low,
        "high_nanos": high,
        "measured": asdict(found.measured),
        "estimated": asdict(found.estimated),
        "guessed": asdict(found.guessed),
        "failed": asdict(found.failed),
        "aside": asdict(found.aside),
        "excluded": found.excluded,
    }
