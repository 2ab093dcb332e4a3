"""Teaches a fitted second look some more rows, on a processor: where no GPU is at hand.

    python training/look_further.py --look /tmp/look.npz --base /tmp/base.npz --out /tmp/more.npz \\
        --new a20 a21

The new rows are learnt by their labels; of the others a sample is learnt by what the second look
said of it before, so that it does not unlearn them. About 7 minutes on one core for 900 new rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from fit import FIT, WEIGHTS, read, targets
from look_fit import STUDENT, Transformer, judged_by, learn

from mmrouter.classifier import features
from mmrouter.classifier.encoder_static import StaticEncoder
from mmrouter.classifier.second_look import shortened

EPOCHS, BATCH, RATE, HEAD_RATE = 2, 32, 4e-5, 2e-4
SAMPLE = 1_200
SURE = 6.0
"""A label as a score, beside what the second look says of other rows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--look", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--new", nargs="+", required=True, metavar="AUTHOR")
    options = parser.parse_args()
    encoder = StaticEncoder(WEIGHTS)
    rng = np.random.default_rng(0)
    new = read(tuple(options.new))
    old = read(tuple(author for author in FIT if author not in options.new))
    old = [old[i] for i in rng.permutation(len(old))[:SAMPLE]]
    texts = [shortened(encoder.subwords(features.whole(row.judged))) for row in old + new]

    look = np.load(options.look)
    model = Transformer(np.load(options.base), STUDENT)
    known = {name: torch.tensor(look[name].astype(np.float32)) for name in look.files}
    model.load_state_dict(
        {"words": model.words, **{k: v for k, v in known.items() if k != "heads"}}
    )
    judgements = judged_by(model.eval(), texts)
    levels, kinds = targets(new)
    wanted = np.zeros((len(new), judgements.shape[1]), np.float32)
    wanted[np.arange(len(new)), levels] = SURE
    wanted[np.arange(len(new)), 3 + kinds] = SURE
    judgements[len(old) :] = (judgements[len(old) :] + wanted) / 2
    goals = np.stack(targets(old + new), 1)
    model = learn(model, texts, goals, judgements, (EPOCHS, BATCH, RATE, HEAD_RATE))
    result = {
        name: value.numpy().astype(np.float16)
        for name, value in model.state_dict().items()
        if name != "words"
    }
    np.savez(options.out, heads=look["heads"], **result)


if __name__ == "__main__":
    main()
