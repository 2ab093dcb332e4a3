"""Many streams through one worker of `mmrouter serve`, with and without an upstream that stalls.

    python benchmarks/concurrency.py [--streams 200] [--rounds 10] [--stalled 50]

Prints, for both, the time from request to last byte (p50, p99) of the streams whose upstream
answers. Client and upstream share the machine with the server: compare the two lines, no more.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/support is imported from there

from tests.support.configs import config_for
from tests.support.server import serving_process
from tests.support.upstream import DONE, chunk, running, send, usage_chunk

_CHUNKS = 50
_BODY = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Count."}]}
_EVENTS = [*(chunk({"content": f"{n} "}) for n in range(_CHUNKS)), usage_chunk(), DONE]


async def upstream(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Counts to fifty; or never answers."""
    if "stall" in body:
        await asyncio.Event().wait()
    return await send(request, _EVENTS)


async def measure(url: str, streams: int, rounds: int, stalled: int) -> list[float]:
    """Milliseconds of each stream, ascending."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(**changes: object) -> float:
            began = time.perf_counter()
            async with session.post(url, json={**_BODY, **changes}) as response:
                await response.read()
                response.raise_for_status()
            return (time.perf_counter() - began) * 1000

        waiting = [asyncio.create_task(one(stall=True)) for _ in range(stalled)]
        took: list[float] = []
        for _ in range(rounds + 1):
            took += await asyncio.gather(*(one() for _ in range(streams)))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return sorted(took[streams:])  # the first round warms up


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=200, help="at once")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--stalled", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(upstream) as up:
        config = config_for({"m": up.base_url}, provider={"timeout_ms": 600_000})
        with serving_process(config, Path(folder)) as (base, _):
            for stalled in (0, options.stalled):
                url = f"{base}/v1/chat/completions"
                took = asyncio.run(measure(url, options.streams, options.rounds, stalled))
                p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
                print(f"{stalled:3} stalled: p50 {p50:6.0f} ms, p99 {p99:6.0f} ms ({len(took)})")


if __name__ == "__main__":
    main()
