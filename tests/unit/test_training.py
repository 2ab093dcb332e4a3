"""Training on a user's own examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmrouter.classifier.embeddings import EmbeddingsClassifier
from mmrouter.classifier.examples import Example, read_examples
from mmrouter.classifier.text import Judged
from mmrouter.classifier.training import train
from mmrouter.errors import ConfigError
from mmrouter.types import Category, Complexity

TOPICS = ("invoice", "parcel", "refund", "warranty", "login", "newsletter", "coupon", "delivery")


def _house_rules() -> list[Example]:
    """A shop that wants its tickets labelled its own way, against the shipped labels."""
    made = []
    for topic in TOPICS:
        for verb in ("check", "look at", "handle"):
            text = f"{verb} the {topic} ticket"
            made.append(Example(Judged(text), Complexity.COMPLEX, Category.REASONING))
        text = f"what does {topic} mean"
        made.append(Example(Judged(text), Complexity.SIMPLE, Category.FACTUAL))
    return made


@pytest.mark.parametrize("method", ["heads", "knn"])
def test_own_labels_are_learnt(tmp_path: Path, method: str) -> None:
    report = train(_house_rules(), tmp_path / "m", method=method, seed=1)  # type: ignore[arg-type]
    assert report.held_out == 6
    assert report.fitted == 26
    assert report.accuracy is not None
    assert report.before is not None
    assert report.accuracy > report.before
    label = EmbeddingsClassifier(tmp_path / "m").classify(Judged("handle the complaint ticket"))
    assert (label.complexity, label.category) == (Complexity.COMPLEX, Category.REASONING)
    assert 0 <= label.confidence <= 1


@pytest.mark.parametrize("method", ["heads", "knn"])
def test_same_seed_same_model(tmp_path: Path, method: str) -> None:
    for name in "ab":
        train(_house_rules(), tmp_path / name, method=method, seed=3)  # type: ignore[arg-type]
    for file in ("model.json", "model.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    train(_house_rules(), tmp_path / "m", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_all_may_be_used_for_fitting(tmp_path: Path) -> None:
    report = train(_house_rules(), tmp_path / "m", eval_split=0)
    assert (report.fitted, report.held_out, report.accuracy) == (32, 0, None)


def test_yaml_and_json_lines_read_alike(tmp_path: Path) -> None:
    entry = {"prompt": "capital of Peru", "complexity": "simple", "category": "factual"}
    (tmp_path / "a.jsonl").write_text(json.dumps(entry) + "\n\n")
    (tmp_path / "b.yaml").write_text(f"- {json.dumps(entry)}\n")
    (tmp_path / "c.yml").write_text(f"examples: [{json.dumps(entry)}]\n")
    read = [read_examples(tmp_path / name) for name in ("a.jsonl", "b.yaml", "c.yml")]
    assert read[0] == read[1] == read[2]
    assert read[0] == [Example(Judged("capital of Peru"), Complexity.SIMPLE, Category.FACTUAL)]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"prompt": "x", "complexity": "hard", "category": "code"}', "line 1: .*hard"),
        ("a.jsonl", "{", "line 1: not valid JSON"),
        ("a.yaml", "- {complexity: simple, category: code}", 'entry 1: expected "prompt"'),
        ("a.yaml", "- just text", "entry 1: expected an object"),
        ("a.yaml", "a: [", "not valid YAML"),
        ("a.yaml", "prompt: x", "expected a list"),
        ("a.yaml", "[]", "no example"),
    ],
)
def test_a_bad_file_is_named_with_its_place(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_examples(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        read_examples(tmp_path / "none.yaml")


def test_too_few_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few"):
        train(_house_rules()[:2], tmp_path / "m", eval_split=0.5)


def test_a_folder_without_a_model_is_refused_with_the_command_that_makes_one(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="mmrouter train"):
        EmbeddingsClassifier(tmp_path)


def test_a_model_of_another_network_is_refused(tmp_path: Path) -> None:
    train(_house_rules(), tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "network": "0" * 16}))
    with pytest.raises(ConfigError, match="Train it again"):
        EmbeddingsClassifier(tmp_path / "m")
