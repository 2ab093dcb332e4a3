"""When a rule fires: pure, so tested on plain data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.alerts.base import Reading
from mmrouter.alerts.rules import Facts, read
from mmrouter.config.schema import AlertsConfig, BudgetConfig
from mmrouter.decide.budget import Balance, Limit, Period, Scope, Span
from mmrouter.money import NANOS_PER_USD

LIMIT = Limit(Scope.ALL, "", Period(Span.DAY, "2026-11-25 UTC", 0.0, 86_400.0), 1_000)
CALM = Facts(
    answerable=1_000,
    failed=1,
    first_byte_ms=900.0,
    hour_nanos=2 * NANOS_PER_USD,
    usual_hours=[2 * NANOS_PER_USD] * 24,
    limits=[(LIMIT, Balance(settled=100, reserved=50))],
    drift={LIMIT.title: 0},
)


def readings(facts: Facts, **keys: Any) -> list[Reading]:
    return read(facts, AlertsConfig.model_validate(keys), BudgetConfig())


def firing(facts: Facts, **keys: Any) -> list[tuple[str, str]]:
    return [(r.rule, r.subject) for r in readings(facts, **keys) if r.firing]


def test_all_is_well() -> None:
    assert firing(CALM) == []
    assert [r.rule for r in readings(CALM)] == [
        "cost_spike", "error_rate", "budget_warning", "latency", "breaker_open", "unknown_price",
        "drift",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"failed": 100}, []),  # a tenth is not above a tenth
        ({"failed": 101}, [("error_rate", "")]),
        ({"answerable": 19, "failed": 19}, []),  # too few to say
        ({"first_byte_ms": 30_000.1}, [("latency", "")]),
        ({"first_byte_ms": None}, []),
        ({"hour_nanos": 6 * NANOS_PER_USD}, []),
        ({"hour_nanos": 6 * NANOS_PER_USD + 1}, [("cost_spike", "")]),
        ({"hour_nanos": 10**15, "usual_hours": [1] * 5}, []),  # what is usual is not known yet
        ({"hour_nanos": NANOS_PER_USD, "usual_hours": [1] * 24}, []),  # a dollar is no spike
        (
            {"limits": [(LIMIT, Balance(settled=700, reserved=50))]},
            [("budget_warning", "daily limit")],
        ),
        ({"limits": [(LIMIT, Balance(settled=700, reserved=49))]}, []),
        ({"open": ["m", "n"]}, [("breaker_open", "m"), ("breaker_open", "n")]),
        ({"unpriced": {"m": 1}}, [("unknown_price", "m")]),
        ({"drift": {"daily limit": NANOS_PER_USD // 50}}, [("drift", "daily limit")]),
        ({"drift": {"daily limit": NANOS_PER_USD // 100}}, []),
    ],
)
def test_what_fires(change: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert firing(replace(CALM, **change)) == expected


@given(failed=st.integers(0, 1_000), more=st.integers(0, 1_000), rate=st.floats(0, 1))
def test_more_failures_never_calm_a_rule(failed: int, more: int, rate: float) -> None:
    worse = min(1_000, failed + more)
    before = firing(replace(CALM, failed=failed), error_rate=rate)
    assert set(before) <= set(firing(replace(CALM, failed=worse), error_rate=rate))


def test_a_reading_says_what_it_saw() -> None:
    limit = replace(LIMIT, nanos=10 * NANOS_PER_USD)
    spent = replace(CALM, limits=[(limit, Balance(settled=9 * NANOS_PER_USD, reserved=0))])
    (budget,) = (r for r in readings(spent) if r.rule == "budget_warning")
    assert budget.text == "daily limit: $9.000000 of $10.000000 (90%) is spent or set aside"
    assert (budget.value, budget.threshold, budget.unit) == (0.9, 0.75, "share")
