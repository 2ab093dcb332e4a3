"""What routing saved against sending everything to one baseline model.

What was spent is measured: every request's whole cost, with its classifier, failed, rejected and
escalated attempts, and requests that failed altogether. What the baseline would have cost is
measured only where the baseline itself answered; elsewhere it is estimated from the answered
prompt at the baseline's price and an output length, which is the baseline's own average in the
bucket where it answered at least `ENOUGH` requests there, and else the length of the given answer.
A bucket's requests that the baseline got may be harder than the others: the average shares that
bias.

What we asked ourselves (`Surface.QUALITY`: judging answers, and what they are judged against)
stands in for nobody: all of it is a loss.

The database sums the books up, by bucket and by the baseline's price tier: a million requests are a
few dozen rows here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from sqlalchemy import ColumnElement, case, literal

from mmrouter.money import at_rates, rates_at
from mmrouter.tracker.facts import ANSWERS, REQUESTS
from mmrouter.tracker.store import Filter, Store
from mmrouter.tracker.sums import gather
from mmrouter.types import Nanos, Price, Status, Surface, Usage

ENOUGH = 20
"""Answers of the baseline in a bucket from which its average length is used."""

OWN_LENGTH_ERROR = 0.5
"""Standard error of an answer's own length as a guess of the baseline's, as a share of it. Models
differ in wordiness by about that much, and all in the same direction: it does not average out."""

_Z95 = 1.96

Bucket = tuple[str | None, str | None]
"""(complexity, category)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Output tokens of the baseline's own answers in a bucket: number, mean, sample variance."""

    count: int
    mean: float
    variance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Finished requests that are alike, as the estimate needs them: sums.

    Attributes:
        count: how many; their prompts lie in one tier of the baseline's price.
        cost_nanos: all that they caused.
        model: who answered; None where nobody did.
        usage: of the answering attempts; empty where nobody answered.
        answer_nanos: cost of the answering attempts.
        whole: the answers were not cut short by their clients.
        aside: we asked ourselves.
    """

    bucket: Bucket
    cost_nanos: Nanos
    model: str | None
    usage: Usage
    answer_nanos: Nanos
    whole: bool = True
    aside: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Requests whose baseline cost was found in the same way, with what they really cost."""

    requests: int = 0
    spent_nanos: Nanos = 0
    baseline_nanos: Nanos = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """Answer of `savings`.

    Attributes:
        measured: the baseline answered, so its cost is known.
        estimated: the baseline's average length in the bucket.
        guessed: the answer's own length, for want of data.
        failed: nobody answered; whatever that cost is a loss.
        aside: what we asked ourselves to judge answers; a loss too.
        excluded: requests whose cost is unknown, and which no sum holds.
        error_nanos: standard error of `saved_nanos`.
    """

    measured: Part
    estimated: Part
    guessed: Part
    failed: Part
    aside: Part
    excluded: int
    error_nanos: float

    @property
    def spent_nanos(self) -> Nanos:
        """What all requests cost."""
        return sum(part.spent_nanos for part in self._parts)

    @property
    def baseline_nanos(self) -> Nanos:
        """What they would have cost with the baseline."""
        return sum(part.baseline_nanos for part in self._parts)

    @property
    def saved_nanos(self) -> Nanos:
        """The difference; negative where routing cost more than it saved."""
        return self.baseline_nanos - self.spent_nanos

    @property
    def interval_nanos(self) -> tuple[Nanos, Nanos]:
        """95 % interval of `saved_nanos`."""
        reach = round(_Z95 * self.error_nanos)
        return self.saved_nanos - reach, self.saved_nanos + reach

    @property
    def _parts(self) -> tuple[Part, ...]:
        return self.measured, self.estimated, self.guessed, self.failed, self.aside


def savings(store: Store, filter: Filter, *, baseline: str, price: Price) -> Savings:
    """What the requests that `filter` lets through saved against `baseline` at `price`."""
    rows = list(_grouped(store, filter, baseline, price))
    found = estimate(
        [spent for spent, _ in rows], _lengths(rows, baseline), baseline=baseline, price=price
    )
    unpriced = gather(store, REQUESTS, filter, lambda facts: [], ["unpriced"])
    return replace(found, excluded=sum(count for (count,) in unpriced.values()))


def estimate(
    spent: Iterable[Spent], lengths: Mapping[Bucket, Lengths], *, baseline: str, price: Price
) -> Savings:
    """The savings of these requests; pure, one pass, whether they come one by one or in groups.

    The error of a bucket has two parts: its average is known only so well (the same for all of its
    requests, so it grows with their number), and each answer strays from the average (grows with
    the root of their number).
    """
    measured, estimated, guessed, failed, aside = _Sum(), _Sum(), _Sum(), _Sum(), _Sum()
    rates: dict[Bucket, float] = defaultdict(float)
    squares: dict[Bucket, float] = defaultdict(float)
    guessed_output = 0
    for group in spent:
        usage, known = group.usage, lengths.get(group.bucket)
        tier = rates_at(price, usage.prompt_tokens // group.count)  # all of it lies in one
        if group.aside:
            aside.add(group, 0)
        elif group.model is None:
            failed.add(group, 0)
        elif group.model == baseline:
            measured.add(group, group.answer_nanos)
        elif group.whole and known is not None and known.count >= ENOUGH:
            output = round(known.mean) * group.count
            expected = replace(usage, output_tokens=output, reasoning_tokens=0)
            estimated.add(group, at_rates(tier, expected).total)
            rate = tier.output / 1000
            rates[group.bucket] += group.count * rate
            squares[group.bucket] += group.count * rate * rate
        else:
            cost = at_rates(tier, usage)
            guessed.add(group, cost.total)
            guessed_output += cost.output
    variance = (OWN_LENGTH_ERROR * guessed_output) ** 2
    for bucket, rate in rates.items():
        known = lengths[bucket]
        variance += known.variance * (rate * rate / known.count + squares[bucket])
    return Savings(
        measured=measured.part(),
        estimated=estimated.part(),
        guessed=guessed.part(),
        failed=failed.part(),
        aside=aside.part(),
        excluded=0,
        error_nanos=sqrt(variance),
    )


class _Sum:
    """A `Part` in the making."""

    def __init__(self) -> None:
        self._requests = self._spent = self._baseline = 0

    def add(self, spent: Spent, baseline: Nanos) -> None:
        self._requests += spent.count
        self._spent += spent.cost_nanos
        self._baseline += baseline

    def part(self) -> Part:
        return Part(requests=self._requests, spent_nanos=self._spent, baseline_nanos=self._baseline)


_OTHERS = "(others)"
"""No model's name: which of them it was does not matter here."""

_MEASURES = ("requests", "cost_nanos", "answer_nanos", "output_squares")
_TOKENS = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "cache_write_1h_tokens"),
)


def _grouped(
    store: Store, filter: Filter, baseline: str, price: Price
) -> Iterator[tuple[Spent, int]]:
    """Requests by bucket, tier and who answered, each with the sum of squared output lengths."""

    def keys(facts: Any) -> list[ColumnElement[Any]]:
        model = facts.answered_model
        tier: ColumnElement[Any] = literal(0)
        for number, (least, _) in enumerate(price.tiers[1:], 1):
            tier = case((facts.prompt_tokens >= least, number), else_=tier)
        return [
            facts.complexity,
            facts.category,
            case((model.is_(None), 0), (model == baseline, 1), else_=2),
            facts.status == Status.OK.value,
            facts.surface == Surface.QUALITY.value,
            tier,
        ]

    dearer = [least for least, _ in price.tiers[1:]]
    found = gather(
        store,
        ANSWERS,
        filter,
        keys,
        (*_MEASURES, *_TOKENS),
        unless=ANSWERS.sums.c.prompt_tokens >= min(dearer) if dearer else None,
    )
    for (complexity, category, who, whole, aside, _), sums in found.items():
        count, cost, answer, squares, *tokens = sums
        fields: dict[str, Any] = dict(zip(_TOKENS, tokens, strict=True))
        spent = Spent(
            bucket=(complexity, category),
            count=count,
            cost_nanos=cost,
            model=(None, baseline, _OTHERS)[who],
            usage=Usage(**fields),
            answer_nanos=answer,
            whole=bool(whole),
            aside=bool(aside),
        )
        yield spent, squares


def _lengths(rows: Iterable[tuple[Spent, int]], baseline: str) -> dict[Bucket, Lengths]:
    """Of the baseline's own whole answers."""
    sums: dict[Bucket, list[int]] = defaultdict(lambda: [0, 0, 0])
    for group, squares in rows:
        if group.model == baseline and group.whole and not group.aside:
            found = sums[group.bucket]
            found[0] += group.count
            found[1] += group.usage.output_tokens
            found[2] += squares
    return {bucket: _length(*found) for bucket, found in sums.items()}


def _length(count: int, total: int, squares: int) -> Lengths:
    mean = total / count
    spread = max(0.0, squares - count * mean * mean)
    return Lengths(count=count, mean=mean, variance=spread / (count - 1) if count > 1 else 0.0)
