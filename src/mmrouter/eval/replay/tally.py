"""Sums over a replayed log: small whatever its length, and joined from several processes.

What an answer of another model would have cost depends on how long that model's answers are. Their
lengths are known only when the whole log has been read, so sums are kept in a form that they can be
put into afterwards.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple

from mmrouter.money import breakdown, rates_at
from mmrouter.tracker.savings import ENOUGH, OWN_LENGTH_ERROR, Bucket
from mmrouter.types import Nanos, Price, Usage

SHOWN = 50
"""Requests that a report shows one by one: those with most at stake."""

_Z95 = 1.96


class Shown(NamedTuple):
    """A request whose model changes. Ordered by what is at stake, then by its place in the log."""

    stake_nanos: Nanos
    number: int
    excerpt: str
    bucket: str
    before: str
    after: str
    reasons: str


@dataclass(slots=True)
class Lengths:
    """Output tokens of a model's logged answers in a bucket."""

    count: int = 0
    total: int = 0
    squares: int = 0

    def note(self, tokens: int) -> None:
        """One more answer."""
        self.count += 1
        self.total += tokens
        self.squares += tokens * tokens

    def join(self, other: Lengths) -> None:
        """Adds another process' sums."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares

    @property
    def mean(self) -> float:
        """Tokens of an answer."""
        return self.total / self.count

    @property
    def variance(self) -> float:
        """Sample variance."""
        if self.count < 2:
            return 0.0
        return max(0.0, self.squares - self.count * self.mean**2) / (self.count - 1)


@dataclass(slots=True)
class Costs:
    """Requests of one bucket at one model, for which a log has the answer of another.

    Attributes:
        input_nanos: cost of the prompts.
        output_nanos: cost of answers as long as the logged ones.
        rate: summed price of one output token, in pico-dollars; `rate_squares` of its square.
    """

    count: int = 0
    input_nanos: Nanos = 0
    output_nanos: Nanos = 0
    rate: int = 0
    rate_squares: int = 0

    def note(self, price: Price, usage: Usage) -> None:
        """One more request."""
        cost = breakdown(price, usage)
        rate = rates_at(price, usage.prompt_tokens).output
        self.count += 1
        self.input_nanos += cost.total - cost.output
        self.output_nanos += cost.output
        self.rate += rate
        self.rate_squares += rate * rate

    def join(self, other: Costs) -> None:
        """Adds another process' sums."""
        self.count += other.count
        self.input_nanos += other.input_nanos
        self.output_nanos += other.output_nanos
        self.rate += other.rate
        self.rate_squares += other.rate_squares


class Amount(NamedTuple):
    """An amount of money that is known only so well: `error_nanos` is its standard error."""

    nanos: Nanos
    error_nanos: float = 0.0

    @property
    def interval_nanos(self) -> tuple[Nanos, Nanos]:
        """95 %."""
        reach = round(_Z95 * self.error_nanos)
        return self.nanos - reach, self.nanos + reach


Case = tuple[Bucket, str, str]
"""Bucket, model that answered in the log, model that would answer (by upstream names)."""


@dataclass(slots=True)
class Tally:
    """What one config makes of a log.

    Attributes:
        names: upstream name of a chosen model -> its name.
        projected: per case, with the chosen model.
        baseline: per case, at the baseline.
        choices: per (logged model, chosen model), names as people know them.
        shown: a heap of what is worth showing.
    """

    names: dict[str, str] = field(default_factory=dict)
    projected: dict[Case, Costs] = field(default_factory=lambda: defaultdict(Costs))
    baseline: dict[Case, Costs] = field(default_factory=lambda: defaultdict(Costs))
    choices: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: list[Shown] = field(default_factory=list)

    def show(self, request: Shown) -> None:
        """Keeps it, if more is at stake than with those that are kept."""
        if len(self.shown) < SHOWN:
            heapq.heappush(self.shown, request)
        elif request > self.shown[0]:
            heapq.heapreplace(self.shown, request)

    def join(self, other: Tally) -> None:
        """Adds another process' sums."""
        self.names = other.names | self.names
        self.choices += other.choices
        for mine, theirs in ((self.projected, other.projected), (self.baseline, other.baseline)):
            for case, costs in theirs.items():
                mine[case].join(costs)
        for request in other.shown:
            self.show(request)


Known = Mapping[tuple[Bucket, str], Lengths]


def amount(cases: Mapping[Case, Costs], lengths: Known, model: str | None = None) -> Amount:
    """What requests cost at the models of their cases.

    Where the log has that very answer its length is known. Where it has enough other answers of the
    model in the bucket their mean is taken, and else the length of the given answer.

    Args:
        model: only what others than this one answer.
    """
    nanos = 0.0
    guessed = 0
    rates: dict[tuple[Bucket, str], list[int]] = defaultdict(lambda: [0, 0])
    for (bucket, logged, chosen), costs in cases.items():
        if chosen == model:
            continue
        known = lengths.get((bucket, chosen))
        nanos += costs.input_nanos
        if logged == chosen:
            nanos += costs.output_nanos
        elif known is not None and known.count >= ENOUGH:
            nanos += known.mean * costs.rate / 1000
            rates[bucket, chosen][0] += costs.rate
            rates[bucket, chosen][1] += costs.rate_squares
        else:
            nanos += costs.output_nanos
            guessed += costs.output_nanos
    variance = (OWN_LENGTH_ERROR * guessed) ** 2
    for key, (rate, squares) in rates.items():
        known = lengths[key]
        # the mean is known only so well, the same for all; and each answer strays from it
        variance += known.variance * (rate * rate / known.count + squares) / 1000**2
    return Amount(round(nanos), sqrt(variance))


def join_lengths(mine: dict[tuple[Bucket, str], Lengths], theirs: Known) -> None:
    """Adds another process' sums."""
    for key, lengths in theirs.items():
        mine[key].join(lengths)


def total(counters: Iterable[Costs]) -> int:
    """How many requests."""
    return sum(costs.count for costs in counters)
