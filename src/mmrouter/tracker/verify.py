"""Whether the books balance: sums of attempts against requests, and rows without an owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, case, func, select

from mmrouter.tracker import schema
from mmrouter.tracker.instants import whole_seconds
from mmrouter.tracker.late import HOUR_S


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where the books do not balance.

    Attributes:
        kind: "cost", "attempts", "input_tokens", "output_tokens", "orphan_attempt",
            "orphan_feedback" or "hour": the sums of an hour are not those of its requests.
        request_id: of the request; the hour's beginning where it is one ("2026-01-31T14:00Z").
        detail: what was expected and found.
    """

    kind: str
    request_id: str
    detail: str


def faults(connection: Connection) -> Iterator[Fault]:
    """Every fault, in order of kind."""
    yield from _sums(connection)
    yield from _orphans(connection)
    yield from _hours(connection)


def _sums(connection: Connection) -> Iterator[Fault]:
    request, attempt = schema.requests.c, schema.attempts.c
    sums = (
        select(
            attempt.request_id,
            func.count().label("attempts"),
            # one unknown price makes the sum unknown, as it makes the request's cost
            case(
                (func.count(attempt.cost_nanos) == func.count(), func.sum(attempt.cost_nanos))
            ).label("cost_nanos"),
            func.sum(attempt.input_tokens).label("input_tokens"),
            func.sum(attempt.output_tokens).label("output_tokens"),
        )
        .group_by(attempt.request_id)
        .subquery()
    )
    none = sums.c.attempts.is_(None)
    expected = {
        "cost": case((none, 0), else_=sums.c.cost_nanos) + request.classifier_cost_nanos,
        "attempts": func.coalesce(sums.c.attempts, 0),
        "input_tokens": func.coalesce(sums.c.input_tokens, 0),
        "output_tokens": func.coalesce(sums.c.output_tokens, 0),
    }
    written = {
        "cost": request.cost_nanos,
        "attempts": request.attempts,
        "input_tokens": request.input_tokens,
        "output_tokens": request.output_tokens,
    }
    joined = schema.requests.outerjoin(sums, sums.c.request_id == request.id)
    for kind, right in expected.items():
        query = (
            select(request.id, right, written[kind])
            .select_from(joined)
            .where(written[kind].is_distinct_from(right))
        )
        for id, want, found in connection.execute(query):
            yield Fault(kind, id, f"attempts say {want}, the request says {found}")


def _orphans(connection: Connection) -> Iterator[Fault]:
    known = select(schema.requests.c.id)
    for kind, column in (
        ("orphan_attempt", schema.attempts.c.request_id),
        ("orphan_feedback", schema.feedback.c.request_id),
    ):
        query = select(column).where(column.not_in(known)).distinct()
        for id in connection.execute(query).scalars():
            yield Fault(kind, id, "its request is not in the books")


def _hours(connection: Connection) -> Iterator[Fault]:
    """Hours whose sums differ from their requests; those that are to be summed up again do not
    count."""
    request, sums = schema.requests.c, schema.request_sums.c
    upto = connection.execute(select(schema.sums_state.c.upto)).scalar_one()
    if upto is None:
        return
    stale = set(connection.execute(select(schema.stale_hours.c.hour)).scalars())
    hour = whole_seconds(request.started) // HOUR_S
    counted = connection.execute(
        select(hour, func.count(), func.coalesce(func.sum(request.cost_nanos), 0))
        .where(request.started < float(upto * HOUR_S))
        .group_by(hour)
    )
    summed = connection.execute(
        select(sums.hour, func.sum(sums.requests), func.sum(sums.cost_nanos)).group_by(sums.hour)
    )
    want = {int(hour): (count, int(cost)) for hour, count, cost in counted}
    found = {int(hour): (int(count), int(cost)) for hour, count, cost in summed}
    for number in sorted((want.keys() | found.keys()) - stale):
        right, there = want.get(number, (0, 0)), found.get(number, (0, 0))
        if right != there:
            begins = datetime.fromtimestamp(number * HOUR_S, UTC).strftime("%Y-%m-%dT%H:00Z")
            yield Fault(
                "hour",
                begins,
                f"{right[0]} requests of {right[1]} nano-dollars, the sums say {there[0]} of "
                f"{there[1]}",
            )
