"""What a budget sets aside is an upper bound, whatever a body asks for."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.cost import bound_nanos, estimate_nanos
from mmrouter.dialects import DIALECTS
from mmrouter.dialects.chat import read_usage
from mmrouter.dialects.messages import MessagesReader
from mmrouter.errors import InvalidRequestError
from mmrouter.money import breakdown, cost
from mmrouter.providers.pricing import FREE, lookup
from mmrouter.types import Dialect, Needs, Price, Rates, Target, Usage

rates = st.builds(
    Rates,
    input=st.integers(1, 10**8),
    output=st.integers(1, 10**8),
    cache_read=st.integers(0, 10**8),
    cache_write=st.integers(0, 10**8),
    reasoning=st.integers(0, 10**8),
    cache_write_1h=st.none() | st.integers(0, 10**8),
)
prices = st.builds(
    lambda base, upper: Price(tiers=((0, base), *upper), source="test"),
    rates,
    st.lists(st.tuples(st.integers(1, 2000), rates), max_size=2, unique_by=lambda t: t[0]).map(
        lambda tiers: tuple(sorted(tiers, key=lambda t: t[0]))
    ),
)


def target(price: Price | None, **facts: Any) -> Target:
    return Target(name="m", provider="p", kind="openai", upstream="m", price=price, **facts)


@st.composite
def usages(draw: st.DrawFn, prompt: int, output: int) -> Usage:
    """Any split of at most these tokens into the kinds that are billed."""
    left = draw(st.integers(0, prompt))
    written = draw(st.integers(0, left))
    read = draw(st.integers(0, left - written))
    made = draw(st.integers(0, output))
    return Usage(
        input_tokens=left - written - read,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        cache_read_tokens=read,
        output_tokens=made,
        reasoning_tokens=draw(st.integers(0, made)),
    )


@given(
    price=prices,
    prompt=st.integers(0, 3000),
    output=st.integers(0, 3000),
    choices=st.integers(1, 3),
    data=st.data(),
)
def test_no_usage_within_its_counts_costs_more_than_the_bound(
    price: Price, prompt: int, output: int, choices: int, data: st.DataObject
) -> None:
    needs = Needs(input_tokens=0, input_bound=prompt, max_output=output, choices=choices)
    bound = bound_nanos(target(price), needs)
    usage = data.draw(usages(prompt, output * choices))
    spent = cost(price, usage)
    assert bound is not None
    assert spent is not None
    assert spent <= bound


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def dearest_tokens(value: Any) -> int:
    """Tokens of a tokenizer that knows nothing but bytes, for all that a prompt shows of a body:
    every string and key, every number as it is written."""
    if isinstance(value, dict):
        return sum(len(k.encode()) + dearest_tokens(v) for k, v in value.items())
    if isinstance(value, list):
        return sum(dearest_tokens(v) for v in value)
    if isinstance(value, str):
        return len(value.encode())
    return len(orjson.dumps(value))


BODIES = {
    Dialect.CHAT: lambda text, extra: {
        "messages": [{"role": "user", "content": text}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": extra}}],
    },
    Dialect.MESSAGES: lambda text, extra: {
        "max_tokens": 5,
        "system": text,
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "input": extra}]}
        ],
    },
    Dialect.RESPONSES: lambda text, extra: {
        "input": text,
        "text": {"format": {"type": "json_schema", "schema": extra}},
    },
    Dialect.EMBEDDINGS: lambda text, extra: {"input": [text, extra]},
}


@given(dialect=st.sampled_from(list(Dialect)), text=st.text(), extra=json)
def test_no_tokenizer_finds_more_tokens_than_the_bound(
    dialect: Dialect, text: str, extra: Any
) -> None:
    """Also in texts that look like something else, and in the numbers of a schema."""
    body = BODIES[dialect](text, extra)
    needs = DIALECTS[dialect].needs(body)
    assert needs.input_bound is not None
    assert needs.input_bound >= dearest_tokens(body)
    assert needs.input_bound >= needs.input_tokens


def chat(**body: Any) -> Needs:
    return DIALECTS[Dialect.CHAT].needs({"messages": [{"role": "user", "content": "hi"}], **body})


def messages(**body: Any) -> Needs:
    given = {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **body}
    return DIALECTS[Dialect.MESSAGES].needs(given)


def responses(**body: Any) -> Needs:
    return DIALECTS[Dialect.RESPONSES].needs({"input": "hi", **body})


def part(**part: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part]}]


def test_text_that_looks_like_an_inline_file_is_billed_as_text() -> None:
    text = "data: " + "x" * 50_000
    needs = chat(messages=[{"role": "user", "content": text}])
    assert needs.input_bound is not None
    assert needs.input_bound > 50_000


def test_an_image_counts_as_one_however_many_bytes_it_has() -> None:
    inline = {"url": "data:image/png;base64," + "A" * 900_000}
    bounds = [
        chat(messages=part(type="image_url", image_url=inline)).input_bound,
        messages(messages=part(type="image", source={"data": "A" * 900_000})).input_bound,
        responses(input=part(type="input_image", image_url=inline["url"])).input_bound,
    ]
    for bound in bounds:
        assert bound is not None
        assert 48_169 < bound < 60_000


def test_tokens_that_are_no_text_are_counted() -> None:
    needs = DIALECTS[Dialect.EMBEDDINGS].needs({"input": [[1] * 4_000]})
    assert needs.input_bound is not None
    assert needs.input_bound >= 4_000


@pytest.mark.parametrize(
    "needs",
    [
        chat(messages=part(type="file", file={"file_id": "f"})),
        chat(messages=part(type="video_url", video_url={"url": "u"})),
        messages(messages=part(type="document", source={"type": "url", "url": "u"})),
        messages(messages=part(type="tool_result", content=[{"type": "document", "source": {}}])),
        responses(input=part(type="input_file", file_id="f")),
        responses(previous_response_id="resp_1"),
        responses(input=[{"type": "item_reference", "id": "i"}]),
    ],
)
def test_what_the_body_does_not_show_is_bounded_by_the_models_window_or_not_at_all(
    needs: Needs,
) -> None:
    price = Price(
        tiers=((0, Rates(input=1000, output=0, cache_read=0, cache_write=0, reasoning=0)),),
        source="test",
    )
    assert needs.input_bound is None
    assert bound_nanos(target(price, max_output=10), needs) is None
    bound = bound_nanos(target(price, max_output=10, context_window=9_000), needs)
    assert bound is not None
    assert 9_000 <= bound < 9_100


@pytest.mark.parametrize(
    "needs",
    [
        chat(tools=[{"type": "web_search"}]),
        chat(web_search_options={}),
        chat(modalities=["text", "audio"]),
        chat(messages=part(type="input_audio", input_audio={})),
        chat(service_tier="priority"),
        chat(prediction={"type": "content", "content": "x"}),
        messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        messages(mcp_servers=[{"type": "url", "url": "u"}]),
        messages(speed="fast"),
        responses(tools=[{"type": "code_interpreter"}]),
        responses(service_tier="priority"),
    ],
)
def test_what_token_rates_do_not_price_has_no_bound_but_on_ones_own_hardware(needs: Needs) -> None:
    paid = lookup("gpt-4o").price
    assert paid is not None
    assert needs.unpriced
    assert bound_nanos(target(paid, context_window=1000, max_output=10), needs) is None
    assert bound_nanos(target(FREE), needs) == 0


@pytest.mark.parametrize(
    "needs",
    [
        chat(tools=[{"type": "function", "function": {}}], service_tier="flex"),
        messages(tools=[{"name": "f"}, {"type": "bash_20250124", "name": "bash"}]),
        responses(tools=[{"type": "function", "name": "f"}]),
    ],
)
def test_tools_that_the_client_runs_are_ordinary_tokens(needs: Needs) -> None:
    assert not needs.unpriced
    assert needs.input_bound is not None


@pytest.mark.parametrize(
    ("needs", "output"),
    [
        (chat(max_tokens=7), 7),
        (chat(max_completion_tokens=7, max_tokens=9), 9),
        (chat(max_completion_tokens=None, max_tokens=9), 9),
        (chat(max_tokens=7, n=3), 21),
        (chat(max_tokens="7", n="3"), 21),
        (chat(n=2.0), 2_000),
        (chat(), 1_000),
        (messages(thinking={"type": "enabled", "budget_tokens": 50}), 100),
        (messages(thinking={"type": "enabled", "budget_tokens": 500}), 600),
        (responses(max_output_tokens=7), 7),
    ],
)
def test_output_is_bounded_by_the_caller_else_by_the_model(needs: Needs, output: int) -> None:
    price = Price(
        tiers=((0, Rates(input=0, output=1000, cache_read=0, cache_write=0, reasoning=0)),),
        source="test",
    )
    bound = bound_nanos(target(price, max_output=1_000), needs)
    assert bound is not None
    assert output <= bound <= output + 4


def test_without_any_bound_on_the_output_there_is_none() -> None:
    price = Price(
        tiers=((0, Rates(input=1, output=1, cache_read=0, cache_write=0, reasoning=0)),),
        source="test",
    )
    assert bound_nanos(target(price), chat()) is None
    assert bound_nanos(target(None, max_output=5), chat()) is None
    assert estimate_nanos(target(price), chat()) is not None


def test_a_body_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="JSON"):
        chat(messages=[{"role": "user", "content": "\ud800"}])


def test_an_hour_in_the_cache_costs_twice_the_input() -> None:
    price = lookup("claude-sonnet-4-6").price
    assert price is not None
    reader = MessagesReader()
    reader.whole(
        {
            "id": "m",
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 10,
                "cache_creation_input_tokens": 1_000,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 400,
                    "ephemeral_1h_input_tokens": 600,
                },
                "output_tokens": 1,
            },
        }
    )
    assert reader.usage is not None
    assert reader.usage.prompt_tokens == 1_010
    rate = price.tiers[0][1].input
    assert breakdown(price, reader.usage).cache_write == 400 * rate * 1.25 / 1000 + 600 * (
        2 * rate / 1000
    )


def test_reasoning_that_a_provider_leaves_out_of_the_completion_is_billed() -> None:
    """Google's and xAI's `completion_tokens` hold only what is visible."""
    hidden = read_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 130,
            "completion_tokens_details": {"reasoning_tokens": 100},
        }
    )
    assert (hidden.output_tokens, hidden.reasoning_tokens) == (120, 100)
    within = read_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 120,
            "total_tokens": 130,
            "completion_tokens_details": {"reasoning_tokens": 100},
        }
    )
    assert within == hidden


def test_every_price_in_the_table_knows_its_hours_rate_where_it_is_published() -> None:
    price = lookup("claude-opus-4-6").price
    assert price is not None
    assert re.match(r"litellm \d", price.source)
    assert price.tiers[0][1].cache_write_1h == 2 * price.tiers[0][1].input
