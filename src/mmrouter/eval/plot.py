"""Pictures of a classifier's score."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from mmrouter.errors import MissingDependencyError
from mmrouter.eval.accuracy import Accuracy, bucket
from mmrouter.types import Category, Complexity


def draw(found: Accuracy, path: Path) -> None:
    """Writes the confusion of buckets and the calibration to an image; its ending says which kind.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError("matplotlib", 'pip install "mmrouter[plot]"') from None
    names = [bucket(level, kind) for level, kind in product(Complexity, Category)]
    figure = Figure(figsize=(13, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    counts = [[found.confusion.get((row, said), 0) for said in names] for row in names]
    left.imshow(counts, cmap="Blues")
    for (y, row), x in product(enumerate(counts), range(len(names))):
        if row[x]:
            left.text(x, y, str(row[x]), ha="center", va="center", fontsize=7)
    left.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    left.set_yticks(range(len(names)), names, fontsize=8)
    left.set(
        xlabel="said", ylabel="labelled", title=f"{found.classifier}: {found.overall.both:.1%}"
    )
    right.plot([0, 1], [0, 1], color="grey", linestyle="--")
    bins = [b for b in found.calibration if b.rows]
    right.plot([b.confidence for b in bins], [b.right for b in bins], marker="o")
    right.set(xlabel="confidence", ylabel="share right", title=f"calibration error {found.ece:.3f}")
    figure.savefig(path, dpi=120)
