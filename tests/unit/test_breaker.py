"""The circuit breaker's transitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.breaker import (
    CLOSED,
    Breaker,
    Phase,
    Rules,
    admits,
    on_call,
    on_failure,
    on_nothing,
    on_success,
    phase,
    provider_fails,
)

RULES = Rules(threshold=5, reset_s=60.0)
FRAGILE = Rules(threshold=1, reset_s=60.0)


def opened(at: float, rules: Rules = FRAGILE) -> Breaker:
    state = CLOSED
    for _ in range(rules.threshold):
        state = on_failure(state, rules, began=at, now=at)
    return state


def test_it_opens_at_the_threshold_and_closes_after_a_good_probe() -> None:
    state = CLOSED
    for _ in range(4):
        state = on_failure(state, RULES, began=100.0, now=100.0)
        assert admits(state, RULES, now=100.0)
    state = on_failure(state, RULES, began=100.0, now=100.0)
    assert not admits(state, RULES, now=159.9)
    assert admits(state, RULES, now=160.0)
    assert phase(state, RULES, now=160.0) is Phase.HALF_OPEN
    state = on_call(state, RULES, now=160.0)
    assert not admits(state, RULES, now=160.0), "one probe at a time"
    assert on_success(state, began=160.0) == CLOSED


@given(st.integers(1, 5))
def test_as_many_probes_as_the_rules_allow(probes: int) -> None:
    rules = Rules(threshold=1, reset_s=60.0, probes=probes)
    state = opened(0.0, rules)
    for number in range(probes):
        assert admits(state, rules, now=60.0 + number)
        state = on_call(state, rules, now=60.0 + number)
    assert not admits(state, rules, now=70.0)
    assert admits(on_nothing(state, began=60.0), rules, now=70.0), "one was given up"


def test_a_bad_probe_opens_it_again_for_a_whole_period() -> None:
    state = on_call(opened(0.0), FRAGILE, now=60.0)
    state = on_failure(state, FRAGILE, began=60.0, now=61.0)
    assert not admits(state, FRAGILE, now=120.0)
    assert admits(state, FRAGILE, now=121.0)


def test_a_probe_that_never_reports_does_not_close_the_door_for_good() -> None:
    state = on_call(opened(0.0), FRAGILE, now=60.0)
    assert admits(state, FRAGILE, now=120.0)


def test_late_answers_to_calls_from_before_it_opened_change_nothing() -> None:
    state = opened(10.0)
    assert on_success(state, began=9.0) is state
    assert on_failure(state, FRAGILE, began=9.0, now=200.0) is state, "nor keep it open for longer"


@given(st.lists(st.sampled_from(["call", "good", "bad"])), st.integers(1, 6))
def test_it_is_open_only_after_enough_failures_in_a_row(events: list[str], threshold: int) -> None:
    rules = Rules(threshold=threshold, reset_s=60.0)
    state, row = Breaker(), 0
    for event in events:
        if event == "call":
            state = on_call(state, rules, now=0.0)
        elif event == "good":
            state, row = on_success(state, began=0.0), 0
        else:
            state, row = on_failure(state, rules, began=0.0, now=0.0), row + 1
        assert (state.opened_at is not None) == (row >= threshold)


@given(
    st.lists(st.tuples(st.sampled_from(["call", "good", "bad", "gone"]), st.integers(0, 50))),
    st.integers(1, 3),
)
def test_however_calls_end_it_comes_to_admit_one_again(
    events: list[tuple[str, int]], probes: int
) -> None:
    rules = Rules(threshold=2, reset_s=60.0, probes=probes)
    state, now, began = CLOSED, 0.0, 0.0
    for event, pause in events:
        now += pause
        if event == "call":
            began, state = now, on_call(state, rules, now=now)
        elif event == "good":
            state = on_success(state, began=began)
        elif event == "bad":
            state = on_failure(state, rules, began=began, now=now)
        else:
            state = on_nothing(state, began=began)
        assert admits(state, rules, now=now + 60.0)


def test_a_provider_fails_by_open_models_and_not_by_those_whose_time_is_over() -> None:
    provider = Rules(threshold=2, reset_s=120.0)
    models = [opened(0.0), opened(50.0), on_failure(CLOSED, RULES, began=0.0, now=0.0)]
    assert provider_fails(models, FRAGILE, provider, now=59.0)
    assert not provider_fails(models, FRAGILE, provider, now=60.0)
    assert not provider_fails(models[1:], FRAGILE, provider, now=59.0)
