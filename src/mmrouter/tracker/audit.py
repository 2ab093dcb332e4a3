"""What was spent, added up from attempts instead of from requests: an independent way to the sums
that budgets start from."""

from __future__ import annotations

import json
from collections import Counter

from sqlalchemy import func, select

from mmrouter.tracker import schema
from mmrouter.tracker.store import Settled, Store


def recomputed(store: Store, *, since: float) -> Settled:
    """`Store.settled`, from every attempt's cost and every classification's."""
    request, attempt = schema.requests.c, schema.attempts.c
    known = (request.started >= since, request.cost_nanos.is_not(None))
    whose = (request.key_name, request.tags)
    attempts = (
        select(*whose, func.sum(attempt.cost_nanos))
        .join_from(schema.requests, schema.attempts, attempt.request_id == request.id)
        .where(*known)
        .group_by(*whose)
    )
    classifying = (
        select(*whose, func.sum(request.classifier_cost_nanos)).where(*known).group_by(*whose)
    )
    unknown = select(func.count()).where(request.started >= since, request.cost_nanos.is_(None))
    total = 0
    by_key: Counter[str] = Counter()
    by_tag: Counter[str] = Counter()
    with store.read() as connection:
        for query in (attempts, classifying):
            for key_name, tags, nanos in connection.execute(query):
                total += int(nanos)
                if key_name is not None:
                    by_key[key_name] += int(nanos)
                for tag in set(json.loads(tags)):
                    by_tag[tag] += int(nanos)
        left_out = connection.execute(unknown).scalar_one()
    return Settled(total, dict(by_key), dict(by_tag), left_out)
