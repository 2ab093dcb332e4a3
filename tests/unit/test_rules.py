"""The rules classifier: what it must get right, what must not sway it, and what it costs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrouter.classifier.cues import cues, pieces
from mmrouter.classifier.rules import RulesClassifier, Weights, score, shipped
from mmrouter.classifier.text import Judged, judge
from mmrouter.dialects.base import Conversation
from mmrouter.types import Category, Classification, Complexity

RULES = RulesClassifier()


def said(text: str, **of: object) -> Classification:
    return RULES.classify(Judged(text, **of))  # type: ignore[arg-type]


def level(text: str) -> str:
    found = said(text)
    return f"{found.complexity}/{found.category}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("capital of peru?", "simple/factual"),
        ("thanks!", "simple/factual"),
        ("what does 'ephemeral' mean", "simple/factual"),
        ("write hello world in Rust", "simple/code"),
        ("git command to rename a branch", "simple/code"),
        ("give my cat a funny name", "simple/creative"),
        ("what is 15% of 80", "simple/reasoning"),
        ("explain how a heat pump works", "medium/factual"),
        ("Python function that merges two sorted lists, with tests", "medium/code"),
        ("bedtime story about a snail, 300 words", "medium/creative"),
        ("should i rent or buy? compare the costs over five years", "medium/reasoning"),
        ("lock-free MPMC queue in C++", "complex/code"),
        ("prove that sqrt(2)+sqrt(3) is irrational", "complex/reasoning"),
        ("epic poem in twelve cantos about a ferry", "complex/creative"),
        ("critical review of the trial evidence on statins in the very old", "complex/factual"),
        ("столица Перу?", "simple/factual"),
        ("今天的日期用英语怎么说", "simple/factual"),
        ("demuestra que hay infinitos números primos", "complex/reasoning"),
        ("schreibe einen vollständigen Roman in zwölf Kapiteln", "complex/creative"),
    ],
)
def test_plain_cases(text: str, expected: str) -> None:
    assert level(text) == expected


def test_length_does_not_decide() -> None:
    ramble = (
        "so we were at my aunt's place and the dog had eaten half the cake, and my brother kept on "
        "about his new car, and then the quiz came on and nobody knew this one and it bothered me "
        "all the way home in the rain, so please just tell me: what is the capital of Peru?"
    )
    assert said(ramble).complexity is Complexity.SIMPLE
    assert said("prove Fermat's little theorem").complexity is Complexity.COMPLEX


def test_an_accepted_offer_weighs_what_was_offered() -> None:
    offer = "I can write a lock-free queue in C++ with a proof of its memory ordering. Shall I?"
    talk = [
        {"role": "user", "content": "our queue is slow"},
        {"role": "assistant", "content": offer},
        {"role": "user", "content": "yes"},
    ]
    found = RULES.classify(judge(Conversation(talk)))
    assert (found.complexity, found.category) == (Complexity.COMPLEX, Category.CODE)


@given(st.integers(0, 64), st.integers(0, 100_000), st.integers(0, 40))
def test_tools_pastes_and_turns_do_not_sway_it(tools: int, pasted: int, turns: int) -> None:
    plain = said("what's 2+2")
    assert said("what's 2+2", tools=tools, pasted_chars=pasted, turns=turns) == plain


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300), st.text(max_size=80))
def test_any_text_is_classified(text: str, context: str) -> None:
    found = RULES.classify(Judged(text, context=context, follow_up=bool(context)))
    assert 0 < found.confidence < 1
    assert 0 < found.difficulty < 1
    assert found.strategy == "rules"
    assert found == RULES.classify(Judged(text, context=context, follow_up=bool(context)))


def test_difficulty_rises_with_complexity() -> None:
    easy, middle, hard = (
        said(text).difficulty
        for text in ("capital of peru?", "explain how a heat pump works", "lock-free queue in C++")
    )
    assert easy < middle < hard


def test_a_score_is_the_sum_of_the_cues_weights() -> None:
    row = [3, -1, 0, 5, 0, 0, 0, 100]
    twice = [1, 0, 0, 0, 2, 0, 0, 300]
    rows = b"".join(n.to_bytes(2, "little", signed=True) for n in row + twice)
    weights = Weights(
        places={"k:bias": 0, "w:peru": 1},
        rows=rows,
        step=0.5,
        norm_step=0.01,
        temperature=(1.0, 1.0),
        slope=1.0,
        offset=0.0,
    )
    # Both cues are there: norm = sqrt((100 + 300) * 0.01) = 2.
    assert score(weights, Judged("Peru")) == [1.0, -0.25, 0.0, 1.25, 0.5, 0.0, 0.0]


def test_unknown_words_are_read_by_their_pieces() -> None:
    known = {"v:▁lib", "v:re", "v:tt", "v:o", "v:▁"}
    assert list(pieces("libretto", known)) == ["v:▁lib", "v:re", "v:tt", "v:o"]
    assert list(pieces("xq", known)) == ["v:▁"]


def test_shipped_weights_are_whole() -> None:
    weights = shipped()
    assert len(weights.rows) == len(weights.places) * 16
    assert "k:bias" in weights.places
    assert 0.3 < weights.temperature[0] < 3


def test_cues_do_not_know_the_length() -> None:
    sentence = "Please explain how the pump works and why it stops. "
    once, often = cues(Judged(sentence.strip())), cues(Judged((sentence * 30).strip()))
    assert often - once <= {"b:stops please"}


def test_it_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys, json; from mmrouter.classifier.rules import RulesClassifier;"
        "from mmrouter.classifier.text import Judged; RulesClassifier().classify(Judged('hi'));"
        "print(json.dumps(sorted(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    ).stdout
    loaded = set(json.loads(out))
    assert not loaded & {"numpy", "tokenizers", "onnxruntime", "litellm", "torch", "sklearn"}


def test_twenty_tokens_take_microseconds_and_pages_milliseconds() -> None:
    text = "Can you write a short Python function that reads a csv file and prints each average?"
    page = Judged(" ".join(f"{word}{n}" for n in range(2_000) for word in ("alpha", "beta")))

    def median(judged: Judged, rounds: int) -> float:
        took = []
        for _ in range(rounds):
            start = time.process_time_ns()
            RULES.classify(judged)
            took.append(time.process_time_ns() - start)
        return statistics.median(took) / 1e3

    assert median(Judged(text), 300) < 500
    assert median(page, 10) < 20_000
