"""Splits, guardrails and looks at any time."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.experiment import Variant, assign, breached, unit_id
from mmrouter.eval.sequential import Sample, difference, sample, still_needed

shares = st.lists(st.floats(0.05, 1), min_size=2, max_size=5).map(
    lambda weights: tuple(Variant(f"v{i}", w / sum(weights)) for i, w in enumerate(weights))
)


@given(st.text(), st.text(), shares)
def test_a_unit_has_one_variant_for_ever(
    name: str, unit: str, variants: tuple[Variant, ...]
) -> None:
    first = assign(unit_id(name, unit), variants)
    assert first in {variant.name for variant in variants}
    assert assign(unit_id(name, unit), variants) == first


@given(shares, st.integers(0, 1_000))
def test_each_variant_gets_its_share(variants: tuple[Variant, ...], seed: int) -> None:
    got = [assign(unit_id(f"e{seed}", f"u{n}"), variants) for n in range(2_000)]
    for variant in variants:
        expected = 2_000 * variant.share
        assert abs(got.count(variant.name) - expected) < 6 * (expected * (1 - variant.share)) ** 0.5


def test_one_experiment_says_nothing_of_the_next() -> None:
    halves = (Variant("a", 0.5), Variant("b", 0.5))

    def chosen(experiment: str, number: int) -> str:
        return assign(unit_id(experiment, f"u{number}"), halves)

    same = sum(chosen("e1", n) == chosen("e2", n) for n in range(4_000))
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


def _alone(count: int, total: float, squares: float) -> Sample:
    """Of units with one observation each."""
    return sample(count, count, total, squares, total, count)


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
                found = difference(_alone(*sums[0]), _alone(*sums[1]))
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


def _conversations(runs: int, *, by_unit: bool) -> int:
    """Runs in which some look finds a difference where there is none: conversations of up to
    twenty requests, each with a cost level of its own.

    Args:
        by_unit: conversations count; else each request as if it were alone.
    """
    rng = random.Random(11)
    decided = 0
    for _ in range(runs):
        sides = ([0, 0, 0.0, 0.0, 0.0, 0], [0, 0, 0.0, 0.0, 0.0, 0])
        clear = False
        for conversation in range(400):
            side, level = sides[rng.random() < 0.5], rng.expovariate(1.0)
            turns = [level * rng.uniform(0.5, 1.5) for _ in range(rng.randint(1, 20))]
            for turn in [turns] if by_unit else [[one] for one in turns]:
                n, x = len(turn), sum(turn)
                for place, more in enumerate((1, n, x, x * x, n * x, n * n)):
                    side[place] += more
            if conversation % 10 == 9:
                clear |= difference(sample(*sides[0]), sample(*sides[1])).decided
        decided += clear
    return decided


def test_requests_of_one_conversation_are_not_independent() -> None:
    assert _conversations(100, by_unit=True) <= 0.05 * 100
    assert _conversations(100, by_unit=False) >= 60


@given(st.lists(st.lists(st.floats(0, 10), min_size=1, max_size=4), min_size=2, max_size=8))
def test_a_mean_is_that_of_all_observations(units: list[list[float]]) -> None:
    sums = [(len(unit), sum(unit)) for unit in units]
    found = sample(
        len(units),
        sum(n for n, _ in sums),
        sum(x for _, x in sums),
        sum(x * x for _, x in sums),
        sum(n * x for n, x in sums),
        sum(n * n for n, _ in sums),
    )
    flat = [value for unit in units for value in unit]
    assert found.count == len(units)
    assert abs(found.mean - sum(flat) / len(flat)) < 1e-9
    assert found.variance >= 0
