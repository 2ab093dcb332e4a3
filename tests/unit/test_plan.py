"""Decisions: pure, so tested on plain data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.config import Config
from mmrouter.decide.cost import bound_nanos, estimate_nanos
from mmrouter.decide.plan import Snapshot, Spending, is_auto, plan_auto, plan_explicit
from mmrouter.errors import InvalidRequestError, MissingKeyError, NoCandidateError
from mmrouter.money import cost
from mmrouter.types import (
    Category,
    Classification,
    Complexity,
    Needs,
    Plan,
    Price,
    Rates,
    Role,
    Target,
    Usage,
)
from tests.support.configs import one_route

NEEDS = Needs(input_tokens=100, input_bound=300)


def target(name: str, usd: int = 1, **changes: Any) -> Target:
    rates = Rates(
        input=usd * 1_000_000,
        output=usd * 2_000_000,
        cache_read=usd * 100_000,
        cache_write=usd * 1_250_000,
        reasoning=usd * 2_000_000,
    )
    price = Price(tiers=((0, rates),), source="test")
    return replace(
        Target(name=name, provider=f"p-{name}", kind="openai", upstream=name, price=price),
        **changes,
    )


TARGETS = {name: target(name, usd) for name, usd in [("small", 1), ("mid", 3), ("big", 15)]}


def levels() -> dict[str, Any]:
    return {
        "simple": one_route("small", "mid")["simple"],
        "medium": one_route("mid", "big")["simple"],
        "complex": one_route("big", "mid", cascade=("small", "mid", "big"))["simple"],
    }


def config(**changes: Any) -> Config:
    return Config.model_validate({"routes": levels(), **changes})


def label(complexity: Complexity, confidence: float = 0.9) -> Classification:
    return Classification(
        complexity=complexity,
        category=Category.CODE,
        confidence=confidence,
        difficulty=0.5,
        strategy="rules",
    )


def snapshot(**changes: Any) -> Snapshot:
    return replace(Snapshot(callable=lambda _: True, open=lambda _: False), **changes)


def plan(
    complexity: Complexity = Complexity.MEDIUM,
    *,
    model: str = "auto",
    confidence: float = 0.9,
    needs: Needs = NEEDS,
    conf: Config | None = None,
    targets: dict[str, Target] | None = None,
    **state: Any,
) -> Plan:
    known = targets or TARGETS
    return plan_auto(
        model,
        label(complexity, confidence),
        needs,
        conf or config(),
        known.__getitem__,
        snapshot(**state),
    )


def names(made: Plan) -> list[str]:
    return [c.target.name for c in made.candidates]


def test_a_bucket_goes_to_its_route() -> None:
    made = plan(Complexity.MEDIUM)
    assert names(made) == ["mid", "big"]
    assert [c.role for c in made.candidates] == [Role.ROUTE, Role.FALLBACK]
    assert made.reasons == ("medium/code",)


@pytest.mark.parametrize(
    ("model", "first"),
    [("auto", "mid"), ("auto:balanced", "mid"), ("auto:cheap", "small"), ("auto:best", "big")],
)
def test_the_dial_moves_one_level(model: str, first: str) -> None:
    assert names(plan(model=model))[0] == first


def test_an_unknown_dial_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="auto:cheap"):
        is_auto("auto:fast")


def test_low_confidence_escalates() -> None:
    made = plan(Complexity.SIMPLE, confidence=0.69)
    assert made.escalated
    assert names(made)[0] == "mid"
    assert not plan(Complexity.SIMPLE, confidence=0.7).escalated
    assert not plan(Complexity.COMPLEX, confidence=0.1).escalated, "nothing stands above complex"


def test_a_nearly_spent_budget_downgrades() -> None:
    made = plan(Complexity.COMPLEX, spending=Spending.DOWNGRADE)
    assert made.budget_downgraded
    assert names(made)[0] == "mid"


def test_a_spent_budget_leaves_the_cheapest_first() -> None:
    made = plan(Complexity.COMPLEX, spending=Spending.CHEAPEST, room_nanos=0)
    assert made.budget_downgraded
    assert names(made) == ["small", "mid", "big"]


def test_the_limit_is_reached_when_no_model_of_the_route_fits_into_what_is_left() -> None:
    needs = replace(NEEDS, max_output=1000)
    least = bound_nanos(TARGETS["mid"], needs)
    assert least is not None
    enough = plan(Complexity.COMPLEX, needs=needs, room_nanos=least)
    assert names(enough) == ["big", "mid"], "the route's own fallback still fits"
    short = plan(Complexity.COMPLEX, needs=needs, room_nanos=least - 1)
    assert names(short) == ["small", "mid", "big"]
    assert short.budget_downgraded
    rejecting = config(budget={"hard_limit_action": "reject"})
    kept = plan(Complexity.COMPLEX, needs=needs, room_nanos=least - 1, conf=rejecting)
    assert names(kept) == ["big", "mid"]


def test_cascade_goes_from_cheap_to_strong_and_gates_all_but_the_last() -> None:
    made = plan(Complexity.COMPLEX, conf=config(cascade={"enabled": True}))
    assert names(made) == ["small", "mid", "big"]
    assert [c.gated for c in made.candidates] == [True, True, False]
    assert names(plan(Complexity.COMPLEX)) == ["big", "mid"], "not unless it is enabled"


def test_models_that_cannot_are_passed_over() -> None:
    blind = {**TARGETS, "mid": target("mid", 3, capabilities=frozenset({"tools"}))}
    needs = replace(NEEDS, capabilities=frozenset({"vision"}))
    made = plan(needs=needs, targets=blind)
    assert names(made) == ["big"]
    assert "mid cannot do vision" in made.reasons


def test_a_prompt_too_long_for_the_route_goes_where_it_fits() -> None:
    narrow = {n: replace(t, context_window=1000) for n, t in TARGETS.items()}
    narrow["big"] = replace(narrow["big"], context_window=100_000)
    made = plan(Complexity.SIMPLE, needs=replace(NEEDS, input_tokens=5000), targets=narrow)
    assert names(made) == ["big"]


def test_nothing_that_fits_is_an_error_that_says_why() -> None:
    narrow = {n: replace(t, context_window=1000) for n, t in TARGETS.items()}
    with pytest.raises(NoCandidateError, match="small about 5000 tokens do not fit"):
        plan(needs=replace(NEEDS, input_tokens=5000), targets=narrow)


def test_a_failing_model_is_passed_over_unless_all_are() -> None:
    assert names(plan(open=lambda t: t.name == "mid")) == ["big"]
    assert names(plan(open=lambda _: True)) == ["mid", "big"]


def test_a_provider_without_its_key_is_passed_over() -> None:
    made = plan(callable=lambda t: t.name != "mid")
    assert names(made) == ["big"]
    assert "no key for p-mid" in made.reasons


def test_without_any_key_a_local_model_answers_where_that_is_allowed() -> None:
    local = target("tiny")
    made = plan(callable=lambda _: False, local=local)
    assert [(c.target, c.role) for c in made.candidates] == [(local, Role.LOCAL)]
    assert made.wanted is TARGETS["mid"]
    lacking = {n: replace(t, api_key_env="CORP_KEY") for n, t in TARGETS.items()}
    with pytest.raises(MissingKeyError, match="export CORP_KEY=your-key"):
        plan(callable=lambda _: False, targets=lacking)


def test_a_named_model_is_called_or_refused_never_replaced() -> None:
    made = plan_explicit(TARGETS["big"], NEEDS, snapshot(open=lambda _: True))
    assert names(made) == ["big"]
    blind = target("big", capabilities=frozenset())
    with pytest.raises(NoCandidateError, match="cannot do tools"):
        plan_explicit(blind, replace(NEEDS, capabilities=frozenset({"tools"})), snapshot())


@given(
    complexity=st.sampled_from(Complexity),
    confidence=st.floats(0, 1),
    dial=st.sampled_from(["auto", "auto:cheap", "auto:balanced", "auto:best"]),
    spending=st.sampled_from(Spending),
    keys=st.sets(st.sampled_from(sorted(TARGETS))),
    failing=st.sets(st.sampled_from(sorted(TARGETS))),
    cascade=st.booleans(),
    tokens=st.integers(0, 10_000),
)
def test_every_plan_is_sound(
    complexity: Complexity,
    confidence: float,
    dial: str,
    spending: Spending,
    keys: set[str],
    failing: set[str],
    cascade: bool,
    tokens: int,
) -> None:
    try:
        made = plan(
            complexity,
            model=dial,
            confidence=confidence,
            needs=replace(NEEDS, input_tokens=tokens, input_bound=3 * tokens),
            conf=config(cascade={"enabled": cascade}),
            callable=lambda t: t.name in keys,
            open=lambda t: t.name in failing,
            spending=spending,
        )
    except MissingKeyError:
        return
    chosen = names(made)
    assert chosen, "a plan has a candidate"
    assert len(set(chosen)) == len(chosen), "nobody is asked twice"
    assert set(chosen) <= keys, "nobody is asked without a key"
    assert not made.candidates[-1].gated, "the last answer is always taken"
    healthy = [n for n in chosen if n not in failing]
    assert not healthy or set(chosen) == set(healthy)
    assert made.reasons


@given(
    input_tokens=st.integers(0, 10**6),
    share=st.floats(0, 1),
    cached=st.floats(0, 1),
    output=st.integers(0, 5000),
    reasoning=st.floats(0, 1),
)
def test_no_usage_within_its_counts_costs_more_than_the_bound(
    input_tokens: int, share: float, cached: float, output: int, reasoning: float
) -> None:
    one = TARGETS["mid"]
    needs = Needs(input_tokens=input_tokens, input_bound=input_tokens, max_output=5000)
    written = int(input_tokens * share)
    read = int((input_tokens - written) * cached)
    usage = Usage(
        input_tokens=input_tokens - written - read,
        cache_write_tokens=written,
        cache_read_tokens=read,
        output_tokens=output,
        reasoning_tokens=int(output * reasoning),
    )
    bound, estimate = bound_nanos(one, needs), estimate_nanos(one, needs)
    spent = cost(one.price, usage)
    assert bound is not None
    assert spent is not None
    assert estimate is not None
    assert spent <= bound
    assert estimate <= bound
