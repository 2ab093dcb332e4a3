"""The circuit breaker's transitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.breaker import CLOSED, Breaker, allows, on_call, on_failure, on_success

RESET_S = 60.0


def test_it_opens_at_the_threshold_and_closes_after_a_good_probe() -> None:
    state = CLOSED
    for _ in range(4):
        state = on_failure(state, now=100.0, threshold=5)
        assert allows(state, now=100.0, reset_s=RESET_S)
    state = on_failure(state, now=100.0, threshold=5)
    assert not allows(state, now=159.9, reset_s=RESET_S)
    assert allows(state, now=160.0, reset_s=RESET_S)
    state = on_call(state, now=160.0)
    assert not allows(state, now=160.0, reset_s=RESET_S), "one probe at a time"
    assert on_success(state) == CLOSED


def test_a_bad_probe_opens_it_again_for_a_whole_period() -> None:
    state = on_failure(CLOSED, now=0.0, threshold=1)
    state = on_failure(on_call(state, now=60.0), now=61.0, threshold=1)
    assert not allows(state, now=120.0, reset_s=RESET_S)
    assert allows(state, now=121.0, reset_s=RESET_S)


def test_a_probe_that_never_reports_does_not_close_the_door_for_good() -> None:
    state = on_call(on_failure(CLOSED, now=0.0, threshold=1), now=60.0)
    assert allows(state, now=120.0, reset_s=RESET_S)


@given(st.lists(st.sampled_from(["call", "good", "bad"])), st.integers(1, 6))
def test_it_is_open_only_after_enough_failures_in_a_row(events: list[str], threshold: int) -> None:
    state, row = Breaker(), 0
    for event in events:
        if event == "call":
            state = on_call(state, now=0.0)
        elif event == "good":
            state, row = on_success(state), 0
        else:
            state, row = on_failure(state, now=0.0, threshold=threshold), row + 1
        assert (state.opened_at is not None) == (row >= threshold)
