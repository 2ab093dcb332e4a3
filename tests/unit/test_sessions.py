"""Conversations: which request belongs to which, who goes on with it, and at what price."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.config import Config
from mmrouter.decide.plan import Snapshot, Spending, plan_auto
from mmrouter.decide.prompt_cache import Cached, cached
from mmrouter.decide.session import Session, Turn, answered
from mmrouter.decide.switch import Prompt, switch
from mmrouter.dialects.history import NEW, History, history
from mmrouter.dialects.identity import named, thread
from mmrouter.dialects.thinking import without_earlier
from mmrouter.money import breakdown
from mmrouter.types import (
    Candidate,
    Category,
    Classification,
    Complexity,
    Dialect,
    Move,
    Needs,
    Plan,
    Price,
    Rates,
    Request,
    Role,
    Surface,
    Target,
    Usage,
)
from tests.support.configs import one_route

NOW = 1_000_000.0
ANSWERED = History(answered=True)


def target(name: str, usd: int, provider: str = "anthropic", **changes: Any) -> Target:
    rates = Rates(
        input=usd * 1_000_000,
        output=usd * 5_000_000,
        cache_read=usd * 100_000,
        cache_write=usd * 1_250_000,
        reasoning=usd * 5_000_000,
    )
    price = Price(tiers=((0, rates),), source="test")
    made = Target(name=name, provider=provider, kind="anthropic", upstream=name, price=price)
    return replace(made, **changes)


TARGETS = {
    "small": target("small", 1),
    "mid": target("mid", 3),
    "big": target("big", 15),
    "else": target("else", 2, "openai", kind="openai"),
}


def config(**changes: Any) -> Config:
    routes = {
        "simple": one_route("small", "else")["simple"],
        "medium": one_route("mid", "else")["simple"],
        "complex": one_route("big", "mid")["simple"],
    }
    return Config.model_validate({"routes": routes, **changes})


def session(model: str, tokens: int = 0, **changes: Any) -> Session:
    """A conversation that `model` answered last, with so many tokens cached there."""
    caches = {model: Cached(tokens, NOW + 100)} if tokens else {}
    base = Session(
        model=model,
        provider=TARGETS[model].provider if model in TARGETS else "gone",
        weight=0.0,
        prompt_tokens=tokens,
        growth=500,
        caches=caches,
    )
    return replace(base, **changes)


def plan(
    complexity: Complexity,
    known: Session | None,
    *,
    past: History = ANSWERED,
    tokens: int = 50_000,
    confidence: float = 0.9,
    conf: Config | None = None,
    model: str = "auto",
    can_omit: bool = True,
    **state: Any,
) -> Plan:
    label = Classification(
        complexity=complexity,
        category=Category.CODE,
        confidence=confidence,
        difficulty=0.5,
        strategy="rules",
    )
    turn = Turn(history=past, session=known, can_omit=can_omit, now=NOW)
    snapshot = Snapshot(callable=lambda _: True, open=lambda _: False, turn=turn)
    return plan_auto(
        model,
        label,
        Needs(input_tokens=tokens, input_bound=tokens * 3),
        conf or config(),
        TARGETS.__getitem__,
        replace(snapshot, **state),
    )


def names(made: Plan) -> list[str]:
    return [candidate.target.name for candidate in made.candidates]


# --- the price of a switch ---


def test_a_cached_prefix_keeps_a_conversation_with_its_model() -> None:
    made = plan(
        Complexity.MEDIUM, session("big", 49_000), conf=config(sessions={"switch_horizon": 1})
    )
    assert names(made)[0] == "big"
    assert made.continuation is not None
    assert made.continuation.move is Move.STAYED
    # 49,000 tokens at the write price instead of the read price: mid's $3.75 and $0.30 a million,
    # and on coming back big's $18.75 and $1.50
    there, back = 49_000 * (3_750_000 - 300_000), 49_000 * (18_750_000 - 1_500_000)
    assert made.continuation.switch_nanos == (there + back) // 1000
    assert "cached prompt" in made.reasons[-1]


def test_without_a_cache_a_cheaper_model_takes_over() -> None:
    for known in (session("big"), session("big", caches={"big": Cached(49_000, NOW - 1)})):
        made = plan(Complexity.SIMPLE, known)
        assert names(made)[0] == "small"
        assert made.continuation is not None
        assert made.continuation.move is Move.SWITCHED
        assert made.continuation.switch_nanos == 0


def test_a_harder_turn_moves_up_whatever_is_cached() -> None:
    made = plan(Complexity.COMPLEX, session("small", 200_000), tokens=200_000)
    assert names(made)[0] == "big"
    assert made.continuation is not None
    assert made.continuation.move is Move.SWITCHED
    assert "this turn needs it" in made.reasons[-1]


def test_a_longer_look_ahead_makes_a_switch_worth_its_price() -> None:
    moves = [
        names(
            plan(
                Complexity.MEDIUM,
                session("big", 49_000),
                conf=config(sessions={"switch_horizon": turns}),
            )
        )[0]
        for turns in (1, 50)
    ]
    assert moves == ["big", "mid"]


def test_a_dearer_model_is_left_when_it_was_paid_in_vain_for_as_much_as_the_switch_costs() -> None:
    known, stayed = session("big", 49_000), 0
    while True:
        made = plan(Complexity.MEDIUM, known)
        move = made.continuation
        assert move is not None
        assert move.switch_nanos is not None
        if move.move is Move.SWITCHED:
            break
        stayed += 1
        assert move.forgone_nanos <= move.switch_nanos, "else it should have moved before"
        known = replace(known, forgone_nanos=move.forgone_nanos)
        assert stayed < 1000
    assert stayed >= 1
    needed = plan(Complexity.COMPLEX, known)
    assert needed.continuation is not None
    assert needed.continuation.forgone_nanos == 0, "it was needed: the count begins anew"


def test_the_price_of_staying_is_counted_through_tool_turns_too() -> None:
    past = History(answered=True, tool_result=True)
    made = plan(Complexity.MEDIUM, session("big", 49_000), past=past)
    assert made.continuation is not None
    assert made.continuation.move is Move.PINNED
    assert made.continuation.forgone_nanos > 0


def test_doubt_moves_a_conversation_only_where_that_is_cheap() -> None:
    for tokens, expected in ((49_000, "small"), (1_000, "mid")):
        known = session("small", tokens)
        made = plan(Complexity.SIMPLE, known, tokens=tokens + 500, confidence=0.5)
        assert made.wanted is TARGETS["mid"], "doubt moved the route up"
        assert names(made)[0] == expected
    sure = plan(Complexity.MEDIUM, session("small", 49_000))
    assert names(sure)[0] == "mid"


def test_an_unknown_price_leaves_the_route_alone() -> None:
    unpriced = {**TARGETS, "big": replace(TARGETS["big"], price=None)}
    known = session("big", 49_000)
    turn = Turn(history=History(answered=True), session=known, now=NOW)
    made = plan_auto(
        "auto",
        Classification(
            complexity=Complexity.SIMPLE,
            category=Category.CODE,
            confidence=1.0,
            difficulty=0.1,
            strategy="rules",
        ),
        Needs(input_tokens=50_000, input_bound=100_000),
        config(),
        unpriced.__getitem__,
        Snapshot(callable=lambda _: True, open=lambda _: False, turn=turn),
    )
    assert names(made)[0] == "small"


counts = st.integers(0, 300_000)
usd = st.integers(1, 100)


@given(here=usd, there=usd, tokens=counts, a=counts, b=counts, growth=counts, out=counts,
       requests=st.integers(1, 20))  # fmt: skip
def test_price_and_saving_are_the_difference_of_the_two_bills(
    here: int, there: int, tokens: int, a: int, b: int, growth: int, out: int, requests: int
) -> None:
    """Against the bills themselves, added up request by request by the books' own arithmetic."""
    stays, moves = target("h", here), target("t", there)
    a, b = min(a, tokens), min(b, tokens)
    found = switch(stays, moves, Prompt(tokens, a, b, growth, out), requests)

    def bill(model: Target, warm: int) -> int:
        total, prompt = 0, tokens
        for _ in range(requests):
            usage = Usage(
                cache_read_tokens=warm, cache_write_tokens=prompt - warm, output_tokens=out
            )
            assert model.price is not None
            total += breakdown(model.price, usage).total
            warm, prompt = prompt, prompt + growth
        return total

    assert found is not None
    gained = bill(stays, a) - bill(moves, b)
    assert abs((found.saving_nanos - found.price_nanos) - gained) <= 3 * requests + 2


@given(
    complexity=st.sampled_from(list(Complexity)),
    confidence=st.floats(0, 1),
    model=st.sampled_from(list(TARGETS)),
    tokens=counts,
    weight=st.floats(0, 2),
    past=st.builds(
        History,
        answered=st.just(True),
        tool_result=st.booleans(),
        signed=st.booleans(),
        kept_by_provider=st.sampled_from([None, "file_id"]),
    ),
    spending=st.sampled_from(list(Spending)),
    shut=st.sets(st.sampled_from(list(TARGETS))),
)
def test_whatever_is_remembered_there_is_a_plan_that_could_have_been(
    complexity: Complexity,
    confidence: float,
    model: str,
    tokens: int,
    weight: float,
    past: History,
    spending: Spending,
    shut: set[str],
) -> None:
    known = session(model, tokens, weight=weight)
    made = plan(
        complexity, known, past=past, confidence=confidence, spending=spending,
        open=lambda t: t.name in shut,
    )  # fmt: skip
    assert made.candidates
    assert len(set(names(made))) == len(made.candidates)
    assert made == plan(
        complexity, known, past=past, confidence=confidence, spending=spending,
        open=lambda t: t.name in shut,
    )  # fmt: skip
    fresh = plan(
        complexity, None, past=NEW, confidence=confidence, spending=spending,
        open=lambda t: t.name in shut,
    )  # fmt: skip
    # a conversation only adds the model that it is with; it never removes the last way out
    assert set(names(made)) <= {*names(fresh), model, "small", "mid", "big"}


# --- ties and pins ---


def test_signed_thinking_of_this_turn_stays_with_its_maker_even_while_it_fails() -> None:
    past = History(answered=True, tool_result=True, signed=True, signed_open=True)
    made = plan(Complexity.SIMPLE, session("big"), past=past, open=lambda t: t.name == "big")
    assert names(made) == ["big"]
    assert made.continuation is not None
    assert made.continuation.move is Move.TIED
    assert not made.candidates[0].omit_thinking
    assert any("signed thinking" in reason for reason in made.reasons)


def test_signed_thinking_of_earlier_turns_is_left_out_for_others_only() -> None:
    past = History(answered=True, signed=True)
    made = plan(Complexity.COMPLEX, session("mid"), past=past)
    assert [(c.target.name, c.omit_thinking) for c in made.candidates] == [
        ("big", True),
        ("mid", False),
    ]
    mixed = plan(Complexity.COMPLEX, session("mid", mixed=True), past=past)
    assert all(c.omit_thinking for c in mixed.candidates)


def test_reasoning_that_cannot_be_left_out_ties() -> None:
    past = History(answered=True, signed=True)
    made = plan(Complexity.COMPLEX, session("mid"), past=past, can_omit=False)
    assert names(made) == ["mid"]


def test_signed_thinking_of_an_unknown_model_is_left_out() -> None:
    made = plan(Complexity.MEDIUM, None, past=History(answered=True, signed=True))
    assert [(c.target.name, c.omit_thinking) for c in made.candidates] == [
        ("mid", True),
        ("else", True),
    ]


def test_a_tools_result_goes_to_who_asked_for_it() -> None:
    past = History(answered=True, tool_result=True)
    made = plan(Complexity.SIMPLE, session("big"), past=past)
    assert names(made) == ["big", "small", "else"]
    assert made.candidates[0].role is Role.SESSION
    failing = plan(Complexity.SIMPLE, session("big"), past=past, open=lambda t: t.name == "big")
    assert names(failing) == ["small", "else"]


def test_what_a_provider_keeps_ties_to_the_provider() -> None:
    past = History(answered=True, kept_by_provider="file_id")
    assert names(plan(Complexity.COMPLEX, session("small"), past=past)) == ["big", "mid"]
    assert names(plan(Complexity.SIMPLE, session("else"), past=past)) == ["else"]


def test_a_model_that_is_no_longer_configured_is_forgotten() -> None:
    assert names(plan(Complexity.SIMPLE, session("gone", 90_000))) == ["small", "else"]


def test_an_empty_budget_is_stronger_than_a_cache() -> None:
    budget = {"enabled": True, "daily_limit": 1.0}
    made = plan(
        Complexity.COMPLEX,
        session("big", 49_000),
        conf=config(budget=budget),
        room_nanos=100_000,
    )
    assert names(made)[0] == "small"


def test_a_cascade_goes_on_from_the_model_that_answered() -> None:
    ladder = one_route("big", cascade=("small", "mid", "big"))
    conf = Config.model_validate({"routes": ladder, "cascade": {"enabled": True}})
    past = History(answered=True, tool_result=True)
    made = plan(Complexity.MEDIUM, session("mid"), past=past, conf=conf)
    assert [(c.target.name, c.gated) for c in made.candidates] == [("mid", True), ("big", False)]


# --- momentum ---


def test_doubtful_turns_stay_up_after_a_hard_one_and_come_down_again() -> None:
    conf = config(sessions={"momentum_half_life": 6})
    known = answered(None, TARGETS["big"], Usage(), Complexity.COMPLEX, NEW, half_life=6, now=NOW)
    wanted = []
    for _ in range(5):
        made = plan(Complexity.SIMPLE, known, confidence=0.5, conf=conf, tokens=100)
        assert made.wanted is not None
        wanted.append(made.wanted.name)
        known = answered(
            known, TARGETS["big"], Usage(), Complexity.SIMPLE, ANSWERED, half_life=6, now=NOW
        )
    # doubt alone would have moved each of them to "mid"
    assert wanted == ["big", "big", "mid", "mid", "mid"]
    still = plan(Complexity.SIMPLE, known, confidence=0.5, conf=conf, tokens=100)
    assert "the turns before it were complex" not in still.reasons


def test_a_turn_that_is_clearly_easy_is_not_held_up() -> None:
    hard = answered(None, TARGETS["big"], Usage(), Complexity.COMPLEX, NEW, half_life=9, now=NOW)
    made = plan(Complexity.SIMPLE, hard, confidence=0.95, tokens=100)
    assert made.wanted is TARGETS["small"]


def test_the_results_of_tools_do_not_wear_the_weight_down() -> None:
    hard = answered(None, TARGETS["big"], Usage(), Complexity.COMPLEX, NEW, half_life=1, now=NOW)
    looped = answered(
        hard, TARGETS["big"], Usage(), Complexity.SIMPLE,
        History(answered=True, tool_result=True), half_life=1, now=NOW,
    )  # fmt: skip
    assert looped.weight == hard.weight


# --- what is cached ---


def test_a_cache_is_as_the_provider_reports_it() -> None:
    usage = Usage(input_tokens=50, cache_read_tokens=4_000, cache_write_tokens=1_000)
    assert cached(TARGETS["big"], usage, NOW) == Cached(5_000, NOW + 300)
    hour = replace(usage, cache_write_1h_tokens=1_000)
    assert cached(TARGETS["big"], hour, NOW) == Cached(5_000, NOW + 3600)
    assert cached(TARGETS["big"], Usage(input_tokens=9_000), NOW) is None


def test_openai_caches_unasked_from_1024_tokens() -> None:
    assert cached(TARGETS["else"], Usage(input_tokens=1_023), NOW) is None
    assert cached(TARGETS["else"], Usage(input_tokens=1_300), NOW) == Cached(1_280, NOW + 300)


def test_the_cache_of_a_model_that_was_left_is_remembered_until_it_expires() -> None:
    written = Usage(cache_write_tokens=9_000)
    at_big = answered(None, TARGETS["big"], written, None, NEW, half_life=2, now=NOW)
    moved = answered(at_big, TARGETS["mid"], written, None, ANSWERED, half_life=2, now=NOW + 10)
    assert set(moved.caches) == {"big", "mid"}
    assert moved.mixed
    later = answered(moved, TARGETS["mid"], written, None, ANSWERED, half_life=2, now=NOW + 305)
    assert set(later.caches) == {"mid"}


# --- identity ---

texts = st.text(max_size=40)


def request(
    messages: list[dict[str, Any]], dialect: Dialect = Dialect.CHAT, **changes: Any
) -> Request:
    body: dict[str, Any] = {"model": "auto", "messages": messages}
    body |= changes.pop("body", {})
    made = Request(
        id="r", surface=Surface.CHAT, dialect=dialect, model="auto", body=body, session=None
    )
    return replace(made, **changes)


turns = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["assistant", "user"]), "content": texts}),
    max_size=4,
)


@given(system=texts, first=texts, more=turns, key=st.sampled_from([None, "ann"]))
def test_a_conversation_keeps_its_name_as_it_grows(
    system: str, first: str, more: list[dict[str, Any]], key: str | None
) -> None:
    begin = [{"role": "system", "content": system}, {"role": "user", "content": first}]
    name = thread(request(begin, key_name=key))
    assert name == thread(request([*begin, *more], key_name=key))
    assert name != thread(request(begin, key_name="bob"))
    parts = [{"type": "text", "text": first, "cache_control": {"type": "ephemeral"}}]
    assert name == thread(request([begin[0], {"role": "user", "content": parts}], key_name=key))


@given(first=texts, second=texts, more=turns)
def test_different_conversations_have_different_names(
    first: str, second: str, more: list[dict[str, Any]]
) -> None:
    a, b = ([{"role": "user", "content": text}, *more] for text in (first, second))
    assert (thread(request(a)) == thread(request(b))) == (first == second)


@given(first=texts, given_by=texts.filter(bool))
def test_an_id_of_the_client_names_the_conversation_whatever_is_said(
    first: str, given_by: str
) -> None:
    said = [{"role": "user", "content": first}]
    other = [{"role": "user", "content": first + "?"}]
    assert thread(request(said, session=given_by)) == thread(request(other, session=given_by))
    assert thread(request(said, session=given_by)) != thread(request(said))
    assert thread(request(said, session=given_by)) != thread(
        request(said, session=given_by, key_name="ann")
    )


def test_users_that_begin_alike_are_told_apart() -> None:
    said = [{"role": "user", "content": "hi"}]
    seen = {thread(request(said, body={"user": user})) for user in ("ann", "bob")}
    assert len(seen) == 2


CLAUDE_CODE = [
    "user_ab12_account_0f-11_session_3f2a9c1e-aaaa-bbbb-cccc-1234567890ab",
    '{"device_id":"d","account_uuid":"a","session_id":"3f2a9c1e-aaaa-bbbb-cccc-1234567890ab"}',
]


@pytest.mark.parametrize("user", CLAUDE_CODE)
def test_claude_codes_session_is_read(user: str) -> None:
    body = {"metadata": {"user_id": user}}
    assert named(Dialect.MESSAGES, body) == "3f2a9c1e-aaaa-bbbb-cccc-1234567890ab"


@pytest.mark.parametrize("body", [{}, {"metadata": 3}, {"metadata": {"user_id": "{"}},
                                  {"metadata": {"user_id": "ann"}}])  # fmt: skip
def test_a_user_is_no_conversation(body: dict[str, Any]) -> None:
    assert named(Dialect.MESSAGES, body) is None


def test_an_agents_helpers_are_threads_of_their_own() -> None:
    body = {"metadata": {"user_id": CLAUDE_CODE[0]}}
    main = request([{"role": "user", "content": "fix it"}], Dialect.MESSAGES, body=body)
    helper = request([{"role": "user", "content": "look"}], Dialect.MESSAGES, body=body)
    session_id = named(Dialect.MESSAGES, body)
    assert thread(replace(main, session=session_id)) != thread(replace(helper, session=session_id))


# --- what is read of a history ---

THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
TOOL_USE = {"type": "tool_use", "id": "t", "name": "ls", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "a b"}
ASKED = {"role": "user", "content": "list files"}


def test_signed_thinking_is_open_only_within_its_turn() -> None:
    loop = [
        ASKED,
        {"role": "assistant", "content": [THINKING, TOOL_USE]},
        {"role": "user", "content": [RESULT]},
    ]
    found = history(Dialect.MESSAGES, {"messages": loop})
    assert (found.tool_result, found.signed, found.signed_open) == (True, True, True)
    over = [*loop, {"role": "assistant", "content": "a and b"}, {"role": "user", "content": "thx"}]
    found = history(Dialect.MESSAGES, {"messages": over})
    assert (found.tool_result, found.signed, found.signed_open) == (False, True, False)


def test_leaving_out_thinking_spares_the_turn_under_way_and_the_given_body() -> None:
    old = {"role": "assistant", "content": [THINKING, {"type": "text", "text": "done"}]}
    now = {"role": "assistant", "content": [THINKING, TOOL_USE]}
    only = {"role": "assistant", "content": [THINKING]}
    body = {"messages": [ASKED, old, only, ASKED, now, {"role": "user", "content": [RESULT]}]}
    kept = without_earlier(Dialect.MESSAGES, body)["messages"]
    assert [m["content"] for m in kept if m["role"] == "assistant"] == [
        [{"type": "text", "text": "done"}],
        [THINKING, TOOL_USE],
    ]
    assert old["content"][0] is THINKING


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"input": "hi"}, NEW),
        (
            {"input": "hi", "previous_response_id": "r1"},
            History(answered=True, kept_by_provider="previous_response_id", answers="r1"),
        ),
        (
            {"input": [{"type": "function_call_output"}], "conversation": {"id": "c"}},
            History(answered=True, tool_result=True, kept_by_provider="conversation"),
        ),
        (
            {
                "input": [
                    {"role": "user", "content": "x"},
                    {"type": "reasoning", "encrypted_content": "e"},
                    {"type": "function_call"},
                    {"type": "function_call_output"},
                ]
            },
            History(answered=True, tool_result=True, signed=True, signed_open=True),
        ),
    ],
)
def test_responses_histories(body: dict[str, Any], expected: History) -> None:
    assert history(Dialect.RESPONSES, body) == expected


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["role", "content", "type", "signature", "file_id", "source", "metadata"]),
        inner, max_size=3,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(
            ["messages", "input", "system", "metadata", "conversation", "user", "instructions"]
        ),
        json_values,
    ),
    st.sampled_from(list(Dialect)),
)
def test_no_body_confuses_it(body: dict[str, Any], dialect: Dialect) -> None:
    history(dialect, body)
    thread(request([], dialect, body=body))
    if dialect in (Dialect.CHAT, Dialect.MESSAGES):
        without_earlier(dialect, body)


def test_candidates_are_not_marked_where_nothing_is_signed() -> None:
    made = plan(Complexity.COMPLEX, session("mid", mixed=True))
    assert all(isinstance(c, Candidate) and not c.omit_thinking for c in made.candidates)
