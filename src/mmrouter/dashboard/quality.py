"""Quality: how routed answers compare with the baseline's, by what judges said."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, func, select

from mmrouter.config.schema import Config
from mmrouter.eval.accuracy import wilson
from mmrouter.eval.pairwise import Verdict
from mmrouter.tracker import schema
from mmrouter.tracker.store import Filter, Store, conditions

Json = dict[str, Any]

_requests, _said = schema.requests.c, schema.judgements.c


def quality(store: Store, filter: Filter, config: Config) -> Json:
    """What judges said of the answers to the filter's requests.

    `as_good` is the share that won or tied, with Wilson's 95 % interval; null where nothing was
    judged. `same` counts answers by the baseline itself, which tie. `shadow` is the share of live
    answers that config has judged.
    """
    query = (
        select(
            _said.verdict,
            func.count(),
            func.sum(func.coalesce(_said.cost_nanos, 0)),
            func.sum(_by_baseline()),
        )
        .select_from(schema.judgements.join(schema.requests, _said.request_id == _requests.id))
        .where(*conditions(filter, store.tags()))
        .group_by(_said.verdict)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    counts = {verdict: int(number) for verdict, number, _, _ in rows}
    verdicts = {verdict.value: counts.get(verdict.value, 0) for verdict in Verdict}
    judged = sum(verdicts.values())
    good = judged - verdicts[Verdict.LOSS.value]
    low, high = wilson(good, judged) if judged else (0.0, 0.0)
    return {
        "shadow": config.quality.shadow,
        "judged": judged,
        "unjudged": counts.get(None, 0),
        "same": sum(int(same) for verdict, _, _, same in rows if verdict is not None),
        "verdicts": verdicts,
        "as_good": {"share": good / judged, "low": low, "high": high} if judged else None,
        "judging_nanos": sum(int(cost) for _, _, cost, _ in rows),
    }


def _by_baseline() -> Any:
    """1 for an answer by the baseline itself, else 0."""
    return case((_said.routed_model == _said.baseline_model, 1), else_=0)
