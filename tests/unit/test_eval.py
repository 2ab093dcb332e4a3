"""Scores of a classifier: accuracy, calibration, latency and flips, on rows made by hand."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.classifier.rules import RulesClassifier
from mmrouter.classifier.text import Judged, judge
from mmrouter.errors import ConfigError
from mmrouter.eval.accuracy import evaluate, wilson
from mmrouter.eval.compare import compare, latency
from mmrouter.eval.dataset import Row, by_kind, conversation_of, read_rows, row_of
from mmrouter.eval.robustness import CHANGES, robustness
from mmrouter.types import Category, Classification, Complexity


@dataclass
class Scripted:
    """Says what its script holds for a text; else simple/factual at 0.9."""

    script: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    name: str = "scripted"

    def classify(self, judged: Judged) -> Classification:
        level, kind, confidence = self.script.get(judged.text, ("simple", "factual", 0.9))
        return Classification(
            complexity=Complexity(level),
            category=Category(kind),
            confidence=confidence,
            difficulty=0.5,
            strategy=self.name,
        )


def row(text: str, level: str = "simple", kind: str = "factual", **of: str) -> Row:
    return row_of({"id": text, "complexity": level, "category": kind, "prompt": text, **of})


ROWS = [
    row("one"),
    row("two", "medium", "code"),
    row("three", "complex", "code"),
    row("four", "simple", "creative"),
]


def test_accuracy_counts_what_is_right() -> None:
    classifier = Scripted({"two": ("medium", "code", 0.7), "four": ("simple", "code", 0.6)})
    result = evaluate(classifier, ROWS)
    assert result.overall.rows == 4
    assert result.overall.both == 0.5
    assert result.overall.complexity == 0.75
    assert result.overall.category == 0.5
    assert result.overall.far == 0.25
    assert result.by_bucket["complex/code"].both == 0
    assert result.confusion[("complex/code", "simple/factual")] == 1
    assert [mistake.row.id for mistake in result.mistakes] == ["three", "four"]
    assert json.loads(json.dumps(result.data()))["overall"]["both"] == 0.5


def test_calibration_error_is_the_gap_between_said_and_seen() -> None:
    rows = [row(str(n), "simple" if n < 3 else "medium") for n in range(4)]
    sure = Scripted({str(n): ("simple", "factual", 0.95) for n in range(4)})
    result = evaluate(sure, rows)
    assert result.ece == pytest.approx(0.95 - 0.75)
    (only,) = result.calibration
    assert (only.rows, only.right) == (4, 0.75)


def test_scores_by_kind_band_and_language() -> None:
    rows = [
        row_of(
            {
                "complexity": "simple",
                "category": "factual",
                "prompt": text,
                "kind": kind,
                "lang": lang,
            }
        )
        for text, kind, lang in [("hi there", "clean", "en"), ("wort " * 12, "messy", "de")]
    ]
    result = evaluate(Scripted(), rows)
    assert set(result.by_kind) == {"clean", "messy"} == set(by_kind(rows))
    assert set(result.by_language) == {"en", "de"}
    assert result.by_band["up to 9 words"].rows == result.by_band["10 to 30 words"].rows == 1


def test_nothing_to_score() -> None:
    with pytest.raises(ValueError, match="no row"):
        evaluate(Scripted(), [])
    with pytest.raises(ValueError, match="no row"):
        robustness(Scripted(), [])
    with pytest.raises(ValueError, match="no call"):
        latency([])


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_bounds_hold_the_share(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=200))
def test_percentiles_lie_within_their_bounds(took: list[float]) -> None:
    found = latency(took)
    assert min(took) <= found.p50_low <= found.p50 <= found.p50_high <= max(took)
    assert found.p50 <= found.p99 <= found.p99_high <= max(took)


def test_compare_times_every_classifier_on_the_same_rows() -> None:
    ticks = itertools.count()
    first, second = compare(
        [Scripted(), Scripted(name="other")], ROWS, rounds=2, clock=lambda: next(ticks) * 1e-6
    )
    assert (first.accuracy.classifier, second.accuracy.classifier) == ("scripted", "other")
    assert first.latency.calls == 8
    assert first.latency.p50 == pytest.approx(1.0)
    assert first.data()["latency_us"]["calls"] == 8


def test_robustness_counts_turned_decisions() -> None:
    class Shouting:
        name = "shouting"

        def classify(self, judged: Judged) -> Classification:
            loud = judged.text.isupper()
            return Scripted({judged.text: ("complex" if loud else "simple", "code", 0.9)}).classify(
                judged
            )

    result = robustness(Shouting(), [row("please sort a list"), row("2+2")])
    assert result.by_change["upper case"].flipped == 1
    assert result.by_change["30 tools"].flipped == 0
    assert result.overall.rows == 2 * len(CHANGES)
    assert ("upper case", "please sort a list", "simple/code", "complex/code") in result.examples
    assert result.data()["examples"][0]["change"] == "upper case"


def test_robustness_is_reproducible() -> None:
    rows = [row("explain how the heat pump in our cellar actually works"), row("write a poem")]
    assert robustness(RulesClassifier(), rows, seed=3) == robustness(
        RulesClassifier(), rows, seed=3
    )


@pytest.mark.parametrize("name", CHANGES)
def test_changes_keep_the_request(name: str) -> None:
    parts = [{"type": "text", "text": "name the capital of Peru"}]
    for content in ("name the capital of Peru", parts):
        talk = conversation_of({"messages": [{"role": "user", "content": content}]})
        changed = CHANGES[name](talk, random.Random(1))
        words = judge(changed).text.lower().split()
        assert len(set(words) & {"name", "the", "capital", "of", "peru"}) >= 4
        assert talk.messages[0]["content"] == content


def test_changes_leave_what_has_no_text() -> None:
    talk = conversation_of({"messages": [{"role": "assistant", "content": "hello"}]})
    for change in CHANGES.values():
        assert change(talk, random.Random(1)).messages == [
            {"role": "assistant", "content": "hello"}
        ]


def test_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    records = [
        {"id": "a", "complexity": "simple", "category": "code", "prompt": "x", "kind": "clean"},
        {
            "complexity": "complex",
            "category": "code",
            "messages": [{"role": "user", "content": "y"}],
            "tools": [{"type": "function"}],
        },
    ]
    path.write_text("\n".join(map(json.dumps, records)) + "\n\n", "utf-8")
    first, second = read_rows(path)
    assert (first.id, first.kind, first.judged.text) == ("a", "clean", "x")
    assert (second.id, second.judged.tools) == ("2", 1)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 1"),
        ("[]", "JSON object"),
        ('{"complexity": "huge", "category": "code", "prompt": "x"}', "huge"),
        ('{"complexity": "simple", "category": "code"}', "prompt"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(line, "utf-8")
    with pytest.raises(ConfigError, match=says):
        read_rows(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.jsonl"):
        read_rows(tmp_path / "gone.jsonl")


def test_the_shipped_rows_are_balanced_and_the_rules_do_well_on_them() -> None:
    rows = read_rows()
    assert len(rows) >= 400
    assert len({(row.complexity, row.category) for row in rows}) == 12
    result = evaluate(RulesClassifier(), rows)
    assert result.overall.both > 0.7
    assert result.overall.far < 0.04
