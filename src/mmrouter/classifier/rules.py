"""The rules: a request's cues, each with a weight for every label, added up.

No dependency, no I/O after the first call. The cues are written by hand (`cues`, lexicon.txt);
their weights are fitted by `training/rules.py` and are plain numbers in `rules_data/`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from operator import mul
from struct import Struct

from mmrouter.classifier.cues import Reader
from mmrouter.classifier.text import Judged
from mmrouter.types import Category, Classification, Complexity

COMPLEXITIES = tuple(Complexity)
CATEGORIES = tuple(Category)
_LABELS = len(COMPLEXITIES) + len(CATEGORIES)
_ROW = Struct(f"<{_LABELS + 1}h")
_LANES = Struct(f"<{_LABELS + 1}I")
_LOWEST = 2**15
"""Added to every number of a row, so that none is negative in its lane."""
_DIFFICULTY = (0.08, 0.45, 0.88)
"""Rough chance that a weak model fails, by complexity."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What training/rules.py wrote.

    Attributes:
        places: cue -> its row; "k:bias", which every request has, is among them.
        rows: int16[len(places), labels + 1]; the last number of a row is its share in the norm.
        step: what a weight of 1 in `rows` is worth.
        norm_step: the same for the norm.
        temperature: divides the scores of complexity and of category.
        slope, offset: log-odds that both labels are right = slope · log-odds of the two
            probabilities' product + offset.
    """

    places: dict[str, int]
    rows: bytes
    step: float
    norm_step: float
    temperature: tuple[float, float]
    slope: float
    offset: float
    read: Reader[int] = field(init=False, compare=False)
    """A request to the rows of its cues."""
    lanes: Callable[[int], int] = field(init=False, compare=False)
    """A row as one integer of a lane of 32 bits for each of its numbers: rows are then summed by
    one addition each, which takes a fifth of the time. The last few thousand are remembered."""

    def __post_init__(self) -> None:
        rows = self.rows

        def lanes_of(place: int) -> int:
            numbers = _ROW.unpack_from(rows, _ROW.size * place)
            return int.from_bytes(_LANES.pack(*(n + _LOWEST for n in numbers)), "little")

        object.__setattr__(self, "read", Reader(self.places.get, pieces=self.places))
        object.__setattr__(self, "lanes", lru_cache(maxsize=8192)(lanes_of))


@lru_cache(maxsize=1)
def shipped() -> Weights:
    """The weights in the package."""
    folder = files(__package__).joinpath("rules_data")
    names = folder.joinpath("cues.txt").read_text("utf-8").split("\n")
    numbers = json.loads(folder.joinpath("fit.json").read_text("utf-8"))
    return Weights(
        places=dict(zip(names, range(len(names)), strict=True)),
        rows=folder.joinpath("weights.bin").read_bytes(),
        step=numbers["step"],
        norm_step=numbers["norm_step"],
        temperature=(numbers["temperature"][0], numbers["temperature"][1]),
        slope=numbers["slope"],
        offset=numbers["offset"],
    )


class RulesClassifier:
    """See `classifier.base.Classifier`. The shipped weights are read by the first call."""

    name = "rules"

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights

    def classify(self, judged: Judged) -> Classification:
        weights = self._weights or shipped()
        scores = score(weights, judged)
        complexity = _softmax(scores[: len(COMPLEXITIES)], weights.temperature[0])
        category = _softmax(scores[len(COMPLEXITIES) :], weights.temperature[1])
        level = max(range(len(complexity)), key=complexity.__getitem__)
        kind = max(range(len(category)), key=category.__getitem__)
        return Classification(
            complexity=COMPLEXITIES[level],
            category=CATEGORIES[kind],
            confidence=_confidence(weights, complexity[level] * category[kind]),
            difficulty=sum(map(mul, complexity, _DIFFICULTY)),
            strategy=self.name,
        )

    def begin(self, judged: Judged) -> Classification:
        return self.classify(judged)


def score(weights: Weights, judged: Judged) -> Sequence[float]:
    """A score for every complexity and category, in the order of their enums."""
    found = weights.read(judged)
    lanes = sum(map(weights.lanes, found)).to_bytes(_LANES.size, "little")
    lowest = _LOWEST * len(found)
    *scores, share = [lane - lowest for lane in _LANES.unpack(lanes)]
    norm = weights.step / math.sqrt(max(share * weights.norm_step, 1.0))
    return [total * norm for total in scores]


def _softmax(scores: Sequence[float], temperature: float) -> list[float]:
    top = max(scores)
    powers = [math.exp((score - top) / temperature) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def _confidence(weights: Weights, both: float) -> float:
    """The calibrated probability that both labels are right."""
    both = min(max(both, 1e-6), 1 - 1e-6)
    odds = weights.slope * math.log(both / (1 - both)) + weights.offset
    return 1 / (1 + math.exp(-odds))
