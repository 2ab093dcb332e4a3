"""Counters in the memory of this process. They die with it, and their reservations too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mmrouter.decide.budget import Balance
from mmrouter.state.base import Full, Lapsed, Unknown
from mmrouter.types import Nanos


@dataclass(slots=True)
class _Counter:
    settled: Nanos
    until: float
    reserved: Nanos = 0


class MemoryCounters:
    """See `Counters`; safe from several threads.

    Args:
        now: Unix seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._counters: dict[str, _Counter] = {}
        self._reservations: dict[str, tuple[Nanos, tuple[str, ...]]] = {}

    async def start(self, counter: str, settled: Nanos, *, until: float) -> None:
        with self._lock:
            now = self._now()
            over = [name for name, c in self._counters.items() if c.until < now and not c.reserved]
            for name in over:
                del self._counters[name]
            self._counters.setdefault(counter, _Counter(settled, until))

    async def read(self, counters: Sequence[str]) -> list[Balance | None]:
        with self._lock:
            found = [self._counters.get(name) for name in counters]
            return [Balance(c.settled, c.reserved) if c else None for c in found]

    async def reserve(
        self, id: str, amount: Nanos, limits: Mapping[str, Nanos]
    ) -> Full | Unknown | None:
        with self._lock:
            unknown = tuple(name for name in limits if name not in self._counters)
            if unknown:
                return Unknown(unknown)
            held, _ = self._reservations.get(id, (0, ()))
            for name, limit in limits.items():
                counter = self._counters[name]
                if counter.settled + counter.reserved - held + amount > limit:
                    return Full(name, Balance(counter.settled, counter.reserved))
            for name in limits:
                self._counters[name].reserved += amount - held
            self._reservations[id] = amount, tuple(limits)
            return None

    async def settle(self, id: str, cost: Nanos, counters: Sequence[str]) -> Nanos | None:
        with self._lock:
            held, reserved_on = self._reservations.pop(id, (None, ()))
            for name in reserved_on:
                self._counters[name].reserved -= held or 0
            for name in counters:
                if name in self._counters:
                    self._counters[name].settled += cost
            return held

    async def lapsed(self) -> list[Lapsed]:
        return []

    async def resolve(self, lapsed: Lapsed, cost: Nanos) -> None:
        if lapsed.id in self._reservations:
            await self.settle(lapsed.id, cost, lapsed.counters)

    async def aclose(self) -> None:
        """Holds nothing open."""
