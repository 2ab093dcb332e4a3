"""Fits `difficulty` on outcome data, says what it is worth on unseen tasks, and writes the weights.

    python training/difficulty.py --outcomes ../shared/data/outcomes

Needs numpy, pyarrow and scipy beside mmrouter, and the weights that `fit.py` wrote. The outcome
data are not part of the project. Fitted on mmlu_pro, zeroeval (Apache-2.0) and fourteen_tasks
(MIT); routerbench, which states no licence, only measures.

The goal of a prompt is the mean of two shares: weak models that fail times strong ones that succeed,
and whether the weak model of the pair fails. The first alone ranks unseen tasks worse (routerbench
.46 instead of .59). The measure is RouteLLM's APGR: the share of the gap between a weak and a strong model that is won when
the most difficult x % go to the strong one, averaged over x; 0.5 is a random router.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import minimize

from mmrouter.classifier import difficulty, features
from mmrouter.classifier.embeddings import SHIPPED, shipped_encoder, shipped_network
from mmrouter.classifier.text import Judged

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tiers:
    """Who is weak and who is strong in a dataset, and the pair that APGR is told for."""

    weak: tuple[str, ...]
    strong: tuple[str, ...]
    pair: tuple[str, str]


TIERS = {
    "mmlu_pro": Tiers(
        ("Mistral-7B-Instruct-v0.2", "Qwen1.5-7B-Chat", "Yi-6b-Chat", "Meta-Llama-3_1-8B-Instruct",
         "Phi-3-mini-4k-instruct", "c4ai-command-r-v01"),
        ("gemini-1.5-pro-002", "gemini-1.5-flash-002", "Meta-Llama-3_1-70B-Instruct",
         "DeepSeek-Coder-V2"),
        ("Mistral-7B-Instruct-v0.2", "gemini-1.5-pro-002"),
    ),
    "zeroeval": Tiers(
        ("gemma-2-2b-it", "Meta-Llama-3-8B-Instruct", "Phi-3-mini-4k-instruct",
         "Qwen2.5-3B-Instruct", "gpt-3.5-turbo-0125", "Yi-1.5-9B-Chat"),
        ("claude-3-5-sonnet-20241022", "gpt-4o-2024-08-06", "Qwen2.5-72B-Instruct",
         "o1-mini-2024-09-12"),
        ("Meta-Llama-3-8B-Instruct", "gpt-4o-2024-08-06"),
    ),
    "fourteen_tasks": Tiers(
        ("mistral-7b-instruct-v0.3", "qwen2.5-7b-instruct", "codegemma-7b",
         "llama3-chatqa-1.5-8b", "llama-3.1-8b-instruct"),
        ("llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1"),
        ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
    ),
    "routerbench": Tiers(
        ("mistralai/mistral-7b-chat", "WizardLM/WizardLM-13B-V1.2",
         "meta/code-llama-instruct-34b-chat"),
        ("gpt-4-1106-preview", "mistralai/mixtral-8x7b-chat", "claude-v1"),
        ("mistralai/mixtral-8x7b-chat", "gpt-4-1106-preview"),
    ),
}  # fmt: skip
MEASURE_ONLY = "routerbench"
SAME = ({"math", "math-l5"}, {"gsm8k", "agentverse-mgsm"}, {"mbpp", "human_eval"})
"""Tasks that are left out together: prompts of one are like those of the other."""
PENALTY = 0.003


@dataclass(frozen=True)
class Table:
    """The prompts: features, expected complexity, goal and scores of the tiers and of the pair."""

    x: Array
    level: Array
    goal: Array
    weak: Array
    strong: Array
    dataset: Array
    task: Array

    @property
    def whole_tasks(self) -> Array:
        return np.char.add(np.char.add(self.dataset, "/"), self.task)


def read(folder: Path) -> Table:
    prompts = pq.read_table(folder / "prompts.parquet").to_pylist()
    columns = ["dataset", "prompt_id", "model", "score"]
    outcomes = pq.read_table(folder / "outcomes.parquet", columns=columns).to_pylist()
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for row in outcomes:
        scores.setdefault((row["dataset"], row["prompt_id"]), {})[row["model"]] = row["score"]
    network, encoder = shipped_network(), shipped_encoder()
    kept: list[tuple[Any, ...]] = []
    for row in prompts:
        tiers, got = TIERS[row["dataset"]], scores[row["dataset"], row["prompt_id"]]
        weak = [got[name] for name in tiers.weak if name in got]
        strong = [got[name] for name in tiers.strong if name in got]
        if not weak or not strong or not all(name in got for name in tiers.pair):
            continue
        judged = Judged(row["prompt"])
        seen = features.of(judged, encoder)
        scored = network.scores(network.embed(seen), seen.cues)
        verdict = network.calibration.verdict(scored)
        values = difficulty.features(judged.text, seen.mean, verdict)
        pair = (got[tiers.pair[0]], got[tiers.pair[1]])
        goal = ((1 - np.mean(weak)) * np.mean(strong) + (1 - pair[0])) / 2
        kept.append((values, difficulty.level(verdict), goal, *pair, row["dataset"], row["task"]))
    return Table(*(np.array(column) for column in zip(*kept, strict=True)))


def fit(table: Table, rows: Array) -> difficulty.Difficulty:
    """Penalised logistic regression on soft goals; each task counts as the root of its size."""
    x, level, goal = table.x[rows], table.level[rows], table.goal[rows]
    tasks, sizes = np.unique(table.whole_tasks[rows], return_counts=True)
    size_of = dict(zip(tasks, sizes, strict=True))
    weight = np.array([size_of[task] ** -0.5 for task in table.whole_tasks[rows]])
    weight /= weight.sum()
    mean, scale = x.mean(0), x.std(0) + 1e-3
    inputs = np.concatenate([(x - mean) / scale, level[:, None], np.ones((len(x), 1))], 1)

    def loss(beta: Array) -> tuple[float, Array]:
        odds = inputs @ beta
        value = weight @ (np.logaddexp(0, odds) - goal * odds)
        slope = inputs.T @ (weight * (1 / (1 + np.exp(-odds)) - goal))
        slope[:-2] += PENALTY * beta[:-2]
        return float(value + PENALTY / 2 * (beta[:-2] @ beta[:-2])), slope

    # Complexity may only add: a request said to be more complex is never said to be easier.
    free = [(None, None)] * x.shape[1] + [(0.25, None), (None, None)]
    beta = minimize(loss, np.zeros(inputs.shape[1]), jac=True, bounds=free).x
    return difficulty.Difficulty(
        mean.astype(np.float32),
        scale.astype(np.float32),
        beta[:-2].astype(np.float32),
        float(beta[-1]),
        float(beta[-2]),
    )


def predict(model: difficulty.Difficulty, table: Table, rows: Array) -> Array:
    values = (table.x[rows] - model.mean) / model.scale
    odds = values @ model.weights + model.offset + model.level_weight * table.level[rows]
    return np.asarray(1 / (1 + np.exp(-odds)))


def apgr(said: Array, weak: Array, strong: Array) -> float:
    """Area under (share sent to the strong model) -> (share of the gap won)."""
    order = np.argsort(-said, kind="stable")
    won = np.concatenate([[0.0], np.cumsum((strong - weak)[order])])
    return float(np.trapezoid(won / won[-1], dx=1 / len(said)))


def left_out(table: Table) -> Array:
    """Difficulty of every prompt by a model that saw neither its task nor one like it."""
    usable = table.dataset != MEASURE_ONLY
    said = np.zeros(len(table.goal))
    for name in np.unique(table.task):
        alike = next((group for group in SAME if name in group), {name})
        rows = np.isin(table.task, list(alike))
        said[rows] = predict(fit(table, usable & ~rows), table, rows)
    return said


def crossed(table: Table) -> Array:
    """Difficulty of every prompt by a model that saw others of its task (five folds)."""
    usable = table.dataset != MEASURE_ONLY
    fold = np.random.default_rng(0).permutation(len(table.goal)) % 5
    said = np.zeros(len(table.goal))
    for one in range(5):
        said[fold == one] = predict(fit(table, usable & (fold != one)), table, fold == one)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--outcomes", type=Path, required=True)
    table = read(parser.parse_args().outcomes)
    for title, said in (("unseen tasks", left_out(table)), ("seen tasks", crossed(table))):
        parts = []
        for name in TIERS:
            rows = table.dataset == name
            parts.append(f"{name} {apgr(said[rows], table.weak[rows], table.strong[rows]):.3f}")
        sys.stdout.write(f"APGR, {title}: {', '.join(parts)}\n")
    model = fit(table, table.dataset != MEASURE_ONLY)
    np.savez(
        SHIPPED / "difficulty.npz",
        mean=model.mean,
        scale=model.scale,
        weights=model.weights,
        offset=np.float32(model.offset),
        level_weight=np.float32(model.level_weight),
    )


if __name__ == "__main__":
    main()
