"""Classifiers side by side: how right, how sure, how fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mmrouter.classifier.base import Labeller
from mmrouter.eval.accuracy import Accuracy, Verdict, summarise
from mmrouter.eval.dataset import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of one call on one thread, judging included, in microseconds.

    Attributes:
        p50, p99: percentiles; each with the bounds of its 95 % confidence interval (from the
            order statistics of a binomial, so nothing is assumed of the distribution).
    """

    calls: int
    p50: float
    p50_low: float
    p50_high: float
    p99: float
    p99_low: float
    p99_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One classifier of a comparison."""

    accuracy: Accuracy
    latency: Latency

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {**self.accuracy.data(), "latency_us": asdict(self.latency)}


def compare(
    classifiers: Iterable[Labeller],
    rows: Sequence[Row],
    *,
    rounds: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Compared]:
    """Every classifier on the same rows; each row is timed `rounds` times, after one warm-up.

    Raises ValueError where there is no row.
    """
    return [_measured(classifier, rows, rounds, clock) for classifier in classifiers]


def _measured(
    classifier: Labeller, rows: Sequence[Row], rounds: int, clock: Callable[[], float]
) -> Compared:
    said = []
    for row in rows:
        judged = row.judged
        said.append(Verdict(row=row, text=judged.text, said=classifier.classify(judged)))
    took = []
    for _ in range(rounds):
        for row in rows:
            start = clock()
            classifier.classify(row.judged)
            took.append((clock() - start) * 1e6)
    return Compared(accuracy=summarise(classifier.name, said), latency=latency(took))


def latency(microseconds: Sequence[float]) -> Latency:
    """Percentiles of some calls. Raises ValueError where there is none."""
    if not microseconds:
        raise ValueError("no call was timed")
    ordered = sorted(microseconds)
    p50, p50_low, p50_high = _percentile(ordered, 0.50)
    p99, p99_low, p99_high = _percentile(ordered, 0.99)
    return Latency(
        calls=len(ordered),
        p50=p50,
        p50_low=p50_low,
        p50_high=p50_high,
        p99=p99,
        p99_low=p99_low,
        p99_high=p99_high,
    )


def _percentile(ordered: Sequence[float], share: float) -> tuple[float, float, float]:
    """The value at a share of an ordered sample, and the bounds of its 95 % interval."""
    count = len(ordered)
    spread = 1.96 * (count * share * (1 - share)) ** 0.5
    places = (count * share, count * share - spread, count * share + spread)
    value, low, high = (ordered[min(max(int(place), 0), count - 1)] for place in places)
    return value, low, high
