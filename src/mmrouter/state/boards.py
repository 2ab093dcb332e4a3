"""Where routers tell each other of their breakers, so that what one has learned all know.

Telling and hearing wait for nobody: a board that cannot be reached makes its routers rely on what
each has seen itself. What is told is idempotent and dated, so it may come late, twice, or never.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mmrouter.decide.breaker import Change, Phase

Learn = Callable[[Change], None]


class Board(Protocol):
    """A board of changes."""

    def listen(self, learn: Learn) -> None:
        """Hands over, once `attend` was called, every breaker that is open and every change to
        come; also those of the listener itself. `learn` is quick and never raises."""

    def attend(self) -> None:
        """Begins to hear and to speak, on the running event loop. Called again, it does nothing."""

    def tell(self, change: Change) -> None:
        """Tells all listeners. Never waits, never raises."""

    async def aclose(self) -> None:
        """Gives back connections."""


class MemoryBoard:
    """The board of one process: see `Board`."""

    def __init__(self) -> None:
        self._listeners: list[Learn] = []
        self._open: dict[tuple[str, str | None], Change] = {}

    def listen(self, learn: Learn) -> None:
        self._listeners.append(learn)
        for change in self._open.values():
            learn(change)

    def attend(self) -> None:
        """Hears already."""

    def tell(self, change: Change) -> None:
        key = (change.provider, change.model)
        if change.phase is Phase.OPEN:
            self._open[key] = change
        elif change.phase is Phase.CLOSED:
            self._open.pop(key, None)
        for learn in self._listeners:
            learn(change)

    async def aclose(self) -> None:
        """Holds nothing open."""
