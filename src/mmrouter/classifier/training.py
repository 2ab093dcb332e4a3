"""Training on a user's own examples: in seconds, and the same for the same seed.

The shipped network stays as it is. "heads" learns a correction of its scores, so that a few
examples move it a little and many a lot; "knn" keeps the examples and lets the nearest vote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier import features, trained
from mmrouter.classifier.embeddings import (
    SHIPPED,
    UNSURE,
    can_look_again,
    shipped_encoder,
    shipped_look,
    shipped_network,
)
from mmrouter.classifier.examples import Example
from mmrouter.classifier.heads import CATEGORIES, COMPLEXITIES, LABELS, Calibration, Vector
from mmrouter.classifier.knn import Neighbours, unit
from mmrouter.classifier.trained import Method, Trained, TunedHeads, TunedNeighbours
from mmrouter.errors import ConfigError

Progress = Callable[[float], None]
"""Told the share of the work that is done, rising to 1."""

_FOLDS = 5
_STEPS = 300
_RATE = 0.05
_PENALTIES = (0.3, 1.0, 3.0, 10.0)
_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What training did.

    Attributes:
        fitted, held_out: numbers of examples.
        accuracy: share of held-out examples with both labels right; None where none was held out.
        before: the same for the shipped network.
        folder: where the model is.
    """

    method: Method
    fitted: int
    held_out: int
    accuracy: float | None
    before: float | None
    folder: Path


@dataclass(frozen=True, slots=True)
class _Set:
    """Examples as the shipped network sees them."""

    hidden: Vector
    scores: Vector
    levels: NDArray[np.int64]
    kinds: NDArray[np.int64]

    def take(self, places: NDArray[np.int64]) -> _Set:
        return _Set(
            self.hidden[places], self.scores[places], self.levels[places], self.kinds[places]
        )

    def __len__(self) -> int:
        return len(self.levels)


def train(
    examples: Sequence[Example],
    output: Path,
    *,
    method: Method = "heads",
    eval_split: float = 0.2,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Trains on examples, measures on a held-out part of them, and writes a folder.

    The held-out part is drawn by the seed; the saved model has not seen it. Raises ConfigError
    where too few examples are left to learn from.
    """
    if not 0 <= eval_split < 1:
        raise ConfigError(f"eval split must be in 0..1 (1 excluded), not {eval_split}")
    order = np.random.default_rng(seed).permutation(len(examples))
    held = round(len(examples) * eval_split)
    if len(examples) - held < _LEAST:
        raise ConfigError(f"{len(examples)} examples are too few to train on and hold some out")
    tell = progress or (lambda _: None)
    every = _seen(examples, method, lambda share: tell(0.5 * share))
    test, rest = every.take(order[:held]), every.take(order[held:])
    model: Trained
    if method == "knn":
        model = TunedNeighbours(Neighbours(unit(rest.hidden), rest.levels, rest.kinds))
    else:
        model = _fit_heads(rest, seed, lambda share: tell(0.5 + 0.5 * share))
    report = Report(
        method=method,
        fitted=len(rest),
        held_out=held,
        accuracy=_accuracy(model, test) if held else None,
        before=_accuracy(_unchanged(), test) if held else None,
        folder=output,
    )
    trained.save(model, output, _facts(report, seed), SHIPPED)
    tell(1.0)
    return report


def _facts(report: Report, seed: int) -> dict[str, Any]:
    return {
        "fitted": report.fitted,
        "held_out": report.held_out,
        "accuracy": report.accuracy,
        "before": report.before,
        "seed": seed,
    }


def _seen(examples: Sequence[Example], method: Method, progress: Progress) -> _Set:
    again = method == "heads" and can_look_again()
    network, encoder = shipped_network(), shipped_encoder()
    hidden, scores = [], []
    for number, example in enumerate(examples, 1):
        read = features.of(example.judged, encoder)
        hidden.append(network.embed(read))
        seen = network.scores(hidden[-1], read.cues)
        if again and network.calibration.verdict(seen).confidence < UNSURE:
            seen = shipped_look().scores(read.subwords, seen)
        scores.append(seen)
        if number % 50 == 0 or number == len(examples):
            progress(number / len(examples))
    return _Set(
        np.stack(hidden),
        np.stack(scores),
        np.array([COMPLEXITIES.index(example.complexity) for example in examples]),
        np.array([CATEGORIES.index(example.category) for example in examples]),
    )


def _unchanged() -> TunedHeads:
    size = len(shipped_network().out) + LABELS + 1
    return TunedHeads(np.zeros((size, LABELS), np.float32), shipped_network().calibration)


def _fit_heads(rows: _Set, seed: int, progress: Progress) -> TunedHeads:
    """The correction whose penalty does best in cross-validation, calibrated by what that saw."""
    folds = np.random.default_rng(seed).permutation(len(rows)) % min(_FOLDS, len(rows))
    places = np.arange(len(rows))
    best: tuple[float, float, Vector] | None = None
    for number, penalty in enumerate(_PENALTIES, 1):
        unseen = np.zeros((len(rows), LABELS), np.float32)
        for fold in range(int(folds.max()) + 1):
            out, kept = places[folds == fold], places[folds != fold]
            part = rows.take(out)
            weights = _correction(rows.take(kept), penalty)
            unseen[out] = part.scores + trained.inputs(part.hidden, part.scores) @ weights
        loss = _loss(unseen, rows)
        if best is None or loss < best[0]:
            best = (loss, penalty, unseen)
        progress(number / (len(_PENALTIES) + 1))
    assert best is not None  # noqa: S101  (there are penalties)
    calibration = _calibrated(best[2], rows)
    return TunedHeads(_correction(rows, best[1]), calibration)


def _correction(rows: _Set, penalty: float) -> Vector:
    """Penalised maximum likelihood by gradient steps with momentum, from no correction at all."""
    x = trained.inputs(rows.hidden, rows.scores)
    goals = _goals(rows)
    weights = np.zeros((x.shape[1], LABELS), np.float32)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    cut = len(COMPLEXITIES)
    for step in range(1, _STEPS + 1):
        scores = rows.scores + x @ weights
        chances = np.concatenate((_softmax(scores[:, :cut]), _softmax(scores[:, cut:])), 1)
        slope = x.T @ (chances - goals) + penalty * weights
        first += 0.1 * (slope - first)
        second += 0.01 * (slope**2 - second)
        size = _RATE * (1 - (step - 1) / _STEPS)
        weights -= size * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-6)
    return weights


def _goals(rows: _Set) -> Vector:
    goals = np.zeros((len(rows), LABELS), np.float32)
    goals[np.arange(len(rows)), rows.levels] = 1
    goals[np.arange(len(rows)), len(COMPLEXITIES) + rows.kinds] = 1
    return goals


def _softmax(scores: Vector) -> Vector:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    chances: Vector = powers / powers.sum(1, keepdims=True)
    return chances


def _loss(scores: Vector, rows: _Set, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of both labels."""
    cut = len(COMPLEXITIES)
    places = np.arange(len(rows))
    levels = _softmax(scores[:, :cut] / temperature)[places, rows.levels]
    kinds = _softmax(scores[:, cut:] / temperature)[places, rows.kinds]
    return float(-np.log(np.maximum(levels * kinds, 1e-9)).mean())


def _calibrated(scores: Vector, rows: _Set) -> Calibration:
    """One temperature for both heads, the likeliest on a grid."""
    grid = [0.5 * 1.1**i for i in range(24)]
    best = min(grid, key=lambda temperature: _loss(scores, rows, temperature))
    return Calibration((best, best))


def _accuracy(model: Trained, rows: _Set) -> float:
    right = 0
    for hidden, scores, level, kind in zip(
        rows.hidden, rows.scores, rows.levels, rows.kinds, strict=True
    ):
        right += model.verdict(hidden, scores).labels == (COMPLEXITIES[level], CATEGORIES[kind])
    return right / len(rows)
