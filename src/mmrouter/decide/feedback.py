"""What people say of answers changes the order in which models are tried.

It never adds a model to a plan, takes none out, and touches no model that the caller named. Three
strategies, from the plainest on:

- `thresholds`: a model that is liked less than `penalty_threshold` goes behind the others, one that
  is liked more than `boost_threshold` before them.
- `beta`: a Beta posterior of the chance that an answer is good, weighed against what the model
  costs; the best expected value first.
- `thompson`: the same posterior, but a draw from it instead of its mean, so that models of which
  little is known are tried now and then (Thompson 1933; Agrawal and Goyal 2012; Chapelle and Li
  2011).

Scores lose weight with age: after `decay_days` one counts half, and after `FORGOTTEN` times that it
is no longer counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mmrouter.config.schema import AdaptiveConfig
from mmrouter.decide.beta import quantile
from mmrouter.types import Candidate, Category, Complexity, Role

FORGOTTEN = 5.0
"""Half-lives after which a score is forgotten."""

PRIOR_WEIGHT = 10.0
"""Scores that config's own order is worth."""

_PRIOR_MEAN = 0.7
"""The chance of a good answer before anybody has said anything."""

_PRIOR_STEP = 0.05
"""How much less the second place is worth: config's order stands until evidence speaks."""

_PRIOR_FADE = 0.7
"""The step from each place to the next, over the one before."""

_PRIOR_LEAST = 0.001
"""The step where no prior is high enough for more."""

_PRIOR_ENDS = (0.02, 0.95)

_HALF = 0.05
"""Each tail of the 90 % interval."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What people said of one model's answers to one kind of prompt.

    Attributes:
        count: how many answers were scored.
        weight: the same, each counted by its age.
        good: sum of the scores (0..1), each counted by its age.
        last: when the last one came, Unix seconds.
    """

    count: int
    weight: float
    good: float
    last: float


NOTHING = Tally(0, 0.0, 0.0, 0.0)

Bucket = tuple[Complexity, Category]
"""The kind of prompt, as it was judged: before dial, doubt or budget moved it."""

Tallies = Mapping[Bucket, Mapping[str, Tally]]
"""Bucket -> model's name -> tally."""


@dataclass(frozen=True, slots=True)
class Belief:
    """The chance that a model's answer is good: Beta(a, b)."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """Expected chance."""
        return self.a / (self.a + self.b)

    @property
    def interval(self) -> tuple[float, float]:
        """Where it lies with 90 % probability."""
        return quantile(_HALF, self.a, self.b), quantile(1 - _HALF, self.a, self.b)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order to try models in.

    Attributes:
        reason: why it is not config's, or None where it is.
    """

    candidates: tuple[Candidate, ...]
    reason: str | None


def weight_of(age_days: float, decay_days: float) -> float:
    """What a score counts for at this age: a half after `decay_days`."""
    return float(0.5 ** (max(0.0, age_days) / decay_days))


def rank(
    candidates: Sequence[Candidate],
    tallies: Mapping[str, Tally],
    config: AdaptiveConfig,
    draws: Sequence[float] = (),
) -> Ranking:
    """The candidates in the order that feedback suggests.

    A cascade stays what it is, cheapest to strongest: a model is only taken out of its turn there,
    and put behind all others, where it is worth less than the cascade's strongest.

    Args:
        candidates: in config's order.
        tallies: of this kind of prompt, by model.
        draws: random numbers in 0..1, at least one for each candidate; `thompson` uses them.
    """
    listed = tuple(candidates)
    worth = _worth(listed, tallies, config, draws)
    if worth is None:
        return Ranking(listed, None)
    cascade = [i for i, c in enumerate(listed) if c.role is Role.CASCADE]
    others = [i for i, c in enumerate(listed) if c.role is not Role.CASCADE]
    others.sort(key=lambda i: -worth[i])
    kept = cascade
    if cascade:
        held = _held(worth, config)
        kept = [i for i in cascade if held[i] >= held[cascade[-1]]]
    dropped = [i for i in cascade if i not in kept]
    order = [*kept, *others, *dropped]
    if order == list(range(len(listed))):
        return Ranking(listed, None)
    moved = tuple(
        replace(listed[i], role=Role.FALLBACK) if i in dropped else listed[i] for i in order
    )
    return Ranking(moved, _reason(listed, moved, tallies))


def beliefs(
    candidates: Sequence[Candidate], tallies: Mapping[str, Tally], config: AdaptiveConfig
) -> tuple[Belief, ...]:
    """What is believed of each candidate.

    A model of which nothing is known is taken to be about as good as those that were scored, and
    no worse than `_PRIOR_MEAN`: when the only one that was ever asked turns bad, that says nothing
    against the others. Its place sets it off: who wrote the config knew the prices, and says by
    putting a dear model first that its answers are worth them. So the priors are such that config's
    own order is the best one; each is worth `PRIOR_WEIGHT` scores.
    """
    said = [tallies.get(c.target.name, NOTHING) for c in candidates]
    priors = _prior_means(said, _relative_costs(candidates), config.cost_weight)
    return tuple(
        Belief(
            PRIOR_WEIGHT * mean + tally.good,
            PRIOR_WEIGHT * (1 - mean) + tally.weight - tally.good,
        )
        for mean, tally in zip(priors, said, strict=True)
    )


def unplaced(tally: Tally) -> Belief:
    """What is believed of a model that config gives no place: scores alone, from a flat prior."""
    return Belief(1 + tally.good, 1 + tally.weight - tally.good)


def _prior_means(said: Sequence[Tally], costs: Sequence[float], cost_weight: float) -> list[float]:
    steps = [_PRIOR_STEP * (1 - _PRIOR_FADE**n) / (1 - _PRIOR_FADE) for n in range(len(costs))]
    offsets = [cost_weight * cost - step for cost, step in zip(costs, steps, strict=True)]
    weight = sum(tally.weight for tally in said)
    good = sum(tally.good for tally in said)
    # the mean of all scores belongs to the mean of the places that were scored
    usual = sum(tally.weight * offset for tally, offset in zip(said, offsets, strict=True))
    centre = (usual + PRIOR_WEIGHT * offsets[0]) / (weight + PRIOR_WEIGHT)
    mean = max(_PRIOR_MEAN, (good + PRIOR_WEIGHT * _PRIOR_MEAN) / (weight + PRIOR_WEIGHT))
    low, high = _PRIOR_ENDS
    means: list[float] = []
    worth = 2.0
    for offset, cost in zip(offsets, costs, strict=True):
        highest = min(mean + offset - centre, high)
        worth = min(highest - cost_weight * cost, worth - _PRIOR_LEAST)
        means.append(max(worth + cost_weight * cost, low))
    return means


def _relative_costs(candidates: Sequence[Candidate]) -> list[float]:
    """Expected costs, the dearest of them 1; so is one that nobody knows."""
    known = [c.estimate_nanos for c in candidates if c.estimate_nanos is not None]
    most = max(known, default=0)
    return [
        1.0 if c.estimate_nanos is None else c.estimate_nanos / most if most else 0.0
        for c in candidates
    ]


def _worth(
    candidates: Sequence[Candidate],
    tallies: Mapping[str, Tally],
    config: AdaptiveConfig,
    draws: Sequence[float],
) -> Sequence[float] | None:
    """What trying each candidate first is worth; None while too little is known to say."""
    known = [tallies.get(c.target.name, NOTHING) for c in candidates]
    if config.strategy == "thresholds":
        return [_band(tally, config) for tally in known]
    # exploring where nobody says how it went would teach nothing
    if sum(tally.count for tally in known) < config.min_feedback_count:
        return None
    believed = beliefs(candidates, tallies, config)
    if config.strategy == "beta":
        chances = [belief.mean for belief in believed]
    else:
        chances = [quantile(u, x.a, x.b) for u, x in zip(draws, believed, strict=False)]
    costs = _relative_costs(candidates)
    return [chance - config.cost_weight * cost for chance, cost in zip(chances, costs, strict=True)]


def _band(tally: Tally, config: AdaptiveConfig) -> float:
    """-1 for a model that is liked too little, 1 for one that is liked much, 0 for the others."""
    if tally.count < config.min_feedback_count:
        return 0.0
    liked = tally.good / tally.weight
    return float(liked > config.boost_threshold) - float(liked < config.penalty_threshold)


def _held(worth: Sequence[float], config: AdaptiveConfig) -> Sequence[float]:
    """Worth inside a cascade: that its strongest model is liked is no reason to skip the others."""
    return [min(w, 0.0) for w in worth] if config.strategy == "thresholds" else worth


def _reason(
    before: Sequence[Candidate], after: Sequence[Candidate], tallies: Mapping[str, Tally]
) -> str:
    old, new = before[0].target.name, after[0].target.name
    if old == new:
        return f"feedback: {', then '.join(c.target.name for c in after)}"
    return f"feedback: {_said(new, tallies)} goes before {_said(old, tallies)}"


def _said(name: str, tallies: Mapping[str, Tally]) -> str:
    tally = tallies.get(name, NOTHING)
    if not tally.count:
        return f"{name} (no scores yet)"
    liked = tally.good / tally.weight if tally.weight else 0.0
    return f"{name} ({liked:.0%} good of {tally.count})"
