"""Fits the network of the embeddings strategy and writes src/mmrouter/classifier/weights/.

    python training/encoder.py --outcomes ../shared/data/outcomes --out /tmp/base.npz
    python training/fit.py --base /tmp/base.npz --check a5  # without the author a5; reports on it
    python training/fit.py --base /tmp/base.npz             # all rows but the held-out a4 and a10

Needs numpy, scikit-learn, tokenizers and torch beside mmrouter. One thread and fixed seeds: on one
machine the same rows give the same files; on another, scores within 0.02 of these.

Two parts are fitted apart and their scores added: a logistic regression over hashed cues, and a
network over the subwords' vectors, which are tuned with it. The network has four branches (two over
the mean vector, two over windows of three subwords as well), each trained to be right alone; they
are stacked into one hidden layer. Copies with typos and with words around the request teach what
does not matter. Calibration is fitted on the dev set while it is held out of everything else.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from encoder import SPECIAL as SPECIAL_NAMES
from rules import mistyped
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional
from wrappers import AFTER, BEFORE

from mmrouter.classifier import features
from mmrouter.classifier.encoder_static import SPECIAL, StaticEncoder
from mmrouter.classifier.heads import CATEGORIES, COMPLEXITIES, Calibration, Network
from mmrouter.classifier.text import Judged, judge
from mmrouter.dialects.base import Conversation
from mmrouter.eval.dataset import Row, read_rows

HERE = Path(__file__).parent
WEIGHTS = HERE.parent / "src" / "mmrouter" / "classifier" / "weights"
FIT = (
    "a1", "a2", "a3", "a6", "a7", "a8", "a9", "a11", "a12", "a13", "a14", "a15", "a16", "a17",
    "a19", "a20", "a21", "a22", "a23", "a5",
)  # fmt: skip
HELD = ("a2", "a3")
"""Authors who are held out in turn to calibrate."""

SEED = 0
EPOCHS, BATCH = 9, 32
RATE, VECTOR_RATE, WEIGHT_RATE = 3e-3, 2e-3, 1e-2
SUBWORD_DROPOUT, HIDDEN_DROPOUT, SMOOTHING = 0.3, 0.2, 0.05
UNITS, CHANNELS, BRANCHES = 96, 64, 2
COPY_STRENGTH = 0.4
C = 16.0
CUE_GAIN = 2.0
"""How much the cues weigh beside the network: best on a13 while it was out of the fit."""
MEAN_GAIN, WINDOW_GAIN = 3.0, 2.0

Array = np.ndarray[Any, Any]


def read(names: tuple[str, ...]) -> list[Row]:
    return [row for name in names for row in read_rows(HERE / "data" / f"{name}.jsonl")]


def wrapped(text: str, lang: str, rng: random.Random) -> Judged:
    """The text with words before it, after it, or both, as it would be judged."""
    before = rng.choice(BEFORE[lang]) if rng.random() < 0.75 else ""
    after = rng.choice(AFTER[lang]) if not before or rng.random() < 0.4 else ""
    joint = rng.choice((" ", "\n", "\n\n"))
    whole = joint.join(part for part in (before, text, after) if part)
    return judge(Conversation([{"role": "user", "content": whole}]))


def copies(rows: list[tuple[Row, Judged]], rng: random.Random) -> list[tuple[Row, Judged]]:
    """Rows again, spoilt in ways that leave the label."""
    made = []
    for row, judged in rows:
        if rng.random() < 0.3:
            made.append((row, replace(judged, text=mistyped(judged.text, rng))))
        if not judged.follow_up and row.lang in BEFORE and rng.random() < 0.25:
            made.append((row, wrapped(judged.text, row.lang, rng)))
    return made


def targets(rows: list[Row]) -> tuple[Array, Array]:
    return (
        np.array([COMPLEXITIES.index(row.complexity) for row in rows]),
        np.array([CATEGORIES.index(row.category) for row in rows]),
    )


class Cues:
    """The linear part: table rows' weights before rounding."""

    def __init__(self, judged: list[Judged], strength: Array, goals: tuple[Array, Array]) -> None:
        rows = [features.cue_rows(one) for one in judged]
        counts = np.zeros(features.CUE_ROWS)
        for found, one in zip(rows, strength, strict=True):
            if one == 1:
                counts[found] += 1
        rarity = np.log((1 + (strength == 1).sum()) / (1 + counts)) + 1
        self.rarity_step = float(rarity.max()) / 255
        self.rarity = np.round(rarity / self.rarity_step).astype(np.uint8)
        values = [self.rarity[found].astype(float) * self.rarity_step for found in rows]
        data = np.concatenate([one / np.sqrt((one**2).sum()) for one in values])
        ends = np.cumsum([0, *map(len, rows)])
        matrix = csr_matrix(
            (data, np.concatenate(rows), ends), shape=(len(rows), features.CUE_ROWS)
        )
        used = np.unique(matrix.indices)
        self.table = np.zeros((features.CUE_ROWS, len(COMPLEXITIES) + len(CATEGORIES)))
        biases, start = [], 0
        for goal in goals:
            model = LogisticRegression(C=C, max_iter=400, tol=1e-4)
            model.fit(matrix[:, used], goal, sample_weight=strength)
            self.table[used, start : start + len(model.classes_)] = model.coef_.T
            start += len(model.classes_)
            biases.append(model.intercept_)
        self.table *= CUE_GAIN
        self.bias = CUE_GAIN * np.concatenate(biases)


class Branches(nn.Module):
    """The network while it learns: vectors, and branches that each answer."""

    def __init__(self, vectors: Array, weights: Array) -> None:
        super().__init__()
        count, size = vectors.shape
        labels = len(COMPLEXITIES) + len(CATEGORIES)
        self.vectors = nn.Embedding(count, size, sparse=True)
        self.vectors.weight.data = torch.tensor(vectors)
        self.weights = nn.Embedding(count, 1, sparse=True)
        self.weights.weight.data = torch.tensor(np.log(weights), dtype=torch.float32)[:, None]
        inputs = [size] * BRANCHES + [size + 2 * CHANNELS] * BRANCHES
        self.windows = nn.ModuleList(nn.Linear(3 * size, CHANNELS) for _ in range(BRANCHES))
        self.hidden = nn.ModuleList(nn.Linear(one, UNITS) for one in inputs)
        self.out = nn.ModuleList(nn.Linear(UNITS, labels) for _ in inputs)

    def forward(self, flat: Any, owner: Any, sizes: Any) -> list[torch.Tensor]:
        texts = len(sizes)
        x = self.vectors(flat) * torch.exp(self.weights(flat))

        def mean(rows: torch.Tensor) -> torch.Tensor:
            return torch.zeros(texts, rows.shape[1]).index_add_(0, owner, rows) / sizes[:, None]

        border = owner.new_tensor([-1])
        first = (torch.cat([border, owner[:-1]]) == owner).float()[:, None]
        last = (torch.cat([owner[1:], border]) == owner).float()[:, None]
        nothing = torch.zeros(1, x.shape[1])
        triples = torch.cat(
            [torch.cat([nothing, x[:-1]]) * first, x, torch.cat([x[1:], nothing]) * last], 1
        )
        middle = mean(x) * MEAN_GAIN
        inputs = [middle] * BRANCHES
        for window in self.windows:
            seen = functional.relu(window(triples))
            most = torch.zeros(texts, CHANNELS).scatter_reduce_(
                0, owner[:, None].expand_as(seen), seen, "amax"
            )
            inputs.append(torch.cat([middle, mean(seen) * WINDOW_GAIN, most], 1))
        return [
            out(functional.dropout(functional.relu(hidden(one)), HIDDEN_DROPOUT, self.training))
            for one, hidden, out in zip(inputs, self.hidden, self.out, strict=True)
        ]


def packed(texts: list[Array]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    sizes = [len(text) for text in texts]
    owner = torch.tensor(np.repeat(np.arange(len(texts)), sizes))
    return torch.tensor(np.concatenate(texts)), owner, torch.tensor(sizes).clamp(min=1).float()


def learn(
    texts: list[Array], strength: Array, goals: tuple[Array, Array], vectors: Array, weights: Array
) -> tuple[Branches, Array, Array]:
    """The trained branches, and all vectors and weights with those of seen subwords tuned."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    used = np.unique(np.concatenate(texts))
    place = np.zeros(len(vectors), np.int64)
    place[used] = np.arange(len(used))
    texts = [place[text] for text in texts]
    model = Branches(vectors[used], weights[used])
    tuned = {"vectors.weight", "weights.weight"}
    optimisers = (
        torch.optim.SparseAdam(
            [
                {"params": [model.vectors.weight], "lr": VECTOR_RATE},
                {"params": [model.weights.weight], "lr": WEIGHT_RATE},
            ]
        ),
        torch.optim.AdamW(
            [value for name, value in model.named_parameters() if name not in tuned],
            lr=RATE,
            weight_decay=1e-2,
        ),
    )
    steps = EPOCHS * (len(texts) // BATCH + 1)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(one, lambda step: max(1 - step / steps, 0.0))
        for one in optimisers
    ]
    levels, kinds = (torch.tensor(goal) for goal in goals)
    strengths = torch.tensor(strength, dtype=torch.float32)
    cut = len(COMPLEXITIES)
    for _ in range(EPOCHS):
        order = rng.permutation(len(texts))
        for start in range(0, len(texts), BATCH):
            batch = order[start : start + BATCH]
            kept = [texts[i][rng.random(len(texts[i])) >= SUBWORD_DROPOUT] for i in batch]
            loss = torch.zeros(())
            for scores in model(*packed(kept)):
                for part, goal in ((scores[:, :cut], levels), (scores[:, cut:], kinds)):
                    each = functional.cross_entropy(
                        part, goal[batch], reduction="none", label_smoothing=SMOOTHING
                    )
                    loss = loss + (each * strengths[batch]).mean()
            for one in optimisers:
                one.zero_grad()
            loss.backward()
            for one in (*optimisers, *schedules):
                one.step()
    model.eval()
    vectors, weights = vectors.copy(), weights.copy()
    vectors[used] = model.vectors.weight.detach().numpy()
    weights[used] = np.exp(model.weights.weight.detach().numpy()[:, 0])
    return model, vectors, weights


def stacked(model: Branches, cues: Cues) -> dict[str, Array]:
    """The branches as one window layer, one hidden layer and one output."""
    size = model.vectors.weight.shape[1]
    channels, units = CHANNELS * BRANCHES, UNITS * 2 * BRANCHES
    hidden = np.zeros((size + 2 * channels, units))
    for index, layer in enumerate(model.hidden):
        weight = layer.weight.detach().numpy().T
        columns = slice(index * UNITS, (index + 1) * UNITS)
        hidden[:size, columns] = weight[:size] * MEAN_GAIN
        if index >= BRANCHES:
            at = size + (index - BRANCHES) * CHANNELS
            means, maxima = weight[size : size + CHANNELS], weight[size + CHANNELS :]
            hidden[at : at + CHANNELS, columns] = means * WINDOW_GAIN
            hidden[at + channels : at + channels + CHANNELS, columns] = maxima
    answers = [layer.weight.detach().numpy().T / (2 * BRANCHES) for layer in model.out]
    biases = np.mean([layer.bias.detach().numpy() for layer in model.out], axis=0)
    return {
        "window": np.concatenate([one.weight.detach().numpy().T for one in model.windows], 1),
        "window_bias": np.concatenate([one.bias.detach().numpy() for one in model.windows]),
        "hidden": hidden,
        "hidden_bias": np.concatenate([one.bias.detach().numpy() for one in model.hidden]),
        "out": np.concatenate(answers),
        "bias": biases + cues.bias,
    }


def save_encoder(folder: Path, base: Any, vectors: Array, weights: Array) -> None:
    """Vectors rounded to 8 bits; the first four rows are the special subwords, and zero."""
    pieces = [str(piece) for piece in base["pieces"]]
    scores = [round(float(x), 4) for x in base["scores"]]
    (folder / "pieces.txt").write_text("\n".join([*SPECIAL_NAMES, *pieces]), "utf-8")
    np.save(folder / "pieces.npy", np.array([0.0] * SPECIAL + scores))
    step = np.abs(vectors).max(1, keepdims=True) / 127
    rounded = np.round(vectors / step).astype(np.int8)
    zeros = np.zeros((SPECIAL, vectors.shape[1]), np.int8)
    np.save(folder / "vectors.npy", np.concatenate([zeros, rounded]))
    scales = np.concatenate([np.zeros(SPECIAL), step[:, 0] * weights])
    np.save(folder / "scales.npy", scales.astype(np.float16))


def save_network(
    folder: Path, small: dict[str, Array], cues: Cues, calibration: Calibration
) -> None:
    step = np.percentile(np.abs(cues.table[cues.table != 0]), 99.95) / 127
    table = np.clip(np.round(cues.table / step), -127, 127).astype(np.int8)
    np.save(folder / "cues.npy", table)
    np.save(folder / "rarity.npy", cues.rarity)
    np.savez(
        folder / "network.npz",
        **{name: value.astype(np.float16) for name, value in small.items()},
        steps=np.array([step, cues.rarity_step], np.float32),
        calibration=np.array(
            [*calibration.temperatures, calibration.slope, calibration.offset], np.float32
        ),
    )


def calibrate(scores: Array, rows: list[Row]) -> Calibration:
    """Temperatures by likelihood; then slope and offset of the confidence, by likelihood."""
    cut = len(COMPLEXITIES)
    temperatures = []
    for part, goal in zip((scores[:, :cut], scores[:, cut:]), targets(rows), strict=True):

        def loss(t: Array, part: Array = part, goal: Array = goal) -> float:
            logits = torch.tensor(part / t[0])
            return float(functional.cross_entropy(logits, torch.tensor(goal)))

        temperatures.append(float(minimize(loss, [1.0], bounds=[(0.2, 5)]).x[0]))
    plain = Calibration((temperatures[0], temperatures[1]))
    said = [plain.verdict(one) for one in scores]
    right = [v.labels == (r.complexity, r.category) for v, r in zip(said, rows, strict=True)]
    both = np.array([v.confidence for v in said])
    odds = np.log(both / (1 - both))[:, None]
    model = LogisticRegression(C=100.0).fit(odds, right)
    return Calibration(plain.temperatures, float(model.coef_[0, 0]), float(model.intercept_[0]))


def scores_of(folder: Path, rows: list[Row]) -> Array:
    """float[rows, labels] by the weights in a folder."""
    encoder = StaticEncoder(folder)
    network = Network.load(folder, encoder)
    every = []
    for row in rows:
        read = features.of(row.judged, encoder)
        every.append(network.scores(network.embed(read), read.cues))
    return np.stack(every)


def fit(rows: list[Row], base: Any, folder: Path, calibration: Calibration) -> None:
    """Fits both parts on rows and writes the folder."""
    pairs = [(row, row.judged) for row in rows]
    more = copies(pairs, random.Random(SEED))
    strength = np.array([1.0] * len(pairs) + [COPY_STRENGTH] * len(more))
    pairs += more
    goals = targets([row for row, _ in pairs])
    judged = [one for _, one in pairs]
    vectors = base["vectors"].astype(np.float32)
    weights = 1e-3 / (1e-3 + np.exp(base["scores"]))
    save_encoder(folder, base, vectors, weights)
    encoder = StaticEncoder(folder)
    texts = [encoder.subwords(features.whole(one)) - SPECIAL for one in judged]
    model, vectors, weights = learn(texts, strength, goals, vectors, weights)
    cues = Cues(judged, strength, goals)
    save_encoder(folder, base, vectors, weights)
    save_network(folder, stacked(model, cues), cues, calibration)


def unseen(author: str, base: Any) -> tuple[Array, list[Row]]:
    """An author's rows and their scores by a fit on the others; prints what is right."""
    rows = read((author,))
    with TemporaryDirectory() as folder:
        others = tuple(one for one in FIT if one != author)
        fit(read(others), base, Path(folder), Calibration())
        scores = scores_of(Path(folder), rows)
    report(author, scores, rows)
    return scores, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--unseen", type=Path, help="where to save the held-out authors' scores")
    parser.add_argument("--check", metavar="AUTHOR", choices=FIT, help="leave out, score, stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = np.load(options.base)
    if options.check:
        unseen(options.check, base)
        return
    parts = [unseen(author, base) for author in HELD]
    rows = [row for _, some in parts for row in some]
    calibration = calibrate(np.concatenate([scores for scores, _ in parts]), rows)
    if options.unseen:
        every = {author: scores for author, (scores, _) in zip(HELD, parts, strict=True)}
        np.savez(options.unseen, **every)
    options.out.mkdir(parents=True, exist_ok=True)
    fit(read(FIT), base, options.out, calibration)


def report(author: str, scores: Array, rows: list[Row]) -> None:
    """Prints the share of right labels by kind, and of far misses."""
    cut = len(COMPLEXITIES)
    levels, kinds = targets(rows)
    said = scores[:, :cut].argmax(1)
    right = (said == levels) & (scores[:, cut:].argmax(1) == kinds)
    far = np.abs(said - levels) == len(COMPLEXITIES) - 1
    parts = [
        f"{kind} {np.mean([one for one, row in zip(right, rows, strict=True) if row.kind == kind]):.3f}"
        for kind in sorted({row.kind for row in rows})
    ]
    print(f"{author}: both right {right.mean():.3f}, far {far.mean():.3f};", ", ".join(parts))


if __name__ == "__main__":
    main()
