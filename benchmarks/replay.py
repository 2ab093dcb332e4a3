"""How long a replay takes, and how much memory: `python benchmarks/replay.py [REQUESTS]`.

The log is the sample's requests over and over, in its mixed shapes: every second one as the last
turn of a conversation, every tenth with two tools, every line with a number of its own, so that
nothing is the same twice.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import mmrouter.eval

SAMPLE = Path(mmrouter.eval.__file__).parent / "data" / "sample-log.jsonl"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Looks things up in the company's records. " * 8,
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
        },
    }
    for name in ("search", "lookup")
]


def write_log(path: Path, requests: int) -> None:
    """Writes the log."""
    rows = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
    with path.open("w") as log:
        for number, row in enumerate(islice(cycle(rows), requests)):
            key = "messages" if "messages" in row else "input"
            *system, last = row[key]
            turns = [*system, {**last, "content": f"{last['content']} (case {number})"}]
            if number % 2:
                earlier = [
                    {"role": "user", "content": "We spoke about the release. What is left to do?"},
                    {"role": "assistant", "content": "The changelog, the tags, the notes. " * 12},
                ]
                turns = [*system, *earlier, turns[-1]]
            made = {**row, key: turns, **({"tools": TOOLS} if number % 10 == 0 else {})}
            log.write(json.dumps(made) + "\n")


def main() -> None:
    """Measures one replay and one comparison."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        write_log(log, requests)
        print(f"{requests} requests, {log.stat().st_size / 1e6:.0f} MB")
        command = [Path(sys.executable).with_name("mmrouter"), "replay", log, "--json"]
        for what, more in (
            ("one config", ["--config", "default"]),
            ("two configs", ["--compare", "default", "budget"]),
        ):
            started = time.perf_counter()
            subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)
            took = time.perf_counter() - started
            most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"{what}: {took:.1f} s, largest process {most:.0f} MB")


if __name__ == "__main__":
    main()
