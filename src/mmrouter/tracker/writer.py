"""Group commit: requests that finish together are written by one transaction.

An event loop hands over at the end of a tick what was recorded in it. One thread per process writes
whatever has queued up while the batch before it was written, and wakes each loop once per batch.
`Tracker.record` returns when its row is durable against SIGKILL.

Committing in the event loop itself would spare the hand-over (0.05 ms), and would stop every
request whenever another process holds the database: benchmarks/tracker.py measures both.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from mmrouter.errors import TrackerError
from mmrouter.tracker.records import BadRecordError, Record, to_record
from mmrouter.tracker.spill import Spill
from mmrouter.tracker.store import Store
from mmrouter.types import Outcome

logger = logging.getLogger(__name__)

BATCH_LIMIT = 512
"""Requests after which a batch takes no further tick: the first of them should not wait long."""

RETRY_S = (1.0, 30.0)
"""Pause before a lost database is tried again: at first, and at most after doubling."""


class _Waiting(NamedTuple):
    record: Record
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


class Tracker:
    """Records finished requests, from any event loop of any thread.

    When the database is lost, rows go to the spill file and are replayed when it is back. Without a
    spill file (or when that cannot be written either) `record` and `check` raise until then; the
    rows that were refused so are kept and written too, for their calls were paid for.

    Args:
        store: the books; the tracker closes it.
        spill: where to set rows aside, or None to refuse.
    """

    def __init__(self, store: Store, spill: Path | None = None) -> None:
        self._store = store
        self._spill = Spill(spill) if spill else None
        self._ticks: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
        self._queue: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._refusal: str | None = None
        self._refused: list[Record] = []
        self._lost = False
        self._retry_at = 0.0
        self._retry_s = RETRY_S[0]
        self._replay: Iterator[int] | None = None
        self._thread = threading.Thread(target=self._run, name="mmrouter-tracker", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Ask before a call is made whether it could be recorded.

        Raises:
            TrackerError: not now.
        """
        if self._refusal is not None:
            raise TrackerError(self._refusal)

    async def record(self, outcome: Outcome) -> None:
        """Write `outcome`; it is durable against SIGKILL on return.

        A caller that is cancelled while it waits has its row written all the same.

        Raises:
            TrackerError: it could not be written, or the tracker is closed.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(to_record(outcome), loop, loop.create_future())
        if loop in self._ticks:
            self._ticks[loop].append(waiting)
        else:
            self._ticks[loop] = [waiting]
            loop.call_soon(self._hand_over, loop)
        await waiting.future

    def close(self) -> None:
        """Write what is queued, and close the store.

        Raises:
            TrackerError: rows were lost, because neither the database nor the spill file took them.
        """
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._store.close()
        if self._refused:
            ids = ", ".join(str(record.request["id"]) for record in self._refused)
            raise TrackerError(f"{len(self._refused)} requests could not be recorded: {ids}")

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        tick = self._ticks.pop(loop)
        with self._gate:
            if not self._closed:
                self._queue.put(tick)
                return
        _answer(tick, TrackerError(self._refusal or "the tracker is closed"))

    def _run(self) -> None:
        self._start_replay()
        open_ = True
        while open_:
            batch, open_ = self._take()
            try:
                self._step(batch, due=not open_ or time.monotonic() >= self._retry_at)
            except BaseException as error:  # a fault of ours: nobody may wait for ever
                stopped = TrackerError(f"the tracker's writer has stopped: {error!r}")
                self._stop(batch, stopped)
                raise

    def _step(self, batch: Sequence[_Waiting], *, due: bool) -> None:
        if self._lost and due:
            self._recover()
        if batch:
            self._settle(batch)
        elif self._replay is not None:
            self._replay_chunk(self._replay)

    def _stop(self, batch: Sequence[_Waiting], error: TrackerError) -> None:
        with self._gate:
            self._closed = True
        self._refusal = str(error)
        _answer(batch, error)
        while not self._queue.empty():
            _answer(self._queue.get() or [], error)

    def _take(self) -> tuple[list[_Waiting], bool]:
        """What is queued, and whether more may come. Waits as long as there is nothing to do."""
        batch: list[_Waiting] = []
        try:
            tick = self._queue.get(timeout=self._patience())
            while tick is not None:
                batch += tick
                if len(batch) >= BATCH_LIMIT:
                    return batch, True
                tick = self._queue.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _patience(self) -> float | None:
        if self._replay is not None:
            return 0.0
        if self._lost:
            return max(0.0, self._retry_at - time.monotonic())
        return None

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        if not self._lost:
            try:
                self._store.write([waiting.record for waiting in batch])
            except BadRecordError as error:
                self._settle_each(batch, error)
                return
            except TrackerError as error:
                self._lose(error)
            else:
                _answer(batch, None)
                return
        self._set_aside(batch)

    def _settle_each(self, batch: Sequence[_Waiting], error: BadRecordError) -> None:
        """One row of the batch is at fault: find it, and spare the others."""
        if len(batch) == 1:
            logger.error("request %s is not recorded: %s", batch[0].record.request["id"], error)
            _answer(batch, error)
            return
        for waiting in batch:
            self._settle([waiting])

    def _set_aside(self, batch: Sequence[_Waiting]) -> None:
        records = [waiting.record for waiting in batch]
        if self._spill is not None:
            try:
                self._spill.append(records)
            except OSError as error:
                self._refusal = f"the tracker's database is lost, and so is its spill file: {error}"
            else:
                _answer(batch, None)
                return
        self._refused += records
        _answer(batch, TrackerError(self._refusal))

    def _lose(self, error: TrackerError) -> None:
        if not self._lost:
            logger.error("the tracker's database is lost: %s", error)
            self._lost = True
            self._retry_s = RETRY_S[0]
        else:
            self._retry_s = min(self._retry_s * 2, RETRY_S[1])
        self._retry_at = time.monotonic() + self._retry_s
        self._replay = None
        if self._spill is None:
            self._refusal = str(error)

    def _recover(self) -> None:
        """Try the database with the rows that were refused; then the spill file, if need be."""
        try:
            self._store.write(self._refused)
        except TrackerError as error:
            self._lose(error)
            return
        logger.warning("the tracker's database is back")
        self._lost = False
        self._refused, self._refusal = [], None
        self._start_replay()

    def _start_replay(self) -> None:
        if self._spill is not None and self._spill.pending:
            self._replay = self._spill.replay(self._store.write)

    def _replay_chunk(self, replay: Iterator[int]) -> None:
        try:
            if next(replay, None) is None:
                self._replay = None
        except TrackerError as error:
            self._lose(error)


def _answer(batch: Sequence[_Waiting], error: TrackerError | None) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for waiting in batch:
        by_loop.setdefault(waiting.loop, []).append(waiting.future)
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, error)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            logger.debug("%d rows recorded for a closed event loop", len(futures))


def _resolve(futures: Sequence[asyncio.Future[None]], error: TrackerError | None) -> None:
    for future in futures:
        if future.done():  # its caller was cancelled
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
