"""Processes that replay chunks of a log.

Each holds one chunk at a time: a long log does not wait in memory, and an interruption waits for
nobody. A worker whose parent has died reads the end of its pipe, and ends.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import cast

from mmrouter.errors import MMRouterError
from mmrouter.eval.replay.replayer import Replayer, Settings
from mmrouter.eval.replay.sums import Sums
from mmrouter.tracker.records import Row

_Chunk = tuple[int, Sequence[bytes | Row], int]


class WorkerDiedError(MMRouterError):
    """A process that replayed a part of the log has died."""


class Workers:
    """The processes; on leaving they are gone, whatever they were at."""

    def __init__(self, settings: Settings, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._processes = []
        self._pipes: list[Connection] = []
        # Ctrl-C reaches them too: they inherit that it is held off, and we end them. The tracker
        # comes first, since its start lifts the mask
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(count):
                ours, theirs = spawn.Pipe()
                process = spawn.Process(target=_serve, args=(theirs, settings), daemon=True)
                self._processes.append(process)
                self._pipes.append(ours)
                process.start()
                theirs.close()  # so that we read its end when it dies
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            pipe.close()
            process.terminate()
        for process in self._processes:
            process.join()

    def map(self, chunks: Iterable[_Chunk]) -> Iterator[tuple[Sums, int]]:
        """The sums of each chunk, in the order in which they are ready, with the chunk's size.

        Raises:
            WorkerDiedError
        """
        idle, busy = list(self._pipes), dict[Connection, int]()
        for number, lines, size in chunks:
            if not idle:
                yield from self._collect(idle, busy)
            pipe = idle.pop()
            busy[pipe] = size
            self._send(pipe, number, lines)
        while busy:
            yield from self._collect(idle, busy)

    def _collect(
        self, idle: list[Connection], busy: dict[Connection, int]
    ) -> Iterator[tuple[Sums, int]]:
        for ready in cast(list[Connection], wait(list(busy))):
            try:
                found = ready.recv()
            except (EOFError, OSError):
                raise self._died(ready) from None
            idle.append(ready)
            yield found, busy.pop(ready)

    def _send(self, pipe: Connection, number: int, lines: Sequence[bytes | Row]) -> None:
        try:
            pipe.send((number, lines))
        except OSError:
            raise self._died(pipe) from None

    def _died(self, pipe: Connection) -> WorkerDiedError:
        process = self._processes[self._pipes.index(pipe)]
        process.join(1.0)
        code = process.exitcode
        how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return WorkerDiedError(
            f"A process of the replay has died ({how}) and its part of the log is lost, so nothing "
            "is reported. If the system was short of memory, try --workers 1"
        )


def _serve(pipe: Connection, settings: Settings) -> None:
    """Answers until the other end closes."""
    replayer = Replayer(settings)
    while True:
        try:
            number, lines = pipe.recv()
        except EOFError:
            return
        found = replayer.chunk(number, lines)
        try:
            pipe.send(found)
        except OSError:
            return
