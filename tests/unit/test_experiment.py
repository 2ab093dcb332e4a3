"""Splits, guardrails and looks at any time."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.experiment import Variant, assign, breached
from mmrouter.eval.sequential import Sample, difference, sample, still_needed

shares = st.lists(st.floats(0.05, 1), min_size=2, max_size=5).map(
    lambda weights: tuple(Variant(f"v{i}", w / sum(weights)) for i, w in enumerate(weights))
)


@given(st.text(), st.text(), shares)
def test_a_unit_has_one_variant_for_ever(
    name: str, unit: str, variants: tuple[Variant, ...]
) -> None:
    first = assign(name, unit, variants)
    assert first in {variant.name for variant in variants}
    assert assign(name, unit, variants) == first


@given(shares, st.integers(0, 1_000))
def test_each_variant_gets_its_share(variants: tuple[Variant, ...], seed: int) -> None:
    got = [assign(f"e{seed}", f"u{n}", variants) for n in range(2_000)]
    for variant in variants:
        expected = 2_000 * variant.share
        assert abs(got.count(variant.name) - expected) < 6 * (expected * (1 - variant.share)) ** 0.5


def test_one_experiment_says_nothing_of_the_next() -> None:
    halves = (Variant("a", 0.5), Variant("b", 0.5))
    same = sum(assign("e1", f"u{n}", halves) == assign("e2", f"u{n}", halves) for n in range(4_000))
    assert 1_850 < same < 2_150


def test_a_variant_that_fails_too_often_is_halted_and_one_at_the_bound_is_not() -> None:
    assert not breached(0, 0, most=0.1)
    assert not breached(1, 1, most=0.1)
    assert breached(12, 30, most=0.1)
    assert not breached(3, 30, most=0.1)
    rng = random.Random(2)
    halted = 0
    for _ in range(300):
        failed = 0
        for n in range(1, 801):
            failed += rng.random() < 0.1
            if breached(failed, n, most=0.1):
                halted += 1
                break
    assert halted <= 300 * 0.01 + 4, "looked at after every request"


def _looks(effect: float, runs: int) -> tuple[int, int]:
    """(runs in which some look's interval left the truth out, runs that ever decided)."""
    rng = random.Random(7)
    missed = decided = 0
    for _ in range(runs):
        sums = ([0, 0.0, 0.0], [0, 0.0, 0.0])
        wrong = clear = False
        for n in range(2_000):
            side = sums[n % 2]
            seen = rng.expovariate(1.0) + (effect if n % 2 else 0.0)
            side[0] += 1
            side[1] += seen
            side[2] += seen * seen
            if n % 20 == 19:  # a hundred looks
                found = difference(sample(*sums[0]), sample(*sums[1]))
                if found.low is not None and found.high is not None:
                    wrong |= not found.low <= effect <= found.high
                    clear |= found.decided
        missed += wrong
        decided += clear
    return missed, decided


def test_a_hundred_looks_find_no_difference_where_there_is_none() -> None:
    missed, decided = _looks(0.0, 200)
    assert missed <= 0.05 * 200 + 6
    assert decided == missed


def test_a_real_difference_is_found_and_its_size_held() -> None:
    missed, decided = _looks(0.3, 60)
    assert missed <= 0.05 * 60 + 4
    assert decided >= 55


def test_what_is_still_needed_is_enough() -> None:
    now = Sample(200, 1.0, 1.0)
    more = still_needed(now, now, 0.1)
    assert more is not None
    assert more > 0
    later = Sample(200 + more // 2 + 1, 1.0, 1.0)
    found = difference(later, later)
    assert found.high is not None
    assert found.high <= 0.1 * 1.001
    assert still_needed(later, later, 0.1) == 0
    assert still_needed(Sample(3, 1.0, 1.0), now, 0.1) is None
