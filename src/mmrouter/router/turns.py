"""Whose turn it is among a plan's candidates."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from mmrouter.types import Candidate, Target


class Turns(Iterator[Candidate]):
    """The candidates in order; those that may not be called when their turn comes wait for the end,
    since trying beats refusing.

    Args:
        shut: the target's breaker admits no call now: it has opened since the plan was made, or
            others are probing.
    """

    def __init__(self, candidates: Iterable[Candidate], shut: Callable[[Target], bool]) -> None:
        self._waiting = deque(candidates)
        self._put_off: deque[Candidate] = deque()
        self._shut = shut

    @property
    def more(self) -> bool:
        """Another candidate stands behind the one whose turn it is."""
        return bool(self._waiting or self._put_off)

    @property
    def rest(self) -> tuple[Candidate, ...]:
        """Those whose turn has not come."""
        return (*self._waiting, *self._put_off)

    def replace(self, rest: Iterable[Candidate]) -> None:
        """Others take the places of those whose turn has not come."""
        self._waiting = deque(rest)
        self._put_off.clear()

    def __next__(self) -> Candidate:
        while self._waiting:
            candidate = self._waiting.popleft()
            if self.more and self._shut(candidate.target):
                self._put_off.append(candidate)
            else:
                return candidate
        if self._put_off:
            return self._put_off.popleft()
        raise StopIteration
