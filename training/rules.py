"""Fits the weights of the rules classifier and writes src/mmrouter/classifier/rules_data/.

    python training/rules.py --vectors /tmp/base.npz            # all but the held-out a4 and a10
    python training/rules.py --vectors /tmp/base.npz --check    # without a5.jsonl, scored on it

Needs scikit-learn beside mmrouter, and the vectors that training/encoder.py writes. Two logistic
regressions over the cues (see `mmrouter.classifier.cues`) and over the sum of the words' static
vectors; the second part is folded into one weight for each subword piece, so that inference is a
sum of plain numbers and words that no row has count by what they mean. Deterministic: the same rows
and vectors give the same files.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from mmrouter.classifier.cues import cues, pieces
from mmrouter.classifier.rules import CATEGORIES, COMPLEXITIES, RulesClassifier, Weights, score
from mmrouter.eval.accuracy import Accuracy, evaluate
from mmrouter.eval.dataset import Row, read_rows

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src" / "mmrouter" / "classifier"
FIT = (
    "a1", "a2", "a3", "a6", "a7", "a8", "a9", "a11", "a12", "a13", "a14", "a15", "a16", "a17",
    "a19", "a21", "a22", "a23",
)  # fmt: skip
DEV = "a5"

SCALE = {"c": 2.0, "p": 0.7, "b": 0.8, "g": 0.7}
"""How freely a kind of cue may weigh; 1 for the others."""
VECTORS = 0.25
"""The same for the words' vectors."""
LEAST_ROWS = 2
C = 10.0
RARITY = 1e-3
"""Pieces more frequent than this weigh less (Arora et al. 2017)."""
STEP = 1 / 256
NORM_STEP = 1 / 100

SHORT = {
    "you": "u", "are": "r", "please": "pls", "because": "cuz", "and": "n", "about": "abt",
    "for": "4", "to": "2", "with": "w", "what": "wat", "your": "ur", "people": "ppl",
    "something": "smth", "the": "teh", "have": "hav", "would": "wud", "should": "shud",
}  # fmt: skip


def mistyped(text: str, rng: random.Random) -> str:
    """The text as typed in a hurry."""
    words = []
    for word in text.split(" "):
        if word.lower() in SHORT and rng.random() < 0.5:
            word = SHORT[word.lower()]
        elif len(word) > 4 and word.isalpha() and rng.random() < 0.08:
            i = rng.randrange(1, len(word) - 1)
            head, a, b, tail = word[:i], word[i], word[i + 1], word[i + 2 :]
            word = head + rng.choice([b + a, b, a + a + b, a]) + tail
        words.append(word)
    text = " ".join(words)
    case = rng.random()
    text = text.lower() if case < 0.6 else text.upper() if case < 0.75 else text
    return re.sub(r"[.,;:'’!]", "", text) if rng.random() < 0.6 else text


POLITE = (
    "Hey, hope all is good. ", "Hi team, quick one from me: ", "Hello! I was wondering. ",
    "Please could somebody look into this for me. ", "Good day to you, here's my request. ",
    "Sorry for the bother! ", "If it isn't too much trouble, ", "I'd love some help here: ",
    "Would you be so kind as to do this for me? ", "No rush, but I need this. ",
)  # fmt: skip


def polite(text: str, rng: random.Random) -> str:
    """The text with a courtesy before it."""
    return rng.choice(POLITE) + text


class Vectors:
    """The vectors of subword pieces that `encoder.py` wrote, rare pieces weighing more."""

    def __init__(self, path: Path) -> None:
        file = np.load(path)
        rows = file["vectors"].astype(np.float32)
        rows *= (RARITY / (RARITY + np.exp(file["scores"].astype(np.float32))))[:, None]
        self.rows = rows / np.sqrt((rows**2).sum(1).mean())
        self.places = {f"v:{piece}": place for place, piece in enumerate(file["pieces"].tolist())}

    def of(self, names: set[str]) -> set[int]:
        """The rows of a request's words."""
        found: set[int] = set()
        for name in names:
            if name[0] == "w":
                found.update(self.places[piece] for piece in pieces(name[2:], self.places))
            elif name[0] == "g" and len(name) > 3 and f"v:{name[2:]}" in self.places:
                found.add(self.places[f"v:{name[2:]}"])
        return found


def matrix(
    named: list[set[str]], vocabulary: dict[str, int], vectors: Vectors, scale: np.ndarray
) -> csr_matrix:
    """A row for each request, of length 1 in its cues: cues, then the sum of its vectors."""
    data, columns, starts = [], [], [0]
    dense = np.zeros((len(named), vectors.rows.shape[1]), np.float32)
    for index, names in enumerate(named):
        known = sorted(vocabulary[name] for name in names if name in vocabulary)
        values = scale[known]
        norm = max(float((values**2).sum()), 1.0) ** -0.5
        data.append(values * norm)
        columns.append(known)
        starts.append(starts[-1] + len(known))
        places = vectors.of(names)
        if places:
            dense[index] = vectors.rows[sorted(places)].sum(0) * norm * VECTORS
    sparse = csr_matrix(
        (np.concatenate(data), np.concatenate(columns), starts),
        shape=(len(named), len(vocabulary)),
    )
    return hstack([sparse, csr_matrix(dense)]).tocsr()


def fit(rows: list[Row], vectors: Vectors) -> Weights:
    """The weights, not yet calibrated."""
    rng = random.Random(7)
    judged = [(row, row.judged) for row in rows]
    copies = [
        (row, replace(text, text=change(text.text, rng)))
        for row, text in judged
        if row.lang == "en" and not text.follow_up
        for change in (mistyped, polite)
    ]
    strength = np.array([1.0] * len(judged) + [0.4] * len(copies))
    judged += copies
    named = [cues(text) for _, text in judged]
    counts = Counter(name for names in named[: len(rows)] for name in names)
    kept = sorted(name for name, count in counts.items() if count >= LEAST_ROWS)
    vocabulary = {name: place for place, name in enumerate(kept)}
    scale = np.array([SCALE.get(name[0], 1.0) for name in kept])
    x = matrix(named, vocabulary, vectors, scale)
    parts = []
    for labels, key in ((COMPLEXITIES, "complexity"), (CATEGORIES, "category")):
        y = [labels.index(getattr(row, key)) for row, _ in judged]
        model = LogisticRegression(C=C, max_iter=1_000, tol=1e-4, fit_intercept=False)
        parts.append(model.fit(x, y, sample_weight=strength).coef_)
    coefficients = np.concatenate(parts).T  # columns of x, labels
    by_cue = coefficients[: len(kept)] * scale[:, None]
    by_piece = vectors.rows @ coefficients[len(kept) :] * VECTORS
    names = kept + sorted(vectors.places, key=lambda name: vectors.places[name])
    table = np.concatenate([by_cue, by_piece])
    shares = np.concatenate([scale**2, np.zeros(len(vectors.places))])[:, None]
    table = np.concatenate([np.rint(table / STEP), np.rint(shares / NORM_STEP)], axis=1)
    return Weights(
        places={name: place for place, name in enumerate(names)},
        rows=np.clip(table, -32767, 32767).astype("<i2").tobytes(),
        step=STEP,
        norm_step=NORM_STEP,
        temperature=(1.0, 1.0),
        slope=1.0,
        offset=0.0,
    )


def calibrate(weights: Weights, rows: list[Row]) -> Weights:
    """Temperatures and the confidence's line that make unseen rows likeliest."""
    scores = np.array([score(weights, row.judged) for row in rows])
    sides = (
        (scores[:, : len(COMPLEXITIES)], [COMPLEXITIES.index(row.complexity) for row in rows]),
        (scores[:, len(COMPLEXITIES) :], [CATEGORIES.index(row.category) for row in rows]),
    )
    temperature = []
    both = np.ones(len(rows))
    right = np.ones(len(rows), bool)
    for side, labels in sides:
        grid = np.exp(np.linspace(-1.5, 1.0, 126))
        losses = [-np.log(_softmax(side / t)[np.arange(len(rows)), labels]).mean() for t in grid]
        temperature.append(float(grid[int(np.argmin(losses))]))
        probabilities = _softmax(side / temperature[-1])
        both *= probabilities.max(1)
        right &= probabilities.argmax(1) == labels
    odds = np.log(both / (1 - both))

    def loss(line: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-(line[0] * odds + line[1])))
        return float(-(np.where(right, np.log(p), np.log(1 - p))).mean())

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return replace(
        weights,
        temperature=(round(temperature[0], 4), round(temperature[1], 4)),
        slope=round(float(slope), 4),
        offset=round(float(offset), 4),
    )


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def save(weights: Weights, folder: Path) -> None:
    """The files that `mmrouter.classifier.rules.shipped` reads."""
    folder.mkdir(exist_ok=True)
    (folder / "cues.txt").write_text("\n".join(weights.places), "utf-8")
    (folder / "weights.bin").write_bytes(weights.rows)
    numbers = {
        key: getattr(weights, key)
        for key in ("step", "norm_step", "temperature", "slope", "offset")
    }
    (folder / "fit.json").write_text(json.dumps(numbers, indent=1) + "\n", "utf-8")


def report(accuracy: Accuracy) -> None:
    """Prints the shares that matter, in percent."""
    groups = {"all": accuracy.overall, **accuracy.by_kind, **accuracy.by_band}
    for name, part in groups.items():
        print(
            f"{name:16} {part.rows:5} rows  both {part.both:6.1%}"
            f"  complexity {part.complexity:6.1%}  category {part.category:6.1%}"
            f"  far {part.far:5.1%}"
        )
    print(f"expected calibration error {accuracy.ece:.3f}")


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="leave a5 out and report on it")
    parser.add_argument("--vectors", type=Path, required=True, help="what encoder.py wrote")
    options = parser.parse_args()
    vectors = Vectors(options.vectors)
    rows = [row for name in FIT for row in read_rows(HERE / "data" / f"{name}.jsonl")]
    dev = read_rows(HERE / "data" / f"{DEV}.jsonl")
    calibrated = calibrate(fit(rows, vectors), dev)
    if options.check:
        report(evaluate(RulesClassifier(calibrated), dev))
        return
    # What is known of unseen rows is known of a fit without them, and kept for the fit with them.
    whole = fit(rows + dev, vectors)
    save(
        replace(
            whole,
            temperature=calibrated.temperature,
            slope=calibrated.slope,
            offset=calibrated.offset,
        ),
        PACKAGE / "rules_data",
    )


if __name__ == "__main__":
    main()
