"""Pairs of answers: what a judge's two readings come to, and what samples of them say."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.errors import NothingToJudgeError, ProviderProtocolError
from mmrouter.eval.pairwise import CRITERIA, SAME, Judgement, Reading, Verdict, combined, read
from mmrouter.eval.quality import Comparison, mean_of, summary
from mmrouter.eval.sample import drawn

marks = st.fixed_dictionaries(dict.fromkeys(CRITERIA, st.integers(1, 5).map(float)))
readings = st.builds(Reading, marks, marks, st.sampled_from(("first", "second", "tie")))
OTHER = {"first": "second", "second": "first", "tie": "tie"}


@given(readings, readings)
def test_neither_place_nor_name_favours_an_answer(straight: Reading, swapped: Reading) -> None:
    said = combined(straight, swapped)
    mirrored = combined(swapped, straight)
    assert {said.verdict, mirrored.verdict} in ({Verdict.TIE}, {Verdict.WIN, Verdict.LOSS})
    assert mirrored.difference == pytest.approx(-said.difference)


@given(readings)
def test_a_judge_that_only_looks_at_places_decides_nothing(reading: Reading) -> None:
    said = combined(reading, reading)
    assert said.verdict is Verdict.TIE
    assert said.swayed == (reading.better != "tie")
    assert said.difference == 0


def test_an_answer_wins_where_both_readings_say_so() -> None:
    good, bad = dict.fromkeys(CRITERIA, 5.0), dict.fromkeys(CRITERIA, 2.0)
    won = combined(Reading(good, bad, "first"), Reading(bad, good, "second"))
    assert won == Judgement(Verdict.WIN, (good, bad))
    assert combined(Reading(good, bad, "first"), Reading(bad, good, "tie")).verdict is Verdict.TIE


def said(**changes: object) -> str:
    one = dict.fromkeys(CRITERIA, 3)
    return json.dumps({"first": one, "second": one, "better": "tie", **changes})


def test_judgements_are_found_in_what_judges_write() -> None:
    assert read(f"Let me see.\n```json\n{said(better='first')}\n```").better == "first"
    for bad in (
        "",
        "{}",
        "I like the first one",
        said(better="both"),
        said(better=None),
        said(first={"relevance": 3}),
        said(first=dict.fromkeys(CRITERIA, 6)),
        said(second=dict.fromkeys(CRITERIA, None)),
        said(second=[3, 3, 3]),
    ):
        with pytest.raises(ProviderProtocolError):
            read(bad)


def comparison(judgement: Judgement | None, model: str = "cheap") -> Comparison:
    return Comparison(
        request_id="req_1",
        routed_model=model,
        baseline_model="base",
        judge_model="judge",
        routed_nanos=10,
        baseline_nanos=30,
        judging_nanos=7,
        judgement=judgement,
        fault=None if judgement else "no text",
    )


def test_a_summary_counts_each_kind_apart() -> None:
    good, bad = dict.fromkeys(CRITERIA, 5.0), dict.fromkeys(CRITERIA, 1.0)
    loss = Judgement(Verdict.LOSS, (bad, good))
    found = summary(
        [
            comparison(loss),
            comparison(Judgement(Verdict.TIE, (good, good))),
            replace(comparison(SAME, "base"), judging_nanos=0),
            comparison(None),
        ]
    )
    assert (found.judged, found.same, dict(found.unjudged)) == (3, 1, {"no text": 1})
    assert found.verdicts == {Verdict.WIN: 0, Verdict.TIE: 2, Verdict.LOSS: 1}
    assert found.scores == (0.5, 1.0), "a request routed to the baseline has no marks"
    assert found.difference.mean == pytest.approx(-1 / 3), "but counts as no difference"
    assert found.by_model["cheap"][0] == 2
    assert (found.routed_nanos, found.baseline_nanos, found.judging_nanos) == (30, 90, 21)
    with pytest.raises(NothingToJudgeError, match="no text"):
        summary([comparison(None)])


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = random.Random(1)
    for size in (4, 20):
        held = 0
        for _ in range(600):
            found = mean_of([rng.gauss(0.3, 1) for _ in range(size)])
            assert found.low is not None
            assert found.high is not None
            held += found.low <= 0.3 <= found.high
        assert 0.93 <= held / 600 <= 0.97
    assert mean_of([1.0]).low is None


def test_each_request_is_as_likely_to_be_drawn() -> None:
    counts = [0] * 10
    for seed in range(600):
        for body in drawn(iter([{"n": n} for n in range(10)]), 3, random.Random(seed)):
            counts[body["n"]] += 1
    assert all(130 <= count <= 230 for count in counts), counts
    assert len(drawn(iter([{}]), 3, random.Random(0))) == 1
