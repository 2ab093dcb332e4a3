"""Tunes multilingual-e5-small on the labelled rows, and teaches six of its layers to follow it.

    python training/look_rows.py --out /tmp/look_rows.npz
    python training/look_fit.py --rows /tmp/look_rows.npz --base /tmp/base.npz --out /tmp/look.npz
    python training/look_fit.py ... --without a2,a3 --out /tmp/look_unseen.npz

First all twelve layers learn the labels. Then they judge copies of the rows in which subwords are
replaced by neighbours, dropped, or followed by those of another row; the first six layers, from
their published weights, learn these judgements beside the labels: distillation (Hinton et al.,
arXiv 1503.02531) with replaced words (Jiao et al., TinyBERT, arXiv 1909.10351, section 3.2). The
subwords' own vectors stay as they are. With --without, whose rows are left out are judged at the
end; that calibrates what is shipped.

Needs numpy and torch: about three minutes on one H200, about a day on two cores. On one thread of a
processor the same rows give the same bits; GPUs add in other orders. How far runs agree, the model
card says.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SEED = 0
TEACHER, STUDENT = range(12), range(6)
TEACHER_EPOCHS, TEACHER_BATCH, TEACHER_RATE = 5, 48, 1.2e-4
STUDENT_EPOCHS, STUDENT_BATCH, STUDENT_RATE = 4, 96, 1.5e-4
HEAD_RATE, WARM_UP, HELD_BACK, SMOOTHING, HARD = 1e-3, 0.1, 0.1, 0.05, 0.3
UNKNOWN, BLANKED = 3, 0.05
COPIES, NEIGHBOURS = 4, 12
LEVELS, LABELS, INNER = 3, 7, 256
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

Array = np.ndarray[Any, Any]


def unpacked(stored: Array) -> Array:
    """As `encoder.unpacked`: float32 of blocks of a float16 step and 32 numbers of 4 bits."""
    if stored.dtype != np.uint8:
        return stored
    blocks = stored.reshape(-1, 18)
    steps = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], 1)
    return (nibbles.astype(np.float32) - 8) * steps


class Transformer(nn.Module):
    """Some layers of e5 by the BERT recipe, and a head: subwords to scores, float[texts, LABELS]."""

    def __init__(self, base: Any, layers: range) -> None:
        super().__init__()
        torch.manual_seed(SEED)
        self.heads = int(base["heads"])
        width = self.width = len(base["e5/emb.ln.w"])

        def stored(name: str, rows: int = -1, columns: int = width) -> torch.Tensor:
            return torch.tensor(unpacked(base[f"e5/{name}"]).reshape(rows, columns))

        def vector(name: str) -> torch.Tensor:
            return torch.tensor(base[f"e5/{name}"].copy())

        self.words = nn.Parameter(stored("emb.word"), requires_grad=False)
        self.places = nn.Parameter((stored("emb.pos") + stored("emb.type")[0])[:260])
        self.first = nn.ParameterList(
            [nn.Parameter(vector("emb.ln.w")), nn.Parameter(vector("emb.ln.b"))]
        )
        self.layers = nn.ModuleList()
        for number in layers:
            at = f"l{number}."
            matrices = {
                "qkv_w": torch.cat([stored(f"{at}{part}.w") for part in "qkv"]),
                "ao_w": stored(f"{at}ao.w"),
                "fi_w": stored(f"{at}fi.w", 4 * width),
                "fo_w": stored(f"{at}fo.w", width, 4 * width),
            }
            vectors = {
                "qkv_b": torch.cat([vector(f"{at}{part}.b") for part in "qkv"]),
                **{f"{part}_b": vector(f"{at}{part}.b") for part in ("ao", "fi", "fo")},
                **{f"{part}_w": vector(f"{at}{part}.w") for part in ("aln", "oln")},
                **{f"{part}_b": vector(f"{at}{part}.b") for part in ("aln", "oln")},
            }
            every = {name: nn.Parameter(one) for name, one in (matrices | vectors).items()}
            layer = nn.ParameterDict(every)
            self.layers.append(layer)
        self.look = nn.Linear(width, 1)
        self.inner = nn.Linear(2 * width, INNER)
        self.out = nn.Linear(INNER, LABELS)

    def forward(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        def normal(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            return functional.layer_norm(x, (self.width,), weight, bias, 1e-12)

        def drop(x: torch.Tensor) -> torch.Tensor:
            return functional.dropout(x, HELD_BACK, self.training)

        texts, length = ids.shape
        x = functional.embedding(ids, self.words) + self.places[:length]
        x = drop(normal(x, self.first[0], self.first[1]))
        seen = real[:, None, None, :]
        for one in self.layers:
            qkv = functional.linear(x, one["qkv_w"], one["qkv_b"])
            query, key, value = qkv.view(texts, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=seen, dropout_p=HELD_BACK if self.training else 0.0
            )
            mixed = mixed.transpose(1, 2).reshape(texts, length, self.width)
            x = x + drop(functional.linear(mixed, one["ao_w"], one["ao_b"]))
            x = normal(x, one["aln_w"], one["aln_b"])
            inner = functional.gelu(functional.linear(x, one["fi_w"], one["fi_b"]))
            x = x + drop(functional.linear(inner, one["fo_w"], one["fo_b"]))
            x = normal(x, one["oln_w"], one["oln_b"])
        share = self.look(x)[..., 0].float().masked_fill(~real, -1e9).softmax(-1)
        middle = (x * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        pooled = torch.cat([(x * share[..., None]).sum(1), middle], 1)
        hidden = drop(functional.gelu(self.inner(drop(pooled * 4))))
        answer: torch.Tensor = self.out(hidden).float()
        return answer


def padded(texts: list[Array], batch: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Subwords between <s> and </s>, int64[batch, longest], and which are real."""
    longest = max(len(texts[i]) for i in batch) + 2
    ids, real = np.ones((len(batch), longest), np.int64), np.zeros((len(batch), longest), bool)
    for row, i in enumerate(batch):
        end = len(texts[i]) + 2
        ids[row, 0], ids[row, 1 : end - 1], ids[row, end - 1] = 0, texts[i], 2
        real[row, :end] = True
    return torch.from_numpy(ids).to(DEVICE), torch.from_numpy(real).to(DEVICE)


def batches(texts: list[Array], size: int, rng: np.random.Generator) -> list[Array]:
    """Batches of about equally long texts, in random order."""
    lengths = np.array([len(text) for text in texts])
    order = np.argsort(lengths * (1 + 0.2 * rng.random(len(texts))), kind="stable")
    cut = [order[at : at + size] for at in range(0, len(order), size)]
    return [cut[i] for i in rng.permutation(len(cut))]


def losses(scores: torch.Tensor, goal: torch.Tensor, judged: torch.Tensor | None) -> torch.Tensor:
    """Cross-entropy with the labels where there are any (-1: none), and with the judgements."""
    total = scores.new_zeros(())
    for place, part in ((0, slice(0, LEVELS)), (1, slice(LEVELS, LABELS))):
        hard = functional.cross_entropy(
            scores[:, part],
            goal[:, place],
            label_smoothing=SMOOTHING,
            ignore_index=-1,
            reduction="sum",
        ) / len(scores)
        if judged is None:
            total = total + hard
        else:
            soft = functional.kl_div(
                scores[:, part].log_softmax(-1), judged[:, part].softmax(-1), reduction="batchmean"
            )
            total = total + HARD * hard + soft
    return total


def learn(
    model: Transformer,
    texts: list[Array],
    goals: Array,
    judgements: Array | None,
    plan: tuple[int, int, float, float],
) -> Transformer:
    """Tunes the model; `plan` is epochs, batch size, learning rate, and that of the head."""
    epochs, size, rate, head_rate = plan
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    model.to(DEVICE)
    new = {
        id(value) for part in (model.look, model.inner, model.out) for value in part.parameters()
    }
    tuned = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [value for value in tuned if id(value) in new], "lr": head_rate},
            {"params": [value for value in tuned if id(value) not in new], "lr": rate},
        ],
        weight_decay=0.01,
        fused=DEVICE == "cuda",
    )
    steps = epochs * (len(texts) // size + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / (WARM_UP * steps)) * max(0.01, 1 - step / steps),
    )
    every = torch.tensor(goals).to(DEVICE)
    soft = None if judgements is None else torch.tensor(judgements).to(DEVICE)
    for epoch in range(epochs):
        model.train()
        began, loss = time.time(), torch.zeros(())
        for batch in batches(texts, size, rng):
            ids, real = padded(texts, batch)
            blank = (torch.rand(ids.shape, device=DEVICE) < BLANKED) & real & (ids > UNKNOWN)
            ids = torch.where(blank, UNKNOWN, ids)
            with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=DEVICE == "cuda"):
                scores = model(ids, real)
            at = torch.from_numpy(batch).to(DEVICE)
            loss = losses(scores, every[at], None if soft is None else soft[at])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(tuned, 1.0)
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch}: {time.time() - began:.0f} s, last {loss.item():.3f}", flush=True)
    return model.eval()


@torch.no_grad()
def judged_by(model: Transformer, texts: list[Array]) -> Array:
    """float32[texts, LABELS]."""
    scores = np.zeros((len(texts), LABELS), np.float32)
    order = np.argsort([len(text) for text in texts], kind="stable")
    for at in range(0, len(order), 256):
        batch = order[at : at + 256]
        with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=DEVICE == "cuda"):
            scores[batch] = model(*padded(texts, batch)).cpu().numpy()
    return scores


@torch.no_grad()
def neighbours(words: torch.Tensor, used: Array) -> Array:
    """For each subword, the likest of those in use: int64[subwords, NEIGHBOURS]."""
    table = np.tile(np.arange(len(words))[:, None], (1, NEIGHBOURS))
    vectors = functional.normalize(words[torch.from_numpy(used).to(words.device)].float(), dim=1)
    for at in range(0, len(used), 4_000):
        near = (vectors[at : at + 4_000] @ vectors.T).topk(NEIGHBOURS + 1, 1).indices[:, 1:]
        table[used[at : at + 4_000]] = used[near.cpu().numpy()]
    return table


def changed(texts: list[Array], near: Array, longest: int, rng: np.random.Generator) -> list[Array]:
    """Copies with other subwords, fewer, or more behind them; what they mean, the teacher says."""
    made = []
    for text in texts:
        for _ in range(COPIES):
            copy = text
            if rng.random() < 0.25:
                other = texts[rng.integers(len(texts))]
                if rng.random() < 0.5:
                    copy = np.concatenate([copy[: (len(copy) + 1) // 2], other[len(other) // 2 :]])
                else:
                    copy = np.concatenate([copy, other[: rng.integers(len(other) + 1)]])
            swapped = rng.random(len(copy)) < rng.choice([0.1, 0.25, 0.4])
            other = near[copy, rng.integers(0, NEIGHBOURS, len(copy))]
            copy = np.where(swapped, other, copy)[rng.random(len(copy)) > 0.05]
            made.append(copy[:longest] if len(copy) else text)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", default="", metavar="AUTHORS", help="left out, then judged")
    parser.add_argument("--rows-at-most", type=int, default=None, help="to try it out")
    options = parser.parse_args()
    torch.set_float32_matmul_precision("high")
    base, rows = np.load(options.base), np.load(options.rows)
    texts = np.split(rows["subwords"].astype(np.int64), np.cumsum(rows["lengths"])[:-1])
    unseen = np.isin(rows["authors"], options.without.split(","))
    fitted = np.flatnonzero(~unseen)[: options.rows_at_most]
    goals = np.stack([rows["levels"], rows["kinds"]], 1)
    ours, labels = [texts[i] for i in fitted], goals[fitted]

    teacher = Transformer(base, TEACHER)
    plan = (TEACHER_EPOCHS, TEACHER_BATCH, TEACHER_RATE, HEAD_RATE)
    teacher = learn(teacher, ours, labels, None, plan)
    originals = [texts[i] for i in fitted if not rows["copied"][i]]
    near = neighbours(teacher.words, np.unique(np.concatenate(ours)))
    longest = max(map(len, texts))
    more = changed(originals, near, longest, np.random.default_rng(SEED))
    judgements = judged_by(teacher, ours + more)
    print(f"{len(more)} changed copies judged", flush=True)
    labels = np.concatenate([labels, np.full((len(more), 2), -1)])
    student = Transformer(base, STUDENT)
    plan = (STUDENT_EPOCHS, STUDENT_BATCH, STUDENT_RATE, HEAD_RATE)
    student = learn(student, ours + more, labels, judgements, plan)

    result = {}
    left = np.flatnonzero(unseen & ~rows["copied"])[: options.rows_at_most]
    if len(left):
        for name, model in (("teacher", teacher), ("student", student)):
            scores = result[name] = judged_by(model, [texts[i] for i in left])
            level = scores[:, :LEVELS].argmax(1)
            right = (level == goals[left, 0]) & (scores[:, LEVELS:].argmax(1) == goals[left, 1])
            far = np.abs(level - goals[left, 0]) == LEVELS - 1
            for author in options.without.split(","):
                of = rows["authors"][left] == author
                print(f"{name} on {author}: {right[of].mean():.4f}, far {far[of].mean():.4f}")
        result["authors"] = rows["authors"][left]
    else:
        for name, value in student.state_dict().items():
            if name != "words":
                result[name] = value.cpu().numpy().astype(np.float16)
    np.savez(options.out, heads=teacher.heads, **result)


if __name__ == "__main__":
    main()
