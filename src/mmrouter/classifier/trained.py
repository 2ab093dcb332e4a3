"""A model trained on a user's own examples, on top of the shipped network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmrouter.classifier.heads import Calibration, Vector, Verdict
from mmrouter.classifier.knn import Neighbours, unit
from mmrouter.errors import ConfigError

Method = Literal["heads", "knn"]

SCORE_SHARE = np.float32(0.05)
"""What a shipped score is multiplied by where it stands as an input."""


@dataclass(frozen=True, slots=True)
class TunedHeads:
    """A correction of the shipped scores.

    Attributes:
        weights: float32[units + LABELS + 1, LABELS], over `inputs`.
        calibration: from corrected scores to probabilities.
    """

    weights: Vector
    calibration: Calibration

    def verdict(self, hidden: Vector, scores: Vector) -> Verdict:
        """The verdict on a request, from what the shipped network makes of it."""
        corrected = scores + inputs(hidden, scores) @ self.weights
        return self.calibration.verdict(corrected)


@dataclass(frozen=True, slots=True)
class TunedNeighbours:
    """The user's examples, of which the nearest vote."""

    neighbours: Neighbours

    def verdict(self, hidden: Vector, scores: Vector) -> Verdict:
        """The verdict on a request, from what the shipped network makes of it."""
        return self.neighbours.verdict(hidden)


Trained = TunedHeads | TunedNeighbours


def inputs(hidden: Vector, scores: Vector) -> Vector:
    """What a correction is computed from: the hidden layer's direction, the scores, and 1."""
    one = np.ones((*hidden.shape[:-1], 1), np.float32)
    return np.concatenate((unit(hidden), scores * SCORE_SHARE, one), axis=-1)


def save(model: Trained, folder: Path, facts: dict[str, Any], shipped: Path) -> None:
    """Writes `model.npz` and `model.json`; facts are kept beside what loading needs."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model, TunedHeads):
        method: Method = "heads"
        kept = model.calibration
        arrays = {
            "weights": model.weights,
            "calibration": np.array([*kept.temperatures, kept.slope, kept.offset]),
        }
    else:
        method = "knn"
        near = model.neighbours
        arrays = {"vectors": near.vectors, "levels": near.levels, "kinds": near.kinds}
    np.savez(folder / "model.npz", **arrays)  # type: ignore[arg-type]
    record = {**facts, "method": method, "network": fingerprint(shipped)}
    (folder / "model.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def load(folder: Path, shipped: Path) -> Trained:
    """Reads what `save` wrote. Raises ConfigError if it is not there or fits another network."""
    try:
        record = json.loads((folder / "model.json").read_text("utf-8"))
        with np.load(folder / "model.npz") as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} is not a trained model ({error}). Make one with: "
            "mmrouter train --data FILE --output DIR"
        ) from error
    if record.get("network") != fingerprint(shipped):
        raise ConfigError(
            f"{folder} was trained on another version of the shipped network. "
            "Train it again with: mmrouter train --data FILE --output DIR"
        )
    if record["method"] == "knn":
        return TunedNeighbours(Neighbours(arrays["vectors"], arrays["levels"], arrays["kinds"]))
    one, two, slope, offset = (float(value) for value in arrays["calibration"])
    return TunedHeads(arrays["weights"], Calibration((one, two), slope, offset))


def fingerprint(shipped: Path) -> str:
    """Which networks the hidden layer and the scores come from."""
    files = (shipped / "network.npz", shipped / "look.onnx")
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
