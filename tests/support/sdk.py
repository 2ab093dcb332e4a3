"""The four ways in which the official SDKs are called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.openai_answers import Case


@dataclass(frozen=True)
class Mode:
    """Synchronous or asynchronous, whole or streamed."""

    asynchronous: bool
    stream: bool

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """As in the tables' columns."""
        how = "async" if self.asynchronous else "sync"
        return f"streamed, {how}" if self.stream else how

    async def call(self, create: Callable[..., Any], **arguments: Any) -> Any:
        """Asks; gives the JSON of the answer, or of each of its events."""
        if not self.stream:
            return (await self.run(create, **arguments)).to_dict()
        events: list[Any] = []
        await self.drain(await self.run(create, **arguments, stream=True), events)
        return [event.to_dict() for event in events]

    async def run(self, method: Callable[..., Any], *given: Any, **arguments: Any) -> Any:
        """Calls a method of a client of this kind."""
        if self.asynchronous:
            return await method(*given, **arguments)
        return await asyncio.to_thread(method, *given, **arguments)

    async def drain(self, stream: Any, into: list[Any]) -> None:
        """Reads a stream's events to its end."""
        if self.asynchronous:
            async for event in stream:
                into.append(event)  # noqa: PERF401 - what has arrived counts when it breaks off
        else:
            await asyncio.to_thread(into.extend, stream)

    @asynccontextmanager
    async def using(self, client: Any) -> AsyncIterator[Any]:
        """The client, closed afterwards."""
        try:
            yield client
        finally:
            if self.asynchronous:
                await client.close()
            else:
                client.close()


WHOLE = (Mode(False, False), Mode(True, False))
MODES = (*WHOLE, Mode(False, True), Mode(True, True))


def modes_of(cases: Iterable[Case]) -> list[Any]:
    """Every case in every mode that it exists in, as parameters of a test."""
    return [
        pytest.param(case, mode, id=f"{case.name}-{mode}")
        for case in cases
        for mode in MODES
        if (case.events if mode.stream else case.answer) is not None
    ]
