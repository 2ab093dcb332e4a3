"""Replays a whole log, in as many processes as it is worth."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice
from pathlib import Path

from sqlalchemy import func, select

from mmrouter.eval.replay.logs import chunks_of
from mmrouter.eval.replay.replayer import Replayer, Settings
from mmrouter.eval.replay.sums import Sums
from mmrouter.eval.replay.workers import Workers
from mmrouter.tracker.records import Row
from mmrouter.tracker.schema import requests
from mmrouter.tracker.store import Filter, Store

CHUNK = 250
"""Requests that travel to a worker at a time."""

SMALL = 2_000
"""Requests up to which a log is replayed in this process: starting others would take longer."""

LARGE = 40_000
"""Requests up to which a log is classified as live. Beyond, labels at first sight make do, unless
somebody wants to wait: a second look at the unsure takes four times as long as all the rest."""

_LINE_BYTES = 1_000
"""Of a request in a log, about."""

Chunks = Generator[tuple[int, list[bytes | Row], int], None, None]
"""(number of the first line, lines, how far they bring the progress)"""


def file_chunks(path: Path) -> Chunks:
    """The lines of a JSONL file; progress is in bytes."""
    number = 1
    with path.open("rb") as lines:
        for chunk in chunks_of(iter(lines), CHUNK):
            yield number, list(chunk), sum(map(len, chunk))
            number += len(chunk)


def store_chunks(store: Store) -> Chunks:
    """The requests of our own books, oldest first; progress is in requests."""
    rows = store.rows(Filter())
    number = 1
    while chunk := list(islice(rows, CHUNK)):
        yield number, list(chunk), len(chunk)
        number += len(chunk)


def replay(
    settings: Settings, chunks: Chunks, *, workers: int, advance: Callable[[int], None]
) -> Sums:
    """Replays a log, in other processes where `workers` is above 1.

    Args:
        advance: told how far each chunk brings the progress.

    Raises:
        WorkerDiedError: one of the processes was killed.
    """
    here = Replayer(settings)
    sums = here.empty()
    with closing(chunks):
        if workers < 2:
            for number, lines, size in chunks:
                sums.join(here.chunk(number, lines))
                advance(size)
            return sums
        with Workers(settings, workers) as elsewhere:
            for found, size in elsewhere.map(chunks):
                sums.join(found)
                advance(size)
    return sums


def workers_for(requests: int) -> int:
    """How many processes so many requests are worth."""
    return 1 if requests <= SMALL else len(os.sched_getaffinity(0))


def requests_in(log: Path | Store) -> int:
    """How many requests a log holds; of a file, about."""
    if isinstance(log, Path):
        return log.stat().st_size // _LINE_BYTES
    with log.read() as connection:
        return connection.execute(select(func.count()).select_from(requests)).scalar_one()
