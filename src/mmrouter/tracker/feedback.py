"""What people said of answers, by kind of prompt and model.

Of several scores for one request the last counts: people change their minds, and nobody's answer
counts twice. The others stay in the books.
"""

from __future__ import annotations

from sqlalchemy import func, select

from mmrouter.decide.feedback import FORGOTTEN, Bucket, Tallies, Tally, weight_of
from mmrouter.tracker import schema
from mmrouter.tracker.instants import whole_seconds
from mmrouter.tracker.store import Store
from mmrouter.types import Category, Complexity

_DAY_S = 86_400

_requests, _feedback = schema.requests.c, schema.feedback.c


def tallies(store: Store, *, now: float, decay_days: float) -> Tallies:
    """The scores of every kind of prompt and model, each weighed by its age in whole days.

    Answers of models that callers named were not classified, and belong to no kind.

    Args:
        now: Unix seconds.
        decay_days: a score of this age counts half.
    """
    later = schema.feedback.alias("later")
    outdone = (
        select(later.c.id)
        .where(later.c.request_id == _feedback.request_id, later.c.id > _feedback.id)
        .exists()
    )
    age = whole_seconds(now - _feedback.created) // _DAY_S
    query = (
        select(
            _requests.complexity,
            _requests.category,
            _requests.answered_model,
            age,
            func.count(),
            func.sum(_feedback.score),
            func.max(_feedback.created),
        )
        .select_from(schema.feedback.join(schema.requests, _feedback.request_id == _requests.id))
        .where(
            _feedback.created > now - FORGOTTEN * decay_days * _DAY_S,
            _requests.complexity.is_not(None),
            _requests.answered_model.is_not(None),
            ~outdone,
        )
        .group_by(_requests.complexity, _requests.category, _requests.answered_model, age)
    )
    found: dict[Bucket, dict[str, Tally]] = {}
    with store.read() as connection:
        for complexity, category, model, days, count, total, last in connection.execute(query):
            models = found.setdefault((Complexity(complexity), Category(category)), {})
            weight = weight_of(float(days), decay_days)
            so_far = models.get(model, Tally(0, 0.0, 0.0, last))
            models[model] = Tally(
                so_far.count + count,
                so_far.weight + count * weight,
                so_far.good + float(total) * weight,
                max(so_far.last, last),
            )
    return found
