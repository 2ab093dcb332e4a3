"""Experiments in the books: what was set up, and what came of each variant's requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    FromClause,
    and_,
    case,
    cast,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from mmrouter.decide.experiment import Unit, Variant
from mmrouter.errors import InvalidRequestError, TrackerError
from mmrouter.tracker import schema
from mmrouter.tracker.store import Store, plain
from mmrouter.types import Status, Surface

_experiments, _requests = schema.experiments, schema.requests.c
_feedback, _judgements = schema.feedback.c, schema.judgements.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A variant with its config.

    Attributes:
        source: where the config came from, for people.
        config: the whole config as JSON, as it was when the experiment was created: every process
            serves the same one, whatever becomes of the file.
    """

    name: str
    share: float
    source: str
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Two or more configs that share the traffic.

    Attributes:
        created: Unix seconds.
        stopped: Unix seconds; None while it runs.
        reason: why it was stopped.
        guardrail: share of failed requests past which a variant is halted; None watches nothing.
        arms: the first is the control.
        halted: variant -> why it gets no more requests; the control takes them.
    """

    name: str
    created: float
    unit: Unit
    arms: tuple[Arm, ...]
    guardrail: float | None = None
    stopped: float | None = None
    reason: str | None = None
    halted: Mapping[str, str]

    @property
    def control(self) -> Arm:
        """What the others are compared with."""
        return self.arms[0]

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Names and shares."""
        return tuple(Variant(arm.name, arm.share) for arm in self.arms)

    def label(self, variant: str) -> str:
        """How requests of a variant are marked in the books."""
        return f"{self.name}/{variant}"


def create(store: Store, experiment: Experiment) -> None:
    """Writes a new experiment down; it runs from then on.

    Raises:
        InvalidRequestError: the name is taken, or another experiment runs.
    """
    other = running(store)
    if other is not None:
        raise InvalidRequestError(
            f"experiment '{other.name}' is running: stop it first (mmrouter experiment stop)"
        )
    row = {
        "name": experiment.name,
        "created": experiment.created,
        "unit": experiment.unit.value,
        "guardrail": experiment.guardrail,
        "arms": json.dumps([asdict(arm) for arm in experiment.arms]),
        "halted": "{}",
    }
    try:
        with store.change() as connection:
            connection.execute(insert(_experiments).values(**row))
    except (IntegrityError, TrackerError) as error:
        if named(store, experiment.name) is None:
            raise
        raise InvalidRequestError(
            f"there has been an experiment '{experiment.name}': choose another name"
        ) from error


def named(store: Store, name: str) -> Experiment | None:
    """One experiment."""
    return next(iter(_read(store, _experiments.c.name == name)), None)


def running(store: Store) -> Experiment | None:
    """The experiment that shares the traffic now."""
    return next(iter(_read(store, _experiments.c.stopped.is_(None))), None)


def listed(store: Store) -> list[Experiment]:
    """All of them, newest first."""
    return _read(store)


def stop(store: Store, name: str, *, now: float, reason: str) -> bool:
    """Ends an experiment: from then on all requests go by the config. False if it did not run."""
    this = and_(_experiments.c.name == name, _experiments.c.stopped.is_(None))
    with store.change() as connection:
        done = connection.execute(
            update(_experiments).where(this).values(stopped=now, reason=reason)
        )
        return done.rowcount > 0


def halt(store: Store, name: str, variant: str, why: str) -> bool:
    """Sends a variant's requests to the control from now on. False if that was so already."""
    with store.change() as connection:
        this = _experiments.c.name == name
        kept = connection.execute(select(_experiments.c.halted).where(this)).scalar()
        halted = json.loads(kept or "{}")
        if variant in halted:
            return False
        halted[variant] = why
        connection.execute(update(_experiments).where(this).values(halted=json.dumps(halted)))
        return True


def _read(store: Store, *where: ColumnElement[bool]) -> list[Experiment]:
    query = select(_experiments).where(*where).order_by(_experiments.c.created.desc())
    with store.read() as connection:
        return [_experiment(plain(row)) for row in connection.execute(query)]


def _experiment(row: dict[str, Any]) -> Experiment:
    arms = tuple(Arm(**arm) for arm in json.loads(row.pop("arms")))
    halted = json.loads(row.pop("halted"))
    return Experiment(**row | {"unit": Unit(row["unit"]), "arms": arms, "halted": halted})


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over units, each of which has some observations: their number n and their sum x.

    Attributes:
        units: that have an observation at all.
        count, total: sums of n and of x.
        squares: of x².
        products: of n·x.
        counts: of n².
    """

    units: int = 0
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    products: float = 0.0
    counts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the requests of one variant came to.

    Attributes:
        units: prompts, sessions or keys that they are of.
        cost: USD of a request, of those whose price is known.
        latency: milliseconds of an answered request.
        error: 1 for a request that nobody answered, 0 for another.
        feedback: scores 0..1, the last of each request.
        judged: a judge's scores 0..1.
    """

    requests: int = 0
    failed: int = 0
    units: int = 0
    cost: Moments = Moments()
    latency: Moments = Moments()
    error: Moments = Moments()
    feedback: Moments = Moments()
    judged: Moments = Moments()


def measured(store: Store, experiment: Experiment) -> dict[str, Measured]:
    """What came of each variant, by name."""
    labels = [experiment.label(arm.name) for arm in experiment.arms]
    of_it = and_(
        _requests.started >= experiment.created,
        _requests.variant.in_(labels),
        _requests.surface != Surface.QUALITY.value,
    )
    usd = cast(_requests.cost_nanos, Double) / 1e9
    answered = case((_requests.status == Status.OK.value, _requests.latency_ms))
    failed = case((_requests.status == Status.FAILED.value, 1.0), else_=0.0)
    last = (
        select(func.max(_feedback.id).label("id")).group_by(_feedback.request_id).subquery("last")
    )
    said = schema.feedback.join(last, last.c.id == _feedback.id).join(
        schema.requests, _feedback.request_id == _requests.id
    )
    judged = schema.judgements.join(schema.requests, _judgements.request_id == _requests.id)
    with store.read() as connection:
        main = _moments(connection, schema.requests, of_it, usd, answered, failed)
        feedback = _moments(connection, said, of_it, _feedback.score)
        scores = _moments(connection, judged, of_it, _judgements.score)
    found = {}
    for arm in experiment.arms:
        label = experiment.label(arm.name)
        if label not in main:
            found[arm.name] = Measured()
            continue
        cost, latency, error = main[label]
        found[arm.name] = Measured(
            requests=error.count,
            failed=round(error.total),
            units=error.units,
            cost=cost,
            latency=latency,
            error=error,
            feedback=feedback.get(label, _NOTHING)[0],
            judged=scores.get(label, _NOTHING)[0],
        )
    return found


_NOTHING = (Moments(),)


def failures(store: Store, experiment: Experiment) -> dict[str, tuple[int, int]]:
    """(requests, failed) of each variant, by name: what a guardrail looks at."""
    labels = {experiment.label(arm.name): arm.name for arm in experiment.arms}
    query = (
        select(
            _requests.variant,
            func.count(),
            func.count(case((_requests.status == Status.FAILED.value, 1))),
        )
        .where(_requests.started >= experiment.created, _requests.variant.in_(list(labels)))
        .group_by(_requests.variant)
    )
    with store.read() as connection:
        return {labels[name]: (count, bad) for name, count, bad in connection.execute(query)}


def _moments(
    connection: Connection,
    rows: FromClause,
    where: ColumnElement[bool],
    *values: ColumnElement[Any],
) -> dict[str, tuple[Moments, ...]]:
    """By variant's label, the moments of each value. Rows of books that did not know units yet are
    each a unit of its own."""
    sums = [
        column
        for number, value in enumerate(values)
        for column in (func.count(value).label(f"n{number}"), func.sum(value).label(f"x{number}"))
    ]
    unit = func.coalesce(_requests.unit, _requests.id)
    units = (
        select(_requests.variant, *sums)
        .select_from(rows)
        .where(where)
        .group_by(_requests.variant, unit)
        .subquery()
        .c
    )
    moments: list[ColumnElement[Any]] = []
    for number in range(len(values)):
        n, x = units[f"n{number}"], units[f"x{number}"]
        moments += [func.count(x)]  # of a unit without an observation the sum is NULL
        moments += [func.sum(part) for part in (n, x, x * x, n * x, n * n)]
    query = select(units.variant, *moments).group_by(units.variant)
    found = {}
    for label, *numbers in connection.execute(query):
        parts = [numbers[start : start + 6] for start in range(0, len(numbers), 6)]
        found[label] = tuple(map(_of, parts))
    return found


def _of(row: Sequence[Any]) -> Moments:
    units, count, total, squares, products, counts = (value or 0 for value in row)
    return Moments(units, int(count), float(total), float(squares), float(products), int(counts))
