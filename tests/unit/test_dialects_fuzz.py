"""Bodies and answers that are wrong in one place are read without a fault of ours: at worst
something is missing."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrouter.dialects import DIALECTS
from mmrouter.types import Dialect
from tests.support import anthropic_answers, openai_answers
from tests.support.broken import broken

_CASES = {
    Dialect.CHAT: openai_answers.CHAT,
    Dialect.RESPONSES: openai_answers.RESPONSES,
    Dialect.MESSAGES: anthropic_answers.MESSAGES,
}
_BODIES: dict[Dialect, list[Any]] = {
    **{name: [case.sent for case in cases] for name, cases in _CASES.items()},
    Dialect.EMBEDDINGS: [{"input": ["a", [1, 2]], "dimensions": 3}],
}
_ANSWERS: dict[Dialect, list[Any]] = {
    **{name: [case.answer for case in cases if case.answer] for name, cases in _CASES.items()},
    Dialect.EMBEDDINGS: [openai_answers.EMBEDDING_WHOLE],
}
_EVENTS = {name: [list(c.events) for c in cases if c.events] for name, cases in _CASES.items()}


@pytest.mark.parametrize("name", Dialect)
@given(data=st.data())
@settings(max_examples=150)
def test_any_body(name: Dialect, data: st.DataObject) -> None:
    body = data.draw(broken(_BODIES[name]))
    dialect = DIALECTS[name]
    before = orjson.dumps(body)
    dialect.conversation(body)
    needs = dialect.needs(body)
    assert needs.input_tokens >= 0
    assert needs.input_bound is None or needs.input_bound >= needs.input_tokens
    assert needs.choices >= 1
    sent = dialect.prepare(body, "up", stream=True)
    assert sent["model"] == "up"
    assert orjson.dumps(body) == before, "the client's body is shared: it must not change"


@pytest.mark.parametrize("name", Dialect)
@given(data=st.data())
@settings(max_examples=150)
def test_any_answer(name: Dialect, data: st.DataObject) -> None:
    reader = DIALECTS[name].reader({})
    if name in _EVENTS and data.draw(st.booleans()):
        for event in data.draw(broken(_EVENTS[name])):
            reader.feed(orjson.dumps(event))
    else:
        reader.whole(data.draw(broken(_ANSWERS[name])))
    usage = reader.usage
    assert usage is None or min(usage.input_tokens, usage.output_tokens) >= 0
    assert isinstance(reader.finish_reason, str | None)
    assert isinstance(reader.upstream_id, str | None)


@pytest.mark.parametrize("name", [d for d in Dialect if d is not Dialect.EMBEDDINGS])
@given(noise=st.binary(max_size=40))
def test_noise_in_an_event_is_a_value_error(name: Dialect, noise: bytes) -> None:
    with contextlib.suppress(ValueError):
        DIALECTS[name].reader({}).feed(noise)


@pytest.mark.parametrize(
    ("name", "case", "generated"),
    [
        (Dialect.CHAT, "tools, parallel", '{"city": "Paris"}'),
        (Dialect.CHAT, "custom tools", "SELECT 1"),
        (Dialect.CHAT, "reasoning_effort", "Paris in winter…"),
        (Dialect.CHAT, "refusals", "I can't help"),
        (Dialect.RESPONSES, "tools, parallel", '{"city":'),
        (Dialect.MESSAGES, "tools, parallel", '{"city": "Paris"'),
        (Dialect.MESSAGES, "thinking with", "Paris in winter…"),
    ],
)
def test_all_that_was_generated_counts(name: Dialect, case: str, generated: str) -> None:
    """Calls of tools and reasoning are billed as text is, and a gate sees them."""
    reader = DIALECTS[name].reader({})
    found = next(c for c in _CASES[name] if c.name.startswith(case))
    text = "".join(reader.feed(orjson.dumps(event)).text for event in found.events or ())
    assert generated in text
