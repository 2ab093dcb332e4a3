"""The gate: what it turns down, on labelled answers and on anything at all."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrouter.config.schema import CascadeConfig
from mmrouter.decide.gate import Verdict, verdict
from mmrouter.dialects.answer import Answer, Form, form_of, read_events, read_whole
from mmrouter.eval import gate as scored
from mmrouter.types import Dialect

CONFIG = CascadeConfig()


def judged(asked: str, answer: Answer, form: Form = Form(), *, whole: bool = True) -> Verdict:  # noqa: B008
    return verdict(
        asked,
        form,
        answer,
        least=CONFIG.min_response_length,
        phrases=CONFIG.hedging_phrases,
        whole=whole,
    )


@pytest.mark.parametrize("split", ["dev", "test", "blind"])
def test_it_spots_bad_answers_far_better_than_length_and_phrases(split: str) -> None:
    rows = [row for row in scored.rows() if row["split"] == split]
    ours, plain = scored.score(scored.ours, rows), scored.score(scored.plain, rows)
    assert len(rows) > 100
    assert ours.precision > 0.9 > plain.precision
    assert ours.recall > 0.85
    assert ours.recall > plain.recall


def test_the_labelled_answers_are_whole_and_their_topics_are_apart() -> None:
    rows = scored.rows()
    assert len([row for row in rows if row["split"] != "dev"]) >= 300
    assert {row["label"] for row in rows} == {"pass", "fail"}
    pairs = [(row["request"], row["answer"], json.dumps(row, sort_keys=True)) for row in rows]
    assert len(set(pairs)) == len(pairs)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
KEYWORDS = st.sampled_from(
    [
        "choices",
        "message",
        "delta",
        "content",
        "tool_calls",
        "function",
        "arguments",
        "type",
        "text",
        "index",
        "output",
        "stop_reason",
        "finish_reason",
        "refusal",
        "content_block",
    ]
)
SHAPED = st.recursive(
    ANY_JSON,
    lambda inner: st.dictionaries(KEYWORDS, inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    asked=st.text(max_size=200),
    text=st.text(max_size=400) | st.text(alphabet='`{}[]()"\n pyjson', max_size=400),
    schema=ANY_JSON,
    tools=st.lists(st.text(max_size=20), max_size=2),
    whole=st.booleans(),
)
def test_it_never_raises(
    asked: str, text: str, schema: object, tools: list[str], whole: bool
) -> None:
    form = form_of(
        Dialect.CHAT,
        {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
    )
    for wanted in (Form(), Form("object"), form):
        found = judged(asked, Answer(text, tuple(tools)), wanted, whole=whole)
        assert 0 <= found.score <= 1


@settings(max_examples=150, deadline=None)
@given(dialect=st.sampled_from(list(Dialect)), answer=st.dictionaries(KEYWORDS, SHAPED))
def test_answers_of_any_shape_are_read(dialect: Dialect, answer: dict[str, object]) -> None:
    read_whole(dialect, answer)
    read_events(dialect, [json.dumps(answer).encode(), b"not JSON", b"[DONE]"])


@pytest.mark.parametrize(
    "text",
    [
        "I " * 300_000,
        "a" * 1_000_000,
        "```python\n" + "(" * 39_000 + "\n```",
        "`" * 50_000,
        '"' * 100_000,
        "I'm not " * 60_000,
        "```js\n" + "'\\" * 19_000 + "\n```",
        "```python\n" + "x = 1\n" * 6_000 + "```",
        "no information " * 20_000,
    ],
)
def test_no_answer_takes_long_to_judge(text: str) -> None:
    began = time.process_time()
    judged("Explain " * 5_000, Answer(text))
    judged("Explain this", Answer(text), Form("schema", {"type": "string"}))
    assert time.process_time() - began < 3.0


def test_a_schema_of_the_caller_can_neither_stall_nor_fetch() -> None:
    slow = Form("schema", {"type": "object", "properties": {"a": {"pattern": "(x+x+)+y"}}})
    assert judged("", Answer(json.dumps({"a": "x" * 40})), slow).fault is None
    remote = Form("schema", {"$ref": "http://127.0.0.1:9/schema.json"})
    assert judged("", Answer('{"a": 1}'), remote).fault is None


def test_the_same_answer_is_read_from_every_dialect() -> None:
    wanted = Answer("Hi", ('{"a":1}',), cut=True)
    call = {"function": {"name": "f", "arguments": '{"a":1}'}}
    message = {"content": "Hi", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    assert read_whole(Dialect.CHAT, {"choices": [choice]}) == wanted
    blocks = [{"type": "text", "text": "Hi"}, {"type": "tool_use", "name": "f", "input": {"a": 1}}]
    whole = {"content": blocks, "stop_reason": "max_tokens"}
    assert read_whole(Dialect.MESSAGES, whole) == wanted
    output = [
        {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "function_call", "arguments": '{"a":1}'},
    ]
    ended = {"output": output, "incomplete_details": {"reason": "max_output_tokens"}}
    assert read_whole(Dialect.RESPONSES, ended) == wanted
    events = [
        {"choices": [{"index": 0, "delta": {"content": "H"}}]},
        {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
        {
            "choices": [
                {"index": 0, "delta": {"content": "i", "tool_calls": [{"index": 0, **call}]}}
            ]
        },
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
    ]
    assert read_events(Dialect.CHAT, [json.dumps(e).encode() for e in events]) == wanted
    events = [
        {"type": "content_block_delta", "index": 0, "delta": {"text": "Hi"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use"}},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '{"a":1}'}},
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
    ]
    assert read_events(Dialect.MESSAGES, [json.dumps(e).encode() for e in events]) == wanted
    last = {"type": "response.incomplete", "response": ended}
    assert read_events(Dialect.RESPONSES, [json.dumps(last).encode()]) == wanted


def test_what_has_arrived_so_far_is_judged_by_its_opening() -> None:
    asked = "Write a JSON parser in C"
    assert judged(asked, Answer("```c\nint main() {"), whole=False).fault is None
    assert judged(asked, Answer("I'm sorry, but I can't write that"), whole=False).fault
    assert judged(asked, Answer(""), whole=False).fault == "empty"
