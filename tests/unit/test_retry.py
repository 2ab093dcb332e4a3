"""When the same model is asked again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.retry import pause_before_retry

CASE: dict[str, Any] = {
    "retryable": True,
    "timed_out": False,
    "retry_after_s": None,
    "tries": 1,
    "max_retries": 2,
    "alternatives": False,
    "remaining_s": 60.0,
    "jitter": 1.0,
}


@pytest.mark.parametrize(
    ("changes", "pause"),
    [
        ({}, 0.5),
        ({"tries": 2}, 1.0),
        ({"jitter": 0.0}, 0.25),
        ({"tries": 3}, None),
        ({"retryable": False}, None),
        ({"max_retries": 0}, None),
        ({"retry_after_s": 7.0}, 7.0),
        ({"retry_after_s": 7.0, "alternatives": True}, None),
        ({"retry_after_s": 1.0, "alternatives": True}, 1.0),
        ({"retry_after_s": 61.0}, None),
        ({"timed_out": True}, 0.5),
        ({"timed_out": True, "alternatives": True}, None),
    ],
)
def test_pause(changes: dict[str, Any], pause: float | None) -> None:
    assert pause_before_retry(**{**CASE, **changes}) == pause


@given(
    tries=st.integers(1, 50),
    max_retries=st.integers(0, 10),
    wish=st.none() | st.floats(0, 1e6),
    remaining=st.floats(0, 1e3),
    jitter=st.floats(0, 1),
    alternatives=st.booleans(),
)
def test_a_pause_never_outlasts_the_request_nor_repeats_without_end(
    tries: int,
    max_retries: int,
    wish: float | None,
    remaining: float,
    jitter: float,
    alternatives: bool,
) -> None:
    pause = pause_before_retry(
        **{
            **CASE,
            "tries": tries,
            "max_retries": max_retries,
            "retry_after_s": wish,
            "remaining_s": remaining,
            "jitter": jitter,
            "alternatives": alternatives,
        }
    )
    if tries > max_retries:
        assert pause is None
    if pause is not None:
        assert 0 <= pause <= remaining
