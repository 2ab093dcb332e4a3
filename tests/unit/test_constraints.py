"""What a model must be able to do for a request."""

from __future__ import annotations

from typing import Any

import pytest

from mmrouter.decide.constraints import unfit
from mmrouter.dialects import DIALECTS
from mmrouter.types import Dialect, Needs, Target

USER = {"role": "user", "content": "Weather?"}
RESULT = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "t", "content": "12 °C"}],
}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "c2ln"}
TOOL = {"type": "tool_use", "id": "t", "name": "weather", "input": {}}


def asked(*thinking: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": [*thinking, TOOL]}


def target(kind: str, **facts: Any) -> Target:
    return Target(name="m", provider="p", kind=kind, upstream="m", **facts)


def needs(dialect: Dialect, body: dict[str, Any]) -> Needs:
    return DIALECTS[dialect].needs(body)


@pytest.mark.parametrize(
    ("messages", "sealed"),
    [
        ([USER], False),
        ([USER, asked(), RESULT], False),
        ([USER, asked(SIGNED), RESULT], True),
        ([USER, asked(REDACTED), RESULT], True),
        ([USER, asked(SIGNED), RESULT, asked(), RESULT], True),
        ([USER, asked(SIGNED), RESULT, {"role": "assistant", "content": "12."}, USER], False),
        ([USER, asked({"type": "thinking", "thinking": "Hm."}), RESULT], False),
    ],
)
def test_signed_thinking_of_the_turn_under_way_goes_to_no_other_maker(
    messages: list[dict[str, Any]], sealed: bool
) -> None:
    found = needs(Dialect.MESSAGES, {"messages": messages})
    for kind in ("openai", "local"):
        assert (unfit(target(kind), found) is not None) is sealed
    for kind in ("anthropic", "litellm"):
        assert unfit(target(kind), found) is None


@pytest.mark.parametrize("later", [[], [{"role": "user", "content": "And tomorrow?"}]])
def test_encrypted_reasoning_of_the_turn_under_way_goes_to_no_other_maker(
    later: list[dict[str, Any]],
) -> None:
    made = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "12 °C"},
    ]
    found = needs(Dialect.RESPONSES, {"input": [USER, *made, *later]})
    reason = unfit(target("anthropic"), found)
    assert reason == (None if later else "cannot read the signed thinking of this turn")
    assert unfit(target("openai"), found) is None


@pytest.mark.parametrize(
    ("body", "capability"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}
                ]
            },
            "vision",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            "json_schema",
        ),
    ],
)
def test_what_a_model_cannot_do_excludes_it_and_what_is_unknown_does_not(
    body: dict[str, Any], capability: str
) -> None:
    found = needs(Dialect.CHAT, {"messages": [USER], **body})
    assert unfit(target("openai", capabilities=frozenset()), found) == f"cannot do {capability}"
    assert unfit(target("openai", capabilities=frozenset({capability})), found) is None
    assert unfit(target("openai"), found) is None


def test_prompt_and_answer_must_fit_the_window_together() -> None:
    found = Needs(input_tokens=900, input_bound=2_000, max_output=200)
    assert unfit(target("openai", context_window=1_000, max_output=100), found) is None
    reason = unfit(target("openai", context_window=1_000, max_output=200), found)
    assert reason == "about 1100 tokens do not fit its window of 1000"
