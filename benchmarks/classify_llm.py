"""Milliseconds that the `llm` strategy makes a request wait, with the small local model as clerk.

    python benchmarks/classify_llm.py [--calls 30]

A real model on this machine's processors (SmolLM2-135M under llama.cpp): the figures say nothing of
hosted models, where network and queue decide. How often it gave a label at all is told beside, not
how often a right one. Every text is new, since a known one is answered from memory; between two of
them the model answers the request itself, with one token.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from classify import TOKENS, text_of

from mmrouter import Router
from mmrouter.config import Config, load_config
from mmrouter.eval.compare import latency
from mmrouter.types import Role


def config() -> Config:
    """The local preset, with its model as classifier too."""
    wanted = load_config("local").model_dump()
    model = wanted["routes"]["simple"]["factual"]["model"]
    wanted["models"][model] = {"provider": "local", "capabilities": ["json_schema"]}
    wanted["classifier"] |= {"strategy": "llm", "model": model, "timeout_ms": 60_000}
    return Config.model_validate(wanted)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--calls", type=int, default=30, help="for each length")
    options = parser.parse_args()
    rng = random.Random(0)
    with (
        tempfile.TemporaryDirectory() as folder,
        Router(config(), db=str(Path(folder) / "books.db")) as router,
    ):
        router.route("Hi", max_tokens=1)
        for length, words in TOKENS.items():
            took, labelled = [], 0
            for _ in range(options.calls):
                shuffled = text_of(words).split()
                rng.shuffle(shuffled)
                result = router.route(" ".join(shuffled), max_tokens=1)
                asked = [one for one in result.attempts if one.role is Role.CLASSIFIER]
                took.append(sum(one.latency_ms for one in asked) * 1e3)
                labelled += result.classification.strategy == "llm"
            found = latency(took)
            print(
                f"llm, {length:12} p50 {found.p50 / 1e3:7.0f} ms   p99 {found.p99 / 1e3:7.0f} ms"
                f"   a label {labelled} of {options.calls} times"
            )


if __name__ == "__main__":
    main()
