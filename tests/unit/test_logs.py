"""Shapes of logs, as their tools write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmrouter.eval.replay.logs import Logged, UnreadableError, chunks_of, parse
from mmrouter.types import Dialect, Usage

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
USAGE = {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130}
CACHED = {**USAGE, "prompt_tokens_details": {"cached_tokens": 40}}


def read(**row: Any) -> Logged:
    return parse(json.dumps(row).encode())


OPENAI = {
    "flat": {"model": "gpt-4.1", "messages": MESSAGES, "temperature": 0, "usage": CACHED},
    "pair": {
        "request": {"model": "gpt-4.1", "messages": MESSAGES, "temperature": 0},
        "response": {"id": "x", "model": "gpt-4.1", "usage": CACHED},
    },
    "batch": {
        "custom_id": "1",
        "body": {"model": "gpt-4.1", "messages": MESSAGES, "temperature": 0},
        "response": {"status_code": 200, "body": {"model": "gpt-4.1", "usage": CACHED}},
    },
    "litellm payload": {
        "id": "1",
        "call_type": "acompletion",
        "status": "success",
        "model": "gpt-4.1",
        "messages": MESSAGES,
        "model_parameters": {"temperature": 0},
        "response": {"choices": [], "usage": CACHED},
    },
    "litellm payload of today, answer left out": {
        "id": "1",
        "trace_id": "t",
        "session_id": "s",
        "call_type": "acompletion",
        "status": "success",
        "model": "gpt-4.1",
        "messages": MESSAGES,
        "model_parameters": {"temperature": 0},
        "response": "redacted-by-litellm",
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "metadata": {"usage_object": CACHED},
    },
    "litellm spend log": {
        "request_id": "1",
        "call_type": "acompletion",
        "spend": 0.5,
        "model": "gpt-4.1",
        "messages": json.dumps(MESSAGES),
        "proxy_server_request": json.dumps({"temperature": 0, "messages": MESSAGES}),
        "response": json.dumps({"usage": CACHED}),
    },
    "langfuse": {
        "id": "1",
        "traceId": "t",
        "type": "GENERATION",
        "model": "gpt-4.1",
        "input": {"messages": MESSAGES},
        "modelParameters": {"temperature": 0},
        "usageDetails": {"input": 60, "input_cached_tokens": 40, "output": 30},
        "costDetails": {"total": 0.5},
    },
    "langfuse blob": {
        "id": "1",
        "trace_id": "t",
        "type": "GENERATION",
        "provided_model_name": "gpt-4.1",
        "input": json.dumps(MESSAGES),
        "model_parameters": json.dumps({"temperature": 0}),
        "usage_details": json.dumps({"input": 60, "input_cached_tokens": 40, "output": 30}),
    },
}


@pytest.mark.parametrize("name", list(OPENAI))
def test_every_shape_says_the_same(name: str) -> None:
    logged = read(**OPENAI[name])
    assert logged.model == "gpt-4.1"
    assert logged.body["messages"] == MESSAGES
    assert logged.body["temperature"] == 0
    assert logged.usage == Usage(input_tokens=60, cache_read_tokens=40, output_tokens=30)
    assert logged.dialect is Dialect.CHAT


def test_what_the_log_says_of_cost_is_kept() -> None:
    assert read(**OPENAI["litellm spend log"]).cost_nanos == 500_000_000
    assert read(**OPENAI["langfuse"]).cost_nanos == 500_000_000
    assert read(**OPENAI["flat"]).cost_nanos is None
    assert read(**{**OPENAI["langfuse"], "costDetails": {}}).cost_nanos is None


def test_anthropic_bodies_keep_their_dialect_and_their_caches() -> None:
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 70,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_1h_input_tokens": 8},
        "output_tokens": 9,
    }
    logged = read(
        request={"model": "claude-sonnet-4-6", "system": "Be brief.", "messages": MESSAGES},
        response={"model": "claude-sonnet-4-6", "usage": usage},
    )
    assert logged.dialect is Dialect.MESSAGES
    assert logged.usage == Usage(
        input_tokens=5,
        cache_read_tokens=70,
        cache_write_tokens=20,
        cache_write_1h_tokens=8,
        output_tokens=9,
    )


RESPONSES_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 10},
}


@pytest.mark.parametrize(
    "row",
    [
        {"model": "gpt-4.1", "input": "hi", "usage": RESPONSES_USAGE},
        {
            "request": {"model": "gpt-4.1", "input": "hi"},
            "response": {"model": "gpt-4.1", "usage": RESPONSES_USAGE},
        },
        {
            "call_type": "aresponses",
            "model": "gpt-4.1",
            "messages": "hi",
            "response": {"usage": RESPONSES_USAGE},
        },
    ],
)
def test_the_responses_api_is_read_as_itself(row: dict[str, Any]) -> None:
    logged = read(**row)
    assert (logged.dialect, logged.body["input"]) == (Dialect.RESPONSES, "hi")
    assert logged.usage == Usage(
        input_tokens=60, cache_read_tokens=40, output_tokens=30, reasoning_tokens=10
    )


def test_a_langfuse_prompt_may_be_plain_text() -> None:
    logged = read(traceId="t", type="GENERATION", input="hi", model="m")
    assert logged.body["messages"] == [{"role": "user", "content": "hi"}]
    assert logged.usage is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "no messages"),
        (b'{"messages": "hi"}', "no messages"),
        (b'{"call_type": "aembedding", "messages": [{}]}', "not a chat request"),
        (b'{"call_type": "acompletion", "status": "failure", "messages": [{}]}', "it failed"),
        (b'{"traceId": "t", "type": "SPAN", "input": "x"}', "not a generation"),
    ],
)
def test_what_cannot_be_replayed_says_why(line: bytes, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        parse(line)


KEYS = st.sampled_from(
    [
        "messages", "model", "usage", "request", "response", "body", "input", "output", "traceId",
        "type", "call_type", "spend", "usageDetails", "prompt_tokens", "system", "content",
        "costDetails", "total", "modelParameters", "proxy_server_request",
    ]
)  # fmt: skip
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, json_values, max_size=8))
def test_odd_rows_are_left_out_and_never_crash(row: dict[str, Any]) -> None:
    try:
        logged = parse(json.dumps(row).encode())
    except UnreadableError:
        return
    assert logged.body.get("messages") or logged.body["input"]


def test_lines_come_in_chunks_without_the_blank_ones() -> None:
    lines = iter([b"1\n", b"\n", b"2\n", b"  \n", b"3"])
    assert list(chunks_of(lines, 2)) == [[b"1\n", b"2\n"], [b"3"]]
