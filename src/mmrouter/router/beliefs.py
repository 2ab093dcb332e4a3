"""What feedback says of every model, kind of prompt by kind: for people to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mmrouter.config.schema import Config
from mmrouter.decide.cost import EXPECTED_OUTPUT_TOKENS, estimate_nanos
from mmrouter.decide.feedback import NOTHING, Belief, Tallies, Tally, beliefs, rank, unplaced
from mmrouter.types import Candidate, Category, Complexity, Needs, Role, Target

_USUAL = Needs(input_tokens=EXPECTED_OUTPUT_TOKENS, input_bound=None)
"""The request whose cost is weighed: beliefs depend a little on what models cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """One model in one bucket.

    Attributes:
        configured: its place in the bucket's route, from 1; None where it has none any more.
        tried: its place after feedback, in the mean where the strategy draws; None likewise.
    """

    complexity: Complexity
    category: Category
    model: str
    belief: Belief
    tally: Tally
    configured: int | None
    tried: int | None


def believed(
    config: Config, resolve: Callable[[str], Target], tallies: Tallies
) -> Iterator[Believed]:
    """Every model of every bucket that the tallies have, in config's order.

    Args:
        resolve: a model's name to its target; only names in config are asked.
    """
    for complexity in Complexity:
        for category in Category:
            said = tallies.get((complexity, category))
            if said is not None:
                yield from _bucket(complexity, category, config, resolve, said)


def _bucket(
    complexity: Complexity,
    category: Category,
    config: Config,
    resolve: Callable[[str], Target],
    said: Mapping[str, Tally],
) -> Iterator[Believed]:
    route = config.route(complexity, category)
    roles: dict[str, Role] = {}
    if config.cascade.enabled:
        roles |= dict.fromkeys(route.cascade, Role.CASCADE)
    for name in (route.model, *route.fallbacks):
        roles.setdefault(name, Role.ROUTE)
    candidates = [_candidate(resolve(name), role) for name, role in roles.items()]
    adaptive = config.adaptive
    mean = adaptive.model_copy(update={"strategy": "beta"})
    ranking = rank(candidates, said, mean if adaptive.strategy == "thompson" else adaptive)
    order = {c.target.name: place for place, c in enumerate(ranking.candidates, 1)}
    known = zip(roles, beliefs(candidates, said, adaptive), strict=True)
    rows = [(name, belief, place) for place, (name, belief) in enumerate(known, 1)]
    gone = [(name, unplaced(tally), None) for name, tally in said.items() if name not in roles]
    for name, belief, place in (*rows, *gone):
        yield Believed(
            complexity=complexity,
            category=category,
            model=name,
            belief=belief,
            tally=said.get(name, NOTHING),
            configured=place,
            tried=order.get(name),
        )


def _candidate(target: Target, role: Role) -> Candidate:
    return Candidate(target=target, role=role, estimate_nanos=estimate_nanos(target, _USUAL))


def plain(row: Believed) -> dict[str, object]:
    """The row as JSON: shares in 0..1, `last` in Unix seconds."""
    low, high = row.belief.interval
    return {
        "complexity": row.complexity.value,
        "category": row.category.value,
        "model": row.model,
        "mean": row.belief.mean,
        "interval90": [low, high],
        "count": row.tally.count,
        "effective_count": row.tally.weight,
        "last": row.tally.last or None,
        "configured": row.configured,
        "tried": row.tried,
    }
