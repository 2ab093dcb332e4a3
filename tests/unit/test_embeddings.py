"""The default strategy: offline, thread-safe, and blind to what must not matter."""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrouter.classifier import features
from mmrouter.classifier.base import Unsure
from mmrouter.classifier.cues import cues
from mmrouter.classifier.difficulty import Difficulty
from mmrouter.classifier.embeddings import (
    SHIPPED,
    EmbeddingsClassifier,
    shipped_encoder,
    shipped_look,
)
from mmrouter.classifier.heads import COMPLEXITIES, Calibration, Verdict, softmax
from mmrouter.classifier.text import Judged
from mmrouter.types import Category, Complexity

EMBEDDINGS = EmbeddingsClassifier()

KNOWN = [
    ("What is the capital of Peru?", Complexity.SIMPLE, Category.FACTUAL),
    ("¿Cuál es la capital de Perú?", Complexity.SIMPLE, Category.FACTUAL),
    ("what's 2+2", Complexity.SIMPLE, Category.REASONING),
    ("Write a haiku about rain", Complexity.SIMPLE, Category.CREATIVE),
    ("git command to undo the last commit", Complexity.SIMPLE, Category.CODE),
    ("Explain how vaccines work, step by step", Complexity.MEDIUM, Category.FACTUAL),
    ("Напиши юнит-тесты для функции", Complexity.MEDIUM, Category.CODE),
    ("Prove sqrt(2)+sqrt(3) is irrational", Complexity.COMPLEX, Category.REASONING),
    ("lock-free MPMC queue in C++", Complexity.COMPLEX, Category.CODE),
]


@pytest.mark.parametrize(("text", "complexity", "category"), KNOWN)
def test_plain_requests_get_their_labels_however_short(
    text: str, complexity: Complexity, category: Category
) -> None:
    label = EMBEDDINGS.classify(Judged(text))
    assert (label.complexity, label.category) == (complexity, category)
    assert label.strategy == "embeddings"
    assert label.cost_nanos == 0


def test_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert EmbeddingsClassifier().classify(Judged("Explain TCP")).confidence > 0
    unsure = EmbeddingsClassifier().begin(Judged("the sheds and the quartets: what before what"))
    assert isinstance(unsure, Unsure)
    shipped_look.cache_clear()  # reading it is part of the question
    assert unsure.look_again().degraded is None


def test_torch_is_not_needed() -> None:
    EMBEDDINGS.classify(Judged("Explain TCP"))
    assert "torch" not in sys.modules


def test_case_space_and_tools_make_no_difference() -> None:
    encoder = shipped_encoder()
    plain = encoder.subwords("explain tcp congestion control")
    assert np.array_equal(plain, encoder.subwords("  Explain\n TCP   Congestion CONTROL "))
    asked = Judged("Explain TCP congestion control")
    with_tools = Judged("Explain TCP congestion control", tools=30)
    assert EMBEDDINGS.classify(asked) == EMBEDDINGS.classify(with_tools)


def test_a_follow_up_is_read_with_what_it_answers() -> None:
    offer = "Shall I write the lock-free queue in C++ with hazard pointers?"
    alone = EMBEDDINGS.classify(Judged("yes"))
    leaning = EMBEDDINGS.classify(Judged("yes", context=offer, follow_up=True))
    assert alone.complexity is Complexity.SIMPLE
    assert (leaning.complexity, leaning.category) == (Complexity.COMPLEX, Category.CODE)


WORDS = st.sampled_from(
    [
        "do",
        "don't",
        "3,000",
        "C++",
        "foo()",
        "why?",
        "explain",
        "the",
        "code",
        "写",
        "给",
        "код",
        "_x,",
        "ü’s",
    ]
)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=30).map(" ".join)))
def test_the_table_has_a_row_for_each_cue_by_its_name(text: str) -> None:
    judged = Judged(text)
    named = {crc32(name.encode()) % features.CUE_ROWS for name in cues(judged)}
    assert features.cue_rows(judged).tolist() == sorted(named)


ASCII = st.one_of(
    st.text(st.characters(max_codepoint=127), max_size=200),
    st.lists(st.sampled_from(["don't", "12.5", "1,000", "Ab", "7", "_", "'", ".", "?", " "])).map(
        "".join
    ),
)


@settings(deadline=None)
@given(ASCII)
def test_ascii_is_read_like_any_other_script(text: str) -> None:
    """It has a pattern of its own, for speed."""
    alone, beside = (
        {name for name in cues(Judged(one)) if name[0] in "wsnb" and "ж" not in name}
        for one in (text, f"{text} ж")
    )
    assert alone == beside


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=400))
def test_any_text_gets_probabilities(text: str) -> None:
    label = EMBEDDINGS.classify(Judged(text))
    assert 0 <= label.confidence <= 1
    assert 0 <= label.difficulty <= 1


def test_lone_surrogates_and_emptiness_are_texts_too() -> None:
    for text in ("", "   ", "\ud800", "👍", "\x00", "a" * 100_000):
        assert 0 <= EMBEDDINGS.classify(Judged(text)).confidence <= 1


def test_threads_agree() -> None:
    texts = [Judged(text) for text, *_ in KNOWN] * 20
    alone = [EMBEDDINGS.classify(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(EMBEDDINGS.classify, texts)) == alone


def test_held_out_requests_are_mostly_right() -> None:
    """The shipped test set, which the weights have not seen: a floor, not the figure."""
    path = SHIPPED.parents[1] / "eval" / "data" / "test_set.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    clean = [row for row in rows if row["kind"] == "clean"]
    right = 0
    for row in clean:
        label = EMBEDDINGS.classify(Judged(row["prompt"]))
        right += (label.complexity, label.category) == (row["complexity"], row["category"])
    assert right / len(clean) > 0.9, "with the first look alone it is less"


def _verdict(level: int) -> Verdict:
    complexity = np.full(len(COMPLEXITIES), 0.1, np.float32)
    complexity[level] = 0.8
    return Verdict(complexity, np.full(4, 0.25, np.float32), 0.5)


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=50)
def test_more_complex_is_never_less_difficult(text: str) -> None:
    difficulty = Difficulty.load(SHIPPED)
    encoder = shipped_encoder()
    mean = encoder.mean(encoder.subwords(text.encode("utf-8", "replace").decode("utf-8")))
    simple, medium, complex_ = (difficulty.of(text, mean, _verdict(i)) for i in range(3))
    assert simple <= medium <= complex_


def test_calibration_turns_scores_into_probabilities() -> None:
    scores = np.array([2, 0, -1, 0, 3, 0, 0], np.float32)
    cool, warm = Calibration((1.0, 1.0)).verdict(scores), Calibration((4.0, 4.0)).verdict(scores)
    assert cool.labels == warm.labels == (Complexity.SIMPLE, Category.REASONING)
    assert cool.complexity.sum() == pytest.approx(1, abs=1e-5)
    assert warm.confidence < cool.confidence
    assert softmax(np.array([1000.0, 0.0], np.float32))[0] == pytest.approx(1)


def test_weights_lie_in_the_package() -> None:
    sizes = {path.name: path.stat().st_size for path in Path(SHIPPED).iterdir()}
    assert sum(sizes.values()) < 56_000_000, sizes
