"""Cutting into subwords: the same cuts as the library whose models it reads."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from string import punctuation

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from mmrouter.classifier.embeddings import SHIPPED
from mmrouter.classifier.subwords import Subwords

SPECIAL = 4


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    pieces = (SHIPPED / "pieces.txt").read_text("utf-8").split("\n")
    scores = np.load(SHIPPED / "pieces.npy").tolist()
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return Subwords(SHIPPED, SPECIAL)


@given(st.lists(st.text(st.characters(exclude_categories=("Z", "C")), min_size=1), max_size=6))
def test_words_of_any_script_are_cut_as_the_library_cuts_them(
    reference: Tokenizer, subwords: Subwords, words: list[str]
) -> None:
    words = [word.replace("\u2581", "") or "x" for word in words]
    theirs = reference.encode(" ".join(words), add_special_tokens=False).ids
    assert subwords.of(words) == [row for row in theirs if row >= SPECIAL]


WRITTEN = st.lists(
    st.sampled_from(
        [
            "the",
            "don't",
            "I’m",
            "foo_bar(",
            "x=3.5;",
            "(see",
            "e.g.",
            "'a'",
            "C++",
            "1,000",
            "’",
            "ा",
        ]
    )
)


@given(WRITTEN.map("".join).filter(bool))
def test_marks_within_words_make_no_difference(
    reference: Tokenizer, subwords: Subwords, word: str
) -> None:
    theirs = reference.encode(word, add_special_tokens=False).ids
    assert subwords.of([word]) == [row for row in theirs if row >= SPECIAL]


def test_what_the_cutting_takes_for_granted_of_the_vocabulary(
    reference: Tokenizer, subwords: Subwords
) -> None:
    """A subword alone is cut no further, and none reaches from a letter to an ASCII mark."""
    pieces = (SHIPPED / "pieces.txt").read_text("utf-8").split("\n")[SPECIAL:]
    words = [piece[1:] for piece in pieces if piece.startswith("\u2581") and len(piece) > 2]
    alone = reference.encode(" ".join(words), add_special_tokens=False).tokens
    assert [piece[1:] for piece in alone] == words
    pairs = (pair for piece in pieces for pair in pairwise(piece))
    assert not any(one.isalpha() and other in punctuation for one, other in pairs)


def test_the_vocabulary_is_whole() -> None:
    pieces = Path(SHIPPED / "pieces.txt").read_text("utf-8").split("\n")
    vectors = np.load(SHIPPED / "vectors.npy", mmap_mode="r")
    assert len(pieces) == len(set(pieces)) == len(np.load(SHIPPED / "pieces.npy")) == len(vectors)
