"""What each strategy of adaptive routing loses until it has learnt: a simulation.

`python benchmarks/adaptive.py [--seeds 40] [--plot docs/img/adaptive-regret.png]`

The decisions are `decide.feedback.rank`, as the router makes them, scores fading with age and known
to it only after a while. The people are simulated: every answer is good with the chance that the
world gives to its model, and every tenth request is scored, 1 or 0. Regret is what always asking
the best model would have been worth more: chance of a good answer, less `cost_weight` times the
relative cost. The worlds were chosen before any strategy was run in them.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from mmrouter.config.schema import AdaptiveConfig
from mmrouter.decide.feedback import FORGOTTEN, Tally, rank, weight_of
from mmrouter.types import Candidate, Role, Target

DAYS = 60
A_DAY = 100
REQUESTS = DAYS * A_DAY
SCORED = 0.1
SEEN_AFTER = 20
"""Requests between two readings of the books."""

COSTS = {"mid": 5, "big": 25, "small": 1}
"""In config's order: the route's model, then its fallbacks."""

STRATEGIES = ("config", "thresholds", "beta", "thompson")
CONFIGS = {
    name: AdaptiveConfig.model_validate({"enabled": True, "strategy": name})
    for name in STRATEGIES[1:]
}
COST_WEIGHT = CONFIGS["beta"].cost_weight
CANDIDATES = tuple(
    Candidate(
        target=Target(name=name, provider=name, kind="openai", upstream=name),
        role=Role.ROUTE if name == "mid" else Role.FALLBACK,
        estimate_nanos=cost,
    )
    for name, cost in COSTS.items()
)


@dataclass(frozen=True)
class World:
    """Chances of a good answer by model; `later` from the half of the time on."""

    title: str
    chances: dict[str, float] | None
    later: dict[str, float] | None = None

    def at(self, day: int, rng: random.Random) -> dict[str, float]:
        """Chances on a day; `rng` is the same for the whole run."""
        if self.chances is None:
            return {name: rng.uniform(0.3, 0.95) for name in COSTS}
        return self.later if self.later and day >= DAYS // 2 else self.chances


WORLDS = (
    World("config is right", {"mid": 0.85, "big": 0.88, "small": 0.60}),
    World("the cheap one would do", {"mid": 0.80, "big": 0.85, "small": 0.82}),
    World("the first is bad", {"mid": 0.35, "big": 0.85, "small": 0.55}),
    World(
        "the first gets worse",
        {"mid": 0.85, "big": 0.88, "small": 0.60},
        {"mid": 0.45, "big": 0.88, "small": 0.60},
    ),
    World("any (drawn from 0.3 to 0.95)", None),
)


@dataclass
class Told:
    """Scores of one model by day."""

    count: list[int]
    good: list[int]

    def tally(self, today: int, decay_days: int) -> Tally:
        first = max(0, today - int(FORGOTTEN * decay_days))
        days = range(first, today + 1)
        weights = [weight_of(today - day, decay_days) for day in days]
        return Tally(
            sum(self.count[day] for day in days),
            sum(w * self.count[day] for w, day in zip(weights, days, strict=True)),
            sum(w * self.good[day] for w, day in zip(weights, days, strict=True)),
            0.0,
        )


@dataclass
class Run:
    """One seed of one strategy in one world: cumulative regret, and what was got for what."""

    regret: list[float]
    good: float
    cost: float


def simulate(world: World, strategy: str, seed: int) -> Run:
    """The same world, people and random numbers for every strategy of a seed."""
    rng, drawn = random.Random(f"{world.title} {seed}"), random.Random(f"draws {seed}")
    told = {name: Told([0] * DAYS, [0] * DAYS) for name in COSTS}
    tallies: dict[str, Tally] = {}
    regret, total, good, cost = [], 0.0, 0.0, 0.0
    chances = world.at(0, rng)
    first = CANDIDATES[0].target.name
    for number in range(REQUESTS):
        day = number // A_DAY
        if world.later:
            chances = world.at(day, rng)
        fresh = number % SEEN_AFTER == 0
        if strategy != "config":
            config = CONFIGS[strategy]
            if fresh:
                tallies = {n: t.tally(day, config.decay_days) for n, t in told.items()}
            if fresh or strategy == "thompson":
                draws = [drawn.random() for _ in COSTS]
                first = rank(CANDIDATES, tallies, config, draws).candidates[0].target.name
        worth = {n: chances[n] - COST_WEIGHT * COSTS[n] / max(COSTS.values()) for n in COSTS}
        total += max(worth.values()) - worth[first]
        regret.append(total)
        good += chances[first]
        cost += COSTS[first]
        # the person's mind is made up before the router's is: equal for all strategies
        speaks, mood = rng.random() < SCORED, rng.random()
        if speaks:
            told[first].count[day] += 1
            told[first].good[day] += mood < chances[first]
    return Run(regret, good / REQUESTS, cost / REQUESTS)


def deciding_us(strategy: str) -> float:
    """CPU time of one ranking of three models, in microseconds."""
    told, draws, times = Tally(50, 40.0, 30.0, 0.0), [0.2, 0.5, 0.8], 2_000
    began = time.process_time()
    for _ in range(times):
        rank(CANDIDATES, dict.fromkeys(COSTS, told), CONFIGS[strategy], draws)
    return (time.process_time() - began) / times * 1e6


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval of the mean over seeds."""
    reach = 1.96 * stdev(values) / math.sqrt(len(values))
    return f"{fmean(values):.0f} ± {reach:.0f}"


def plot(found: dict[tuple[str, str], list[Run]], path: Path) -> None:
    """Regret curves: mean over seeds, and its 95 % interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.6), layout="constrained")
    places = range(0, REQUESTS, REQUESTS // 200)
    for axes, world in zip(figure.subplots(1, len(WORLDS)), WORLDS, strict=True):
        for strategy in STRATEGIES:
            runs = found[world.title, strategy]
            columns = [[run.regret[place] for run in runs] for place in places]
            means = [fmean(column) for column in columns]
            reach = [1.96 * stdev(column) / math.sqrt(len(column)) for column in columns]
            axes.plot(places, means, label=strategy)
            axes.fill_between(
                places,
                [m - r for m, r in zip(means, reach, strict=True)],
                [m + r for m, r in zip(means, reach, strict=True)],
                alpha=0.2,
            )
        axes.set(title=world.title, xlabel="requests")
    figure.axes[0].set_ylabel("regret (good answers' worth)")
    figure.axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Prints a table, and draws it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--plot", type=Path)
    chosen = parser.parse_args()
    began = time.process_time()
    found = {
        (world.title, strategy): [simulate(world, strategy, s) for s in range(chosen.seeds)]
        for world in WORLDS
        for strategy in STRATEGIES
    }
    print(f"{chosen.seeds} seeds of {REQUESTS} requests; mean ± 95 % interval of the mean")
    print("| world | strategy | regret | good answers | cost |\n|---|---|---|---|---|")
    for (world, strategy), runs in found.items():
        regret = interval([run.regret[-1] for run in runs])
        good, cost = fmean(run.good for run in runs), fmean(run.cost for run in runs)
        print(f"| {world} | {strategy} | {regret} | {good:.1%} | {cost:.1f} |")
    print(f"{time.process_time() - began:.0f} s of one core")
    for strategy in CONFIGS:
        print(f"one decision by {strategy}: {deciding_us(strategy):.0f} µs")
    if chosen.plot:
        plot(found, chosen.plot)


if __name__ == "__main__":
    main()
