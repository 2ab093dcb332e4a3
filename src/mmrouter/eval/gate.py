"""The cascade's gate against labelled answers, beside the plain gate that it replaces.

`python -m mmrouter.eval.gate` prints precision and recall of spotting bad answers. "dev" is what
the gate was tuned on, by topic; "test" was not looked at for that. Both are written by hand, by the
gate's own author; "blind" by another one, after the gate was finished: see docs/cascade.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import orjson

from mmrouter.config.schema import CascadeConfig
from mmrouter.decide.gate import verdict
from mmrouter.dialects.answer import Answer, form_of
from mmrouter.types import Dialect

Row = Mapping[str, Any]
"""`split`, `topic`, `request`, `answer`, `finish_reason`, `label` ("pass", "fail"), `why`; some
with `response_format` or `tool_arguments`."""

Gate = Callable[[Row], str | None]
"""Why a row's answer is turned down; None lets it pass."""

_CONFIG = CascadeConfig()


@dataclass(frozen=True, slots=True)
class Score:
    """How well a gate spots bad answers.

    Attributes:
        caught: bad answers that it turned down.
        missed: bad answers that it let pass.
        wronged: good answers that it turned down.
        passed: good answers that it let pass.
    """

    caught: int
    missed: int
    wronged: int
    passed: int

    @property
    def precision(self) -> float:
        """Share of bad answers among those turned down; each other one costs a call for nothing."""
        return self.caught / max(1, self.caught + self.wronged)

    @property
    def recall(self) -> float:
        """Share of bad answers that are turned down."""
        return self.caught / max(1, self.caught + self.missed)


def rows() -> list[Row]:
    """The labelled answers."""
    file = files("mmrouter.eval") / "data" / "gate_answers.jsonl"
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def ours(row: Row) -> str | None:
    """The gate of `decide.gate`, with config's defaults."""
    arguments = row.get("tool_arguments")
    answer = Answer(
        text=row["answer"],
        tool_arguments=() if arguments is None else (arguments,),
        cut=row["finish_reason"] == "length",
        refused=row["finish_reason"] == "content_filter",
    )
    return verdict(
        row["request"],
        form_of(Dialect.CHAT, row),
        answer,
        least=_CONFIG.min_response_length,
        phrases=_CONFIG.hedging_phrases,
    ).fault


def plain(row: Row) -> str | None:
    """mmrouter 0.1.0's: too short, or one of the phrases."""
    text = row["answer"]
    if len(text) < _CONFIG.min_response_length:
        return "too short"
    said = (p for p in _CONFIG.hedging_phrases if p.lower() in text.lower())
    return next(said, None)


def score(gate: Gate, over: list[Row]) -> Score:
    """How the gate does over some rows."""
    told = [(row["label"] == "fail", gate(row) is not None) for row in over]
    return Score(*(told.count(pair) for pair in _PAIRS))


_PAIRS = ((True, True), (True, False), (False, True), (False, False))


def wrong(gate: Gate, over: list[Row]) -> Iterator[tuple[Row, str | None]]:
    """The rows in which the gate errs, and its reason."""
    for row in over:
        fault = gate(row)
        if (row["label"] == "fail") != (fault is not None):
            yield row, fault


def main() -> None:
    """Prints a table."""
    for split in ("dev", "test", "blind"):
        part = [row for row in rows() if row["split"] == split]
        for name, gate in (("mmrouter", ours), ("0.1.0", plain)):
            s = score(gate, part)
            print(
                f"{split:<5} {name:<9} {len(part)} answers  precision {s.precision:.3f}  "
                f"recall {s.recall:.3f}  wronged {s.wronged}  missed {s.missed}"
            )


if __name__ == "__main__":
    main()
