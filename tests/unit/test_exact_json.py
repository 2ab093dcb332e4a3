"""JSON passes through unchanged, integers beyond 64 bits included."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.dialects import exact
from mmrouter.dialects.opening import opening
from mmrouter.types import Dialect, Request, Surface

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@given(values)
def test_what_goes_in_comes_out(value: Any) -> None:
    text = json.dumps(value)
    got = exact.loads(text.encode())
    assert json.dumps(got) == text
    assert json.dumps(json.loads(exact.dumps(got))) == text


@pytest.mark.parametrize("digits", [19, 20, 400, 5_000])
def test_a_long_number_inside_a_string_or_a_fraction_changes_nothing(digits: int) -> None:
    text = json.dumps({"a": "7" * digits}).encode()
    assert exact.loads(text) == orjson.loads(text)
    assert exact.loads(b"[0.%b]" % (b"7" * digits)) == [float("0." + "7" * digits)]


def test_what_json_cannot_say_is_refused_as_before() -> None:
    with pytest.raises(TypeError):
        exact.dumps({"a": object()})
    with pytest.raises(TypeError):
        exact.dumps({"a": object(), "b": 2**70})
    with pytest.raises(orjson.JSONDecodeError):
        exact.loads(b"[NaN, 18446744073709551616]")


def test_a_conversation_that_begins_with_a_long_integer_has_a_name() -> None:
    def named(number: int) -> str:
        content = [{"type": "text", "text": "Hi"}, {"type": "x", "n": number}]
        body = {"messages": [{"role": "user", "content": content}]}
        return opening(
            Request(id="r", surface=Surface.CHAT, dialect=Dialect.CHAT, model="auto", body=body)
        )

    assert named(2**70) == named(2**70) != named(2**70 + 1)
