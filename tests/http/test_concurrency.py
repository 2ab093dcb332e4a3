"""A thousand streams at once through `mmrouter serve` with one worker, and one that stalls."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.support.configs import config_for
from tests.support.openai_answers import Json
from tests.support.server import serving_process
from tests.support.upstream import DONE, Upstream, chat, chunk, usage_chunk

_STREAMS = 1000
_CHUNKS = 50
_PATH = "/v1/chat/completions"


class _Gate:
    """Opens when so many have come to it; they are on another loop than the test."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._came = 0
        self._open = asyncio.Event()
        self.full = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def wait(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._came += 1
        if self._came >= self._wanted:
            self.full.set()
        await self._open.wait()

    def open(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self._open.set)


def _memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _asked(**changes: object) -> Json:
    return {
        "model": "auto",
        "messages": [{"role": "user", "content": "Count."}],
        "stream": True,
        **changes,
    }


async def _words(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The texts of a chat stream, which must end well."""
    data = b""
    async for line in response.content:
        if line.startswith(b"data: "):
            data = line[6:].strip()
            if data != b"[DONE]":
                for choice in json.loads(data)["choices"]:
                    if choice["delta"].get("content"):
                        yield choice["delta"]["content"]
    assert data == b"[DONE]"


async def test_a_thousand_streams_are_complete_and_in_order_while_one_stalls(
    upstream: Upstream, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    gate, stall = _Gate(_STREAMS), _Gate(1)
    events = [chunk({"content": f"{n} "}) for n in range(_CHUNKS)]

    async def count(request: web.Request, body: Json) -> web.StreamResponse:
        if "stall" in body:
            await stall.wait()
        if "gate" not in body:
            return await chat(request, body)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(events[0])
        await gate.wait()  # all of them have begun
        for event in events[1:]:
            await response.write(event)
            await asyncio.sleep(0)
        await response.write(usage_chunk(output=_CHUNKS) + DONE)
        return response

    upstream.handler = count
    config = config_for({"m": upstream.base_url}, provider={"timeout_ms": 60_000})
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=100)
    with serving_process(config, tmp_path) as (url, pid):
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

            async def stream(**changes: object) -> list[str]:
                async with session.post(url + _PATH, json=_asked(**changes)) as response:
                    assert response.status == 200
                    return [word async for word in _words(response)]

            await asyncio.gather(*(stream() for _ in range(20)))
            before = _memory_mib(pid)
            stalled = asyncio.create_task(stream(stall=True))
            streams = [asyncio.create_task(stream(gate=True)) for _ in range(_STREAMS)]
            assert await asyncio.to_thread(gate.full.wait, 60), "not all streams have begun"
            during = _memory_mib(pid)
            gate.open()
            expected = [f"{n} " for n in range(_CHUNKS)]
            for words in await asyncio.gather(*streams):
                assert words == expected
            after = _memory_mib(pid)
            assert not stalled.done(), "a thousand others were served meanwhile"
            stall.open()
            assert await stalled == ["Par", "is", "."]
    record_property("memory_mib", f"{before:.0f} before, {during:.0f} during, {after:.0f} after")
    assert during - before < 150, "MiB for a thousand open streams"
    assert after - before < 150
