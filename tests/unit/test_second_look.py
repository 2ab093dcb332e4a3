"""The second look: only where the first is unsure, in a thread, and never at a request's cost."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest

from mmrouter.classifier import embeddings
from mmrouter.classifier.base import Unsure
from mmrouter.classifier.embeddings import UNSURE, EmbeddingsClassifier, shipped_look
from mmrouter.classifier.second_look import HEAD, TAIL, shortened, unpacked
from mmrouter.classifier.text import Judged
from mmrouter.dialects import Conversation
from mmrouter.router import classify
from mmrouter.router.classify import WAITING, ClassifyStep
from mmrouter.types import Category, Classification, Complexity

PLAIN = "What is the capital of Peru?"
ODD = "my aunt's quartets, the ledger and the two sheds: thoughts on what comes before what"

FIRST = Classification(
    complexity=Complexity.SIMPLE,
    category=Category.FACTUAL,
    confidence=0.4,
    difficulty=0.2,
    strategy="embeddings",
)
SECOND = replace(FIRST, complexity=Complexity.COMPLEX, confidence=0.9)
ASKED = Conversation([{"role": "user", "content": "hello"}])


class Doubting:
    """Unsure of everything; a second look takes until it is let go."""

    name = "doubting"

    def __init__(self) -> None:
        self.looking, self.go = threading.Event(), threading.Event()
        self.looked_in: str | None = None

    def classify(self, judged: Judged) -> Classification:
        return SECOND

    def begin(self, judged: Judged) -> Unsure:
        return Unsure(FIRST, self._again)

    def _again(self) -> Classification:
        self.looked_in = threading.current_thread().name
        self.looking.set()
        assert self.go.wait(10)
        return SECOND


def test_the_sure_are_answered_at_once_and_the_unsure_looked_at_again() -> None:
    classifier = EmbeddingsClassifier()
    sure = classifier.begin(Judged(PLAIN))
    assert isinstance(sure, Classification)
    assert sure.confidence >= UNSURE
    unsure = classifier.begin(Judged(ODD))
    assert isinstance(unsure, Unsure)
    assert unsure.first.confidence < UNSURE
    assert unsure.look_again() == classifier.classify(Judged(ODD))
    assert unsure.look_again().difficulty == unsure.first.difficulty


def test_config_may_do_without() -> None:
    quick = EmbeddingsClassifier(second_look=False)
    found = EmbeddingsClassifier().begin(Judged(ODD))
    assert isinstance(found, Unsure)
    assert quick.begin(Judged(ODD)) == quick.classify(Judged(ODD)) == found.first


def test_without_onnx_runtime_the_first_look_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "find_spec", lambda name: None)
    assert isinstance(EmbeddingsClassifier().begin(Judged(ODD)), Classification)


def test_a_broken_file_costs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("protobuf parsing failed")

    monkeypatch.setattr(embeddings, "shipped_look", broken)
    found = EmbeddingsClassifier().begin(Judged(ODD))
    assert isinstance(found, Unsure)
    assert found.look_again() == replace(found.first, degraded="second look: RuntimeError")


def test_long_texts_keep_head_and_tail() -> None:
    ids = np.arange(4, 1_000)
    short = shortened(ids)
    assert len(short) == HEAD + TAIL
    assert (short[0], short[-1]) == (4, 999)
    assert np.array_equal(shortened(ids[:50]), ids[:50])
    look = shipped_look()
    assert np.array_equal(look.own(ids), look.own(short))
    assert look.own(ids[:0]).shape == (7,)


def test_blocks_unpack_to_step_times_number() -> None:
    step = np.array([0.5], np.float16).view(np.uint8)
    row = np.concatenate((step, np.full(16, 0x9F, np.uint8)))  # 15 and 9, less 8
    assert np.array_equal(unpacked(row[None])[0], [3.5] * 16 + [0.5] * 16)


async def test_others_are_served_while_one_is_looked_at_again() -> None:
    doubting = Doubting()
    step = ClassifyStep(doubting)
    slow = asyncio.create_task(step(ASKED))
    await asyncio.to_thread(doubting.looking.wait, 10)
    assert not slow.done()  # and this loop runs
    doubting.go.set()
    assert (await slow)[0] == SECOND
    assert doubting.looked_in != threading.current_thread().name


async def test_a_flood_gets_labels_at_first_sight_and_waits_for_nobody() -> None:
    doubting = Doubting()
    step = ClassifyStep(doubting)
    waiting = [asyncio.create_task(step(ASKED)) for _ in range(WAITING)]
    await asyncio.to_thread(doubting.looking.wait, 10)
    label, _ = await step(ASKED)
    assert label == replace(FIRST, degraded=classify.FLOODED)
    doubting.go.set()
    assert [label for label, _ in await asyncio.gather(*waiting)] == [SECOND] * WAITING
    assert (await step(ASKED))[0] == SECOND
