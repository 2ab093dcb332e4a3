"""What routing saved against sending everything to one baseline model.

What was spent is measured: every request's whole cost, with its classifier, failed, rejected and
escalated attempts, and requests that failed altogether. What the baseline would have cost is
measured only where the baseline itself answered; elsewhere it is estimated from the answered
prompt at the baseline's price and an output length, which is the baseline's own average in the
bucket where it answered at least `ENOUGH` requests there, and else the length of the given answer.
A bucket's requests that the baseline got may be harder than the others: the average shares that
bias.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from mmrouter.money import breakdown, rates_at
from mmrouter.tracker import schema
from mmrouter.tracker.store import Filter, Store, conditions
from mmrouter.types import AttemptStatus, Nanos, Price, Role, Status, Usage

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
    """A finished request as the estimate needs it.

    Attributes:
        cost_nanos: all that it caused.
        model: who answered; None where nobody did.
        usage: of the answering attempt; empty where nobody answered.
        answer_nanos: cost of the answering attempt.
        whole: the answer was not cut short by its client.
    """

    bucket: Bucket
    cost_nanos: Nanos
    model: str | None
    usage: Usage
    answer_nanos: Nanos
    whole: bool = True


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
        excluded: requests whose cost is unknown, and which no sum holds.
        error_nanos: standard error of `saved_nanos`.
    """

    measured: Part
    estimated: Part
    guessed: Part
    failed: Part
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
        return self.measured, self.estimated, self.guessed, self.failed


def savings(store: Store, filter: Filter, *, baseline: str, price: Price) -> Savings:
    """What the requests that `filter` lets through saved against `baseline` at `price`."""
    where = conditions(filter, store.tags())
    with store.read() as connection:
        lengths = _lengths(connection, where, baseline)
        unknown = schema.requests.c.cost_nanos.is_(None)
        excluded = connection.execute(
            select(func.count()).select_from(schema.requests).where(*where, unknown)
        ).scalar_one()
        found = estimate(_spent(connection, where), lengths, baseline=baseline, price=price)
        return replace(found, excluded=excluded)


def estimate(
    spent: Iterable[Spent], lengths: Mapping[Bucket, Lengths], *, baseline: str, price: Price
) -> Savings:
    """The savings of these requests; pure, one pass.

    The error of a bucket has two parts: its average is known only so well (the same for all of its
    requests, so it grows with their number), and each answer strays from the average (grows with
    the root of their number).
    """
    measured, estimated, guessed, failed = _Sum(), _Sum(), _Sum(), _Sum()
    rates: dict[Bucket, float] = defaultdict(float)
    squares: dict[Bucket, float] = defaultdict(float)
    guessed_output = 0
    for request in spent:
        usage, known = request.usage, lengths.get(request.bucket)
        if request.model is None:
            failed.add(request.cost_nanos, 0)
        elif request.model == baseline:
            measured.add(request.cost_nanos, request.answer_nanos)
        elif request.whole and known is not None and known.count >= ENOUGH:
            expected = replace(usage, output_tokens=round(known.mean), reasoning_tokens=0)
            estimated.add(request.cost_nanos, breakdown(price, expected).total)
            rate = rates_at(price, usage.prompt_tokens).output / 1000
            rates[request.bucket] += rate
            squares[request.bucket] += rate * rate
        else:
            cost = breakdown(price, usage)
            guessed.add(request.cost_nanos, cost.total)
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
        excluded=0,
        error_nanos=sqrt(variance),
    )


class _Sum:
    """A `Part` in the making."""

    def __init__(self) -> None:
        self._requests = self._spent = self._baseline = 0

    def add(self, spent: Nanos, baseline: Nanos) -> None:
        self._requests += 1
        self._spent += spent
        self._baseline += baseline

    def part(self) -> Part:
        return Part(requests=self._requests, spent_nanos=self._spent, baseline_nanos=self._baseline)


_requests, _attempts = schema.requests.c, schema.attempts.c
_answering = and_(
    _attempts.request_id == _requests.id,
    _attempts.role.not_in([role.value for role in (Role.CLASSIFIER, Role.JUDGE)]),
    _attempts.status.in_((AttemptStatus.OK.value, AttemptStatus.CANCELLED.value)),
)


_comparable = or_(_attempts.role.is_(None), _attempts.role != Role.LOCAL.value)
"""The small local model that answers for want of a key stands in for nobody."""


def _lengths(
    connection: Connection, where: Sequence[ColumnElement[bool]], baseline: str
) -> dict[Bucket, Lengths]:
    output = _attempts.output_tokens
    query = (
        select(
            _requests.complexity,
            _requests.category,
            func.count(),
            func.sum(output),
            func.sum(output * output),
        )
        .select_from(schema.requests.join(schema.attempts, _answering))
        .where(*where, _requests.answered_model == baseline, _requests.status == Status.OK.value)
        .group_by(_requests.complexity, _requests.category)
    )
    found: dict[Bucket, Lengths] = {}
    for complexity, category, count, total, squares in connection.execute(query):
        mean = float(total) / count
        spread = max(0.0, float(squares) - count * mean * mean)
        variance = spread / (count - 1) if count > 1 else 0.0
        found[complexity, category] = Lengths(count=count, mean=mean, variance=variance)
    return found


def _spent(connection: Connection, where: Sequence[ColumnElement[bool]]) -> Iterator[Spent]:
    query = (
        select(
            _requests.complexity,
            _requests.category,
            _requests.cost_nanos,
            _requests.status,
            _attempts.model,
            _attempts.cost_nanos,
            _attempts.input_tokens,
            _attempts.output_tokens,
            _attempts.cache_read_tokens,
            _attempts.cache_write_tokens,
            _attempts.reasoning_tokens,
            _attempts.cache_write_1h_tokens,
        )
        .select_from(schema.requests.outerjoin(schema.attempts, _answering))
        .where(*where, _requests.cost_nanos.is_not(None), _comparable)
    )
    rows = connection.execution_options(yield_per=5_000).execute(query)
    for complexity, category, cost, status, model, answer, *tokens in rows:
        yield Spent(
            bucket=(complexity, category),
            cost_nanos=cost,
            model=model,
            usage=_usage(*tokens) if model is not None else Usage(),
            answer_nanos=answer or 0,
            whole=status == Status.OK.value,
        )


def _usage(
    fresh: int, output: int, read: int, written: int, reasoning: int, written_1h: int
) -> Usage:
    return Usage(
        input_tokens=fresh,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
        cache_write_1h_tokens=written_1h,
    )
