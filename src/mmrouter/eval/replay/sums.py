"""What is kept of a replayed log, and what it comes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from mmrouter.eval.replay.tally import (
    Amount,
    Case,
    Costs,
    Lengths,
    Tally,
    amount,
    join_lengths,
    total,
)
from mmrouter.tracker.savings import Bucket
from mmrouter.types import Nanos


@dataclass(slots=True)
class Sums:
    """All that is kept of a log.

    Attributes:
        skipped: why lines were left out -> how many.
        estimated: requests without token counts in the log.
        lengths: of the log's answers, per (bucket, model).
        logged_nanos: what the log's answers cost, as far as that is known; `logged_count` of them.
        tallies: per config.
        against_log: per config; as its `projected`, where the log's cost is known.
        flips: per (first config's model, second config's model), where they differ.
    """

    requests: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    estimated: int = 0
    lengths: dict[tuple[Bucket, str], Lengths] = field(default_factory=lambda: defaultdict(Lengths))
    logged_nanos: Nanos = 0
    logged_count: int = 0
    tallies: list[Tally] = field(default_factory=list)
    against_log: list[Tally] = field(default_factory=list)
    flips: Counter[tuple[str, str]] = field(default_factory=Counter)

    def join(self, other: Sums) -> None:
        """Adds another process' sums."""
        self.requests += other.requests
        self.skipped += other.skipped
        self.estimated += other.estimated
        join_lengths(self.lengths, other.lengths)
        self.logged_nanos += other.logged_nanos
        self.logged_count += other.logged_count
        for mine, theirs in zip(
            self.tallies + self.against_log, other.tallies + other.against_log, strict=True
        ):
            mine.join(theirs)
        self.flips += other.flips


class Replayed(NamedTuple):
    """One config's result.

    Attributes:
        saved: against the baseline.
        saved_log: against what the log's answers cost.
    """

    tally: Tally
    cost: Amount
    baseline: Amount
    saved: Amount
    saved_log: Amount


def results(sums: Sums, baseline: str) -> list[Replayed]:
    """What the sums come to.

    Args:
        baseline: its upstream name.
    """
    return [
        _result(sums, tally, against_log, baseline)
        for tally, against_log in zip(sums.tallies, sums.against_log, strict=True)
    ]


def _result(sums: Sums, tally: Tally, against_log: Tally, baseline: str) -> Replayed:
    projected = amount(tally.projected, sums.lengths)
    elsewhere = amount(tally.projected, sums.lengths, baseline)
    instead = amount(tally.baseline, sums.lengths)
    known = amount(against_log.projected, sums.lengths)
    return Replayed(
        tally=tally,
        cost=projected,
        baseline=Amount(instead.nanos + projected.nanos - elsewhere.nanos, instead.error_nanos),
        # the error of what the baseline answers in both cases is the same, and cancels out
        saved=Amount(
            instead.nanos - elsewhere.nanos,
            (instead.error_nanos**2 + elsewhere.error_nanos**2) ** 0.5,
        ),
        saved_log=Amount(sums.logged_nanos - known.nanos, known.error_nanos),
    )


class Part(NamedTuple):
    """The requests of one model, or of one bucket."""

    name: str
    requests: int
    cost: Amount


def by_model(sums: Sums, tally: Tally) -> list[Part]:
    """Who would answer, the busiest first."""
    return _parts(sums, tally, lambda case: tally.names[case[2]])


def by_bucket(sums: Sums, tally: Tally) -> list[Part]:
    """What is asked, the most frequent first."""
    return _parts(sums, tally, lambda case: "/".join(part or "?" for part in case[0]))


def _parts(sums: Sums, tally: Tally, name_of: Callable[[Case], str]) -> list[Part]:
    groups: dict[str, dict[Case, Costs]] = defaultdict(dict)
    for case, costs in tally.projected.items():
        groups[name_of(case)][case] = costs
    parts = [
        Part(name, total(cases.values()), amount(cases, sums.lengths))
        for name, cases in groups.items()
    ]
    return sorted(parts, key=lambda part: (-part.requests, part.name))


def flip_count(sums: Sums) -> int:
    """Requests for which two configs choose different models."""
    return sum(sums.flips.values())


def moved_count(tally: Tally) -> int:
    """Requests that another model than the log's would answer."""
    return total(
        costs for (_, logged, chosen), costs in tally.projected.items() if logged != chosen
    )
