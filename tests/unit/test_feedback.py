"""What feedback does to the order of models: pure, so tested on plain data."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmrouter.config.schema import AdaptiveConfig
from mmrouter.decide.feedback import Tally, beliefs, rank, unplaced, weight_of
from mmrouter.types import Candidate, Category, Classification, Complexity, Needs, Plan, Role
from tests.unit.test_plan import config, names, plan, target

STRATEGIES = ("thresholds", "beta", "thompson")
NEEDS = Needs(input_tokens=100, input_bound=300)
HERE = (Complexity.MEDIUM, Category.CODE)


def candidate(name: str, nanos: int | None = 1_000, role: Role = Role.ROUTE) -> Candidate:
    return Candidate(target=target(name), role=role, estimate_nanos=nanos)


def said(score: float, count: int = 100) -> Tally:
    return Tally(count=count, weight=float(count), good=score * count, last=1e9)


def order(
    candidates: list[Candidate],
    tallies: dict[str, Tally],
    strategy: str = "thresholds",
    draws: tuple[float, ...] = (),
    **keys: float,
) -> list[str]:
    made = AdaptiveConfig.model_validate({"enabled": True, "strategy": strategy, **keys})
    return [c.target.name for c in rank(candidates, tallies, made, draws).candidates]


def three() -> list[Candidate]:
    return [candidate("a"), candidate("b", role=Role.FALLBACK), candidate("c", role=Role.FALLBACK)]


@pytest.mark.parametrize(
    ("tallies", "expected"),
    [
        ({}, "abc"),
        ({"a": said(0.39)}, "bca"),  # disliked: behind the others
        ({"c": said(0.81)}, "cab"),  # liked: before them
        ({"a": said(0.4), "b": said(0.8)}, "abc"),  # at a threshold is not beyond it
        ({"a": said(0.1, 19)}, "abc"),  # too few say so
        ({"a": said(0.1, 20)}, "bca"),
        ({"a": said(0.1), "b": said(0.2), "c": said(0.3)}, "abc"),  # equals keep config's order
    ],
)
def test_thresholds(tallies: dict[str, Tally], expected: str) -> None:
    assert "".join(order(three(), tallies)) == expected


@given(
    nanos=st.lists(st.none() | st.integers(0, 10**9), min_size=1, max_size=9),
    cost_weight=st.floats(0, 0.5),
)
@example(nanos=[0, None, 0], cost_weight=0.5)
def test_without_evidence_configs_order_stands(nanos: list[int | None], cost_weight: float) -> None:
    """Whatever the models cost: who wrote the config knew that."""
    listed = [candidate(f"m{i}", cost) for i, cost in enumerate(nanos)]
    made = AdaptiveConfig(enabled=True, strategy="beta", cost_weight=cost_weight)
    assert rank(listed, {}, made).reason is None
    # also where somebody spoke, so long ago that it hardly counts
    assert rank(listed, {"m0": Tally(20, 1e-9, 0.5e-9, 1e9)}, made).reason is None


tallies_of_three = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(
        lambda count, share, age: Tally(count, count * age, count * age * share, 1e9),
        st.integers(1, 500),
        st.floats(0, 1),
        st.floats(0.01, 1),
    ),
)


@given(
    tallies=tallies_of_three,
    strategy=st.sampled_from(STRATEGIES),
    draws=st.tuples(*[st.floats(0, 1)] * 3),
    cascade=st.integers(0, 3),
)
def test_no_model_is_added_or_lost(
    tallies: dict[str, Tally], strategy: str, draws: tuple[float, ...], cascade: int
) -> None:
    listed = [
        candidate(name, 10**i, Role.CASCADE if i < cascade else Role.ROUTE)
        for i, name in enumerate("abc")
    ]
    assert sorted(order(listed, tallies, strategy, draws)) == ["a", "b", "c"]


@given(better=st.floats(0.05, 1), strategy=st.sampled_from(("thresholds", "beta")))
def test_praise_never_moves_a_model_back(better: float, strategy: str) -> None:
    before = {"a": said(0.6), "b": said(0.5), "c": said(0.55)}
    worse = order(three(), before, strategy).index("b")
    praised = order(three(), {**before, "b": said(0.5 + better / 2)}, strategy).index("b")
    assert praised <= worse


def test_beta_overrules_config_once_enough_people_say_so() -> None:
    tallies = {"a": said(0.5), "b": said(0.95), "c": said(0.4)}
    assert order(three(), tallies, "beta") == ["b", "a", "c"]
    few = {"a": said(0.5, 3), "b": said(0.95, 3)}
    assert order(three(), few, "beta") == ["a", "b", "c"]


@pytest.mark.parametrize(("cost_weight", "first"), [(0.0, "dear"), (0.2, "cheap")])
def test_a_slightly_better_answer_must_be_worth_its_price(cost_weight: float, first: str) -> None:
    listed = [candidate("dear", 10_000), candidate("cheap", 1_000)]
    tallies = {"dear": said(0.90, 5_000), "cheap": said(0.82, 5_000)}
    assert order(listed, tallies, "beta", cost_weight=cost_weight)[0] == first


def test_thompson_tries_what_it_knows_little_of_and_mostly_what_is_good() -> None:
    rng = random.Random(1)
    tallies = {"a": said(0.7, 300)}
    firsts = Counter(
        order(three(), tallies, "thompson", tuple(rng.random() for _ in range(3)))[0]
        for _ in range(400)
    )
    assert firsts["a"] > firsts["b"] > firsts["c"] > 20
    known = {name: said(share, 3_000) for name, share in zip("abc", (0.5, 0.9, 0.5), strict=True)}
    for _ in range(50):
        draws = tuple(rng.uniform(0.001, 0.999) for _ in range(3))
        assert order(three(), known, "thompson", draws)[0] == "b"


def test_thompson_does_not_explore_where_nobody_speaks() -> None:
    assert order(three(), {"a": said(0.9, 19)}, "thompson", (0.0, 1.0, 1.0)) == ["a", "b", "c"]


def cascade_of(*names: str) -> list[Candidate]:
    return [candidate(n, 10**i, Role.CASCADE) for i, n in enumerate(names)]


def test_a_disliked_model_of_a_cascade_loses_its_turn_and_stays_a_fallback() -> None:
    listed = [*cascade_of("small", "mid", "big"), candidate("spare", role=Role.FALLBACK)]
    made = AdaptiveConfig(enabled=True)
    found = rank(listed, {"small": said(0.2)}, made).candidates
    assert [c.target.name for c in found] == ["mid", "big", "spare", "small"]
    assert found[-1].role is Role.FALLBACK


@pytest.mark.parametrize("strategy", STRATEGIES[:2])
def test_a_cascade_keeps_asking_the_cheap_first_however_liked_the_strong_is(strategy: str) -> None:
    tallies = {"small": said(0.85), "big": said(0.97)}
    assert order(cascade_of("small", "mid", "big"), tallies, strategy) == ["small", "mid", "big"]


def test_a_plan_says_what_feedback_changed() -> None:
    conf = config(adaptive={"enabled": True})
    made: Plan = plan(conf=conf, feedback={HERE: {"mid": said(0.25, 40)}})
    assert names(made) == ["big", "mid"]
    assert made.adaptive_reranked
    assert made.reasons[-1] == "feedback: big (no scores yet) goes before mid (25% good of 40)"
    # of another kind of prompt it says nothing
    other = plan(Complexity.COMPLEX, conf=conf, feedback={HERE: {"big": said(0.1)}})
    assert not other.adaptive_reranked


def test_the_gate_follows_the_order() -> None:
    conf = config(cascade={"enabled": True}, adaptive={"enabled": True})
    feedback = {(Complexity.COMPLEX, Category.CODE): {"small": said(0.1)}}
    made = plan(Complexity.COMPLEX, conf=conf, feedback=feedback)
    assert [(c.target.name, c.gated) for c in made.candidates] == [
        ("mid", True),
        ("big", False),
        ("small", False),
    ]


def test_at_the_limit_the_cheapest_stays_first() -> None:
    made = plan(
        conf=config(adaptive={"enabled": True}),
        feedback={HERE: {"small": said(0.1), "big": said(1.0)}},
        room_nanos=1,
    )
    assert names(made)[0] == "small"
    assert not made.adaptive_reranked


def test_a_score_counts_half_after_decay_days() -> None:
    assert [weight_of(days, 30) for days in (-1, 0, 30, 60)] == [1, 1, 0.5, 0.25]


def test_a_belief_narrows_as_scores_come_in() -> None:
    conf = AdaptiveConfig(enabled=True, strategy="beta")
    (few,), (many,) = (
        beliefs([candidate("a")], {"a": said(0.8, count)}, conf) for count in (5, 500)
    )
    assert few.interval[1] - few.interval[0] > 3 * (many.interval[1] - many.interval[0])
    assert many.interval[0] < 0.8 < many.interval[1]
    assert unplaced(said(1.0, 8)).mean == pytest.approx(0.9)


def test_a_classification_of_the_bucket_before_it_was_moved_counts() -> None:
    """Doubt moves the request up a level; what people said of its kind is still of its kind."""
    conf = config(adaptive={"enabled": True})
    made = plan(
        Complexity.SIMPLE, confidence=0.1, conf=conf,
        feedback={(Complexity.SIMPLE, Category.CODE): {"mid": said(0.1)}},
    )  # fmt: skip
    assert isinstance(made.classification, Classification)
    assert made.escalated
    assert names(made) == ["big", "mid"]
