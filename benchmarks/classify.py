"""Microseconds for each classification, by strategy and length; import and load time; memory.

    python benchmarks/classify.py

One thread. "judge" is finding the words that count; the strategies get them ready made. The first
look and the second are timed apart on made-up texts; what a request waits for in truth is told by
the shipped test set, of which most need no second. Imports are timed in fresh processes (median of
five, byte-code caches present).
"""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from mmrouter.classifier.base import Classifier, Unsure
from mmrouter.classifier.rules import RulesClassifier
from mmrouter.classifier.text import judge
from mmrouter.dialects.base import Conversation
from mmrouter.eval.compare import latency
from mmrouter.eval.dataset import read_rows

SENTENCE = (
    "Can you write a short Python function that reads a csv file and prints the average of each "
    "numeric column, and then explain how the {} would behave if a {} value were missing there? "
)
FILLERS = ("median", "broken", "header", "blank", "table", "negative", "index", "wrong")
TOKENS = {"20 tokens": 15, "200 tokens": 150, "2,000 tokens": 1_500}
"""Name -> words; English has about four tokens in three words."""
START = (
    "import time; t = time.perf_counter(); {imports}; a = time.perf_counter(); {call};"
    "b = time.perf_counter(); print((a - t) * 1e3, (b - a) * 1e3)"
)
CALL = "C().classify(judge(Conversation([dict(role='user', content='hi')])))"
COMMON = (
    "from mmrouter.classifier.text import judge; from mmrouter.dialects.base import Conversation"
)


def text_of(words: int) -> str:
    """A text of so many words, not the same sentence over and over."""
    pieces: list[str] = []
    turn = 0
    while len(pieces) < words:
        pair = FILLERS[turn % 8], FILLERS[(turn * 3 + 1) % 8]
        pieces.extend(SENTENCE.format(*pair).split())
        turn += 1
    return " ".join(pieces[:words])


def report(name: str, call: Callable[[], object], rounds: int) -> None:
    """Prints the percentiles of some calls."""
    for _ in range(20):
        call()
    took = []
    gc.disable()
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        took.append((time.perf_counter() - start) * 1e6)
    gc.enable()
    found = latency(took)
    print(
        f"{name:32} p50 {found.p50:8.1f} us [{found.p50_low:.1f}, {found.p50_high:.1f}]"
        f"   p99 {found.p99:8.1f} us"
    )


def fresh(imports: str) -> None:
    """Prints the import and the first call of a strategy in new processes."""
    program = START.format(imports=f"{imports}; {COMMON}", call=CALL)
    runs = []
    for _ in range(5):
        out = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        runs.append(tuple(map(float, out.stdout.split())))
    first, second = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"    import {first:.0f} ms, first call with load {second:.0f} ms")


def second_look(words: int) -> Callable[[], object] | None:
    """A second look at a text of so many words; None where it is not installed."""
    from mmrouter.classifier.embeddings import can_look_again, shipped_encoder, shipped_look

    if not can_look_again():
        return None
    look, subwords = shipped_look(), shipped_encoder().subwords(text_of(words))
    return lambda: look.own(subwords)


def traffic(classifier: Classifier) -> None:
    """Prints what the requests of the shipped test set wait for, all and those of 50 words up.

    Each is asked once: its words are new to what the classifier remembers, as they are in traffic.
    """
    requests = [row.judged for row in read_rows()]
    took, sight, again = [], [], []
    for judged in requests:
        start = time.perf_counter()
        found = classifier.begin(judged)
        sight.append((time.perf_counter() - start) * 1e6)
        if isinstance(found, Unsure):
            found.look_again()
        took.append((time.perf_counter() - start) * 1e6)
        again.append(isinstance(found, Unsure))
    long = [len(judged.text.split()) >= 50 for judged in requests]
    for name, chosen in (("all", [True] * len(took)), ("50 words and more", long)):
        times, first, looked = (
            [value for value, one in zip(values, chosen, strict=True) if one]
            for values in (took, sight, again)
        )
        shown = latency(times)
        print(
            f"    test set, {name}: {len(times)} requests, p50 {shown.p50:.0f} us, p99 "
            f"{shown.p99:.0f} us, mean {statistics.mean(times):.0f} us; looked at again "
            f"{statistics.mean(looked):.0%}; p50 at first sight {statistics.median(first):.0f} us"
        )


def strategies() -> dict[str, tuple[str, Callable[[], Classifier]]]:
    """Name -> (import line for a fresh process, maker); those that are installed."""
    found: dict[str, tuple[str, Callable[[], Classifier]]] = {
        "rules": ("from mmrouter.classifier.rules import RulesClassifier as C", RulesClassifier)
    }
    try:
        from mmrouter.classifier.embeddings import EmbeddingsClassifier
    except ImportError as missing:
        print(f"embeddings: not installed ({missing})")
    else:
        line = "from mmrouter.classifier.embeddings import EmbeddingsClassifier as C"
        found["embeddings"] = (line, EmbeddingsClassifier)
    return found


def main() -> None:
    """See the module's text."""
    for length, words in TOKENS.items():
        talk = Conversation([{"role": "user", "content": text_of(words)}])
        report(f"judge, {length}", lambda talk=talk: judge(talk), 2_000)
    for name, (line, make) in strategies().items():
        print(name)
        fresh(line)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        classifier = make()
        for length, words in TOKENS.items():
            judged = judge(Conversation([{"role": "user", "content": text_of(words)}]))
            report(f"{name}, {length}", lambda j=judged, c=classifier: c.begin(j), 2_000)
            if name == "embeddings" and (again := second_look(words)):
                report(f"second look, {length}", again, 200)
        traffic(classifier)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"    peak memory grew by {grown:.0f} MB")


if __name__ == "__main__":
    main()
