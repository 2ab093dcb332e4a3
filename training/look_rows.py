"""Cuts the labelled rows into subwords for `look_fit.py`, which then needs nothing but torch.

    python training/look_rows.py --out /tmp/look_rows.npz

Beside each row go copies of some: mistyped, or with words around the request.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from fit import FIT, SEED, WEIGHTS, copies, read, targets

from mmrouter.classifier import features
from mmrouter.classifier.encoder_static import StaticEncoder
from mmrouter.classifier.second_look import shortened


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where the vocabulary is")
    options = parser.parse_args()
    encoder = StaticEncoder(options.weights)
    authors, copied, texts, rows = [], [], [], []
    for author in FIT:
        pairs = [(row, row.judged) for row in read((author,))]
        more = copies(pairs, random.Random(SEED))
        for row, judged in pairs + more:
            rows.append(row)
            authors.append(author)
            texts.append(shortened(encoder.subwords(features.whole(judged))))
        copied += [False] * len(pairs) + [True] * len(more)
    levels, kinds = targets(rows)
    np.savez(
        options.out,
        subwords=np.concatenate(texts).astype(np.int32),
        lengths=np.array([len(text) for text in texts]),
        levels=levels,
        kinds=kinds,
        authors=np.array(authors),
        copied=np.array(copied),
    )
    print(f"{len(rows)} texts, {sum(copied)} of them copies, to {options.out}")


if __name__ == "__main__":
    main()
