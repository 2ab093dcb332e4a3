"""How often a classifier is right, where it is wrong, and whether it knows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mmrouter.classifier.base import Labeller
from mmrouter.eval.dataset import Row
from mmrouter.types import Category, Classification, Complexity

BANDS = ((9, "up to 9 words"), (30, "10 to 30 words"), (math.inf, "over 30 words"))
"""Length bands of the judged text: most words, name."""
BINS = 10
"""Of confidence, for the calibration error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A row and what the classifier said of it."""

    row: Row
    text: str
    said: Classification

    @property
    def right(self) -> bool:
        """Both labels are."""
        return self.level_right and self.category_right

    @property
    def level_right(self) -> bool:
        return self.said.complexity is self.row.complexity

    @property
    def category_right(self) -> bool:
        return self.said.category is self.row.category

    @property
    def far(self) -> bool:
        """Simple for complex, or complex for simple."""
        return {self.said.complexity, self.row.complexity} == {
            Complexity.SIMPLE,
            Complexity.COMPLEX,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Shares in 0..1 of some rows.

    Attributes:
        both: both labels are right; `low` and `high` bound it with 95 % confidence (Wilson).
        far: simple for complex or complex for simple.
    """

    rows: int
    both: float
    low: float
    high: float
    complexity: float
    category: float
    far: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows of like confidence: how sure the classifier was, and how often right."""

    rows: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """A classifier's score on labelled rows.

    Attributes:
        by_bucket: "complexity/category" (as labelled) -> score.
        by_kind, by_band, by_language: the same, by register, by length and by language.
        confusion: (labelled bucket, said bucket) -> rows.
        calibration: bins of confidence, ascending; `ece` is their expected calibration error.
        mistakes: the verdicts that are wrong, the surest first.
    """

    classifier: str
    overall: Score
    by_bucket: dict[str, Score]
    by_kind: dict[str, Score]
    by_band: dict[str, Score]
    by_language: dict[str, Score]
    confusion: dict[tuple[str, str], int]
    calibration: tuple[Bin, ...]
    ece: float
    mistakes: tuple[Verdict, ...]

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "classifier": self.classifier,
            "overall": asdict(self.overall),
            **{
                name: {key: asdict(score) for key, score in getattr(self, name).items()}
                for name in ("by_bucket", "by_kind", "by_band", "by_language")
            },
            "confusion": [
                {"labelled": labelled, "said": said, "rows": rows}
                for (labelled, said), rows in sorted(self.confusion.items())
            ],
            "calibration": [asdict(bin_) for bin_ in self.calibration],
            "ece": self.ece,
            "mistakes": [
                {
                    "id": verdict.row.id,
                    "text": verdict.text,
                    "labelled": bucket(verdict.row.complexity, verdict.row.category),
                    "said": bucket(verdict.said.complexity, verdict.said.category),
                    "confidence": verdict.said.confidence,
                    "far": verdict.far,
                }
                for verdict in self.mistakes
            ],
        }


def bucket(complexity: Complexity, category: Category) -> str:
    """The name of one of the twelve buckets."""
    return f"{complexity}/{category}"


def verdicts(classifier: Labeller, rows: Iterable[Row]) -> list[Verdict]:
    """What a local classifier says of each row."""
    said = []
    for row in rows:
        judged = row.judged
        said.append(Verdict(row=row, text=judged.text, said=classifier.classify(judged)))
    return said


def evaluate(classifier: Labeller, rows: Iterable[Row]) -> Accuracy:
    """A local classifier's score on some rows. Raises ValueError where there is no row."""
    return summarise(classifier.name, verdicts(classifier, rows))


def summarise(name: str, said: Sequence[Verdict]) -> Accuracy:
    """The score of verdicts. Raises ValueError where there is none."""
    if not said:
        raise ValueError("there is no row to evaluate on")
    bins = _bins(said)
    return Accuracy(
        classifier=name,
        overall=_score(said),
        by_bucket=_scores(said, lambda v: bucket(v.row.complexity, v.row.category)),
        by_kind=_scores(said, lambda v: v.row.kind),
        by_band=_scores(said, lambda v: _band(v.text)),
        by_language=_scores(said, lambda v: v.row.lang),
        confusion=dict(
            Counter(
                (
                    bucket(v.row.complexity, v.row.category),
                    bucket(v.said.complexity, v.said.category),
                )
                for v in said
            )
        ),
        calibration=bins,
        ece=sum(b.rows * abs(b.confidence - b.right) for b in bins) / len(said),
        mistakes=tuple(sorted((v for v in said if not v.right), key=lambda v: -v.said.confidence)),
    )


def _band(text: str) -> str:
    words = len(text.split())
    return next(name for most, name in BANDS if words <= most)


def _scores(said: Sequence[Verdict], key: Callable[[Verdict], str]) -> dict[str, Score]:
    groups: dict[str, list[Verdict]] = {}
    for verdict in said:
        groups.setdefault(key(verdict), []).append(verdict)
    return {name: _score(group) for name, group in sorted(groups.items())}


def _score(said: Sequence[Verdict]) -> Score:
    right = sum(v.right for v in said)
    low, high = wilson(right, len(said))
    return Score(
        rows=len(said),
        both=right / len(said),
        low=low,
        high=high,
        complexity=sum(v.level_right for v in said) / len(said),
        category=sum(v.category_right for v in said) / len(said),
        far=sum(v.far for v in said) / len(said),
    )


def wilson(successes: float, trials: float, z: float = 1.96) -> tuple[float, float]:
    """The bounds of a share (Wilson 1927), 95 % confidence by default; (0, 1) of no trial."""
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _bins(said: Sequence[Verdict]) -> tuple[Bin, ...]:
    groups: dict[int, list[Verdict]] = {}
    for verdict in said:
        groups.setdefault(min(int(verdict.said.confidence * BINS), BINS - 1), []).append(verdict)
    return tuple(
        Bin(
            rows=len(group),
            confidence=sum(v.said.confidence for v in group) / len(group),
            right=sum(v.right for v in group) / len(group),
        )
        for _, group in sorted(groups.items())
    )
