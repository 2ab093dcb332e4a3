"""A second look at requests of which the first is not sure: a transformer of six layers.

Its weights began as the lower half of multilingual-e5-small (MIT), tuned on labelled requests and
taught by the tuned whole; see the model card. It runs on ONNX Runtime, on one thread: some
milliseconds for a sentence, tens for a page, which is why the sure do not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier.heads import COMPLEXITIES, Calibration, Vector

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

HEAD, TAIL = 96, 64
"""Of a longer text, the first and the last so many subwords are read."""

START, END = 0, 2
"""The rows of the subwords that stand before and after every text."""

_BLOCK = 32
"""Numbers that share a step."""


def shortened(subwords: NDArray[np.int64]) -> NDArray[np.int64]:
    """The head and the tail of a text's subwords."""
    if len(subwords) <= HEAD + TAIL:
        return subwords
    return np.concatenate((subwords[:HEAD], subwords[-TAIL:]))


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Scores of the unsure. Safe from several threads.

    Attributes:
        words: uint8[subwords, blocks * 18], memory-mapped: each block is a float16 step and 32
            numbers of 4 bits.
        session: float32[1, length, size] of words' vectors to float32[1, LABELS].
        share: how much the first scores count in the sum.
        scales: what the sum's scores of complexity and of category are multiplied by, so that the
            network's temperatures hold for them as well.
        calibration: from the sum to probabilities.
    """

    words: NDArray[np.uint8]
    session: InferenceSession
    share: float
    scales: tuple[float, float]
    calibration: Calibration

    @classmethod
    def load(cls, folder: Path) -> SecondLook:
        """Reads `words.npy`, `look.onnx` and `look.npz`, which `training/look_export.py` wrote.

        Raises ImportError where ONNX Runtime is not installed.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            folder / "look.onnx", options, providers=["CPUExecutionProvider"]
        )
        with np.load(folder / "look.npz") as file:
            share, *scales = (float(value) for value in file["sum"])
            one, two, slope, offset = (float(value) for value in file["calibration"])
        return cls(
            words=np.load(folder / "words.npy", mmap_mode="r"),
            session=session,
            share=share,
            scales=(scales[0], scales[1]),
            calibration=Calibration((one, two), slope, offset),
        )

    def scores(self, subwords: NDArray[np.int64], first: Vector) -> Vector:
        """float32[LABELS], of a text's subwords and of its scores at first sight."""
        cut = len(COMPLEXITIES)
        total: Vector = self.own(subwords) + np.float32(self.share) * first
        total[:cut] *= np.float32(self.scales[0])
        total[cut:] *= np.float32(self.scales[1])
        return total

    def own(self, subwords: NDArray[np.int64]) -> Vector:
        """What the transformer says alone, float32[LABELS]."""
        ids = np.concatenate(([START], shortened(subwords), [END]))
        (scores,) = self.session.run(None, {"words": unpacked(self.words[ids])[None]})
        found: Vector = scores[0]
        return found


def unpacked(rows: NDArray[np.uint8]) -> Vector:
    """float32[rows, size] of rows of blocks: a step of 2 bytes, then low and high halves."""
    blocks = rows.reshape(len(rows), -1, 2 + _BLOCK // 2)
    steps = np.ascontiguousarray(blocks[..., :2]).view(np.float16).astype(np.float32)
    halves = np.concatenate((blocks[..., 2:] & 15, blocks[..., 2:] >> 4), axis=-1)
    return ((halves.astype(np.float32) - 8) * steps).reshape(len(rows), -1)
