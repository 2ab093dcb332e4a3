"""Who is asked when a prompt turned out to be too long for a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmrouter.decide.cost import bound_nanos, estimate_nanos
from mmrouter.types import Candidate, Needs, Role, Target


def roomier(
    failed: Target,
    rest: Sequence[Candidate],
    others: Iterable[Target],
    needs: Needs,
    *,
    omit_thinking: bool = False,
) -> tuple[Candidate, ...]:
    """The candidates whose window is larger than that of the model that failed, or unknown. Where
    none of the route is, any other model that is known to be larger, cheapest first.

    Args:
        rest: candidates of the plan whose turn has not come.
        others: configured models that could be called.
        omit_thinking: earlier turns may hold signed thinking, which is left out for the others.
    """
    window = failed.context_window
    if window is None:
        return tuple(rest)
    left = [c for c in rest if c.target.context_window is None or c.target.context_window > window]
    if left:
        return tuple(left)
    larger = [t for t in others if t.context_window is not None and t.context_window > window]
    candidates = [
        Candidate(
            target=target,
            role=Role.FALLBACK,
            estimate_nanos=estimate_nanos(target, needs),
            bound_nanos=bound_nanos(target, needs),
            omit_thinking=omit_thinking,
        )
        for target in larger
    ]
    return tuple(sorted(candidates, key=_price))


def _price(candidate: Candidate) -> tuple[bool, int]:
    return candidate.estimate_nanos is None, candidate.estimate_nanos or 0
