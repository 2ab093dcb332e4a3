"""A provider dies under load, and comes back: what clients see, and what the dead one has to bear.

    python benchmarks/outage.py [--rate 200] [--seconds 9] [--only hang,redis]

The client sends at a fixed rate, whatever comes back (an open loop: what waits is not spared). Its
requests go to the model `first`, behind which stands `second`. For each way to die: healthy for a
while, then dead, then healthy again. `redis` is four processes that share their breakers; Redis is
killed while `first` is dead, and started again. The breaker's reset is 2 s instead of 60 s, so that
recovery fits into a run, and it is what bounds recovery; where `first` hangs, an attempt is given
up after 2 s. Client, servers, Redis and upstreams share the machine: it says how busy that was.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import aiohttp
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/support is imported from there

from tests.support.configs import config_for
from tests.support.redis_server import redis_server
from tests.support.server import serving_process
from tests.support.upstream import completion

RESET_S, TIMEOUT_S = 2.0, 2.0
BODY = {"model": "auto", "messages": [{"role": "user", "content": "What is 2+2?"}]}


@dataclass
class Provider:
    """An upstream on a port of its own that can die.

    Attributes:
        how: "well", "refused", "hang" or "503".
        calls: when each call, or attempt to connect, came (`time.monotonic`).
    """

    how: str = "well"
    port: int = 0
    calls: list[float] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _site: web.TCPSite | None = None
    _runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Listens."""
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen()

    async def becomes(self, how: str) -> None:
        """Dies, or comes back."""
        if how == "refused":
            assert self._site is not None
            await self._site.stop()
            for connection in list(self._runner.server.connections if self._runner else ()):
                connection.force_close()
                if connection.transport is not None:
                    connection.transport.abort()
        elif self.how == "refused":
            await self._listen()
        self.how = how

    async def stop(self) -> None:
        """Listens no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _listen(self) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[-1][1]

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.calls.append(time.monotonic())
        await request.read()
        if self.how == "hang":
            await asyncio.Event().wait()
        if self.how == "503":
            return web.json_response({"error": {"message": "out of order"}}, status=503)
        return web.json_response(completion())


@dataclass(frozen=True)
class Reply:
    """What one request came to. Times by `time.monotonic`; `model` is None where it failed."""

    sent: float
    took_ms: float
    model: str | None
    attempts: int


@dataclass
class Load:
    """Requests at a fixed rate, to the servers in turn."""

    urls: Sequence[str]
    rate: float
    replies: list[Reply] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sends until the block ends, then waits for what is under way."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            sending = asyncio.create_task(self._send(session))
            try:
                yield
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                await asyncio.gather(*self._under_way, return_exceptions=True)

    def between(self, begin: float, end: float) -> list[Reply]:
        """Those that were sent then."""
        return [reply for reply in self.replies if begin <= reply.sent < end]

    async def _send(self, session: aiohttp.ClientSession) -> None:
        self._under_way: set[asyncio.Task[None]] = set()
        began = time.monotonic()
        for number, url in enumerate(cycle(self.urls)):
            await asyncio.sleep(began + number / self.rate - time.monotonic())
            task = asyncio.create_task(self._one(session, f"{url}/v1/chat/completions"))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _one(self, session: aiohttp.ClientSession, url: str) -> None:
        sent, model, attempts = time.monotonic(), None, 0
        try:
            async with session.post(url, json=BODY) as response:
                await response.read()
                attempts = int(response.headers["x-mmrouter-attempts"])
                if response.status == 200:
                    model = response.headers["x-mmrouter-model"]
        except (aiohttp.ClientError, OSError) as error:
            print(f"   a client saw {error!r}")
        took_ms = (time.monotonic() - sent) * 1000
        self.replies.append(Reply(sent, took_ms, model, attempts))


def took(replies: Sequence[Reply]) -> str:
    """Median and 99th percentile, in milliseconds."""
    all_ms = sorted(reply.took_ms for reply in replies)
    if not all_ms:
        return "nothing"
    return f"{all_ms[len(all_ms) // 2]:.1f} / {all_ms[len(all_ms) * 99 // 100]:.1f} ms"


async def outage(
    how: str,
    load: Load,
    first: Provider,
    seconds: float,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Healthy, dead, healthy; prints what came of it.

    Args:
        meanwhile: done half-way through the outage.
    """
    first.calls.clear()
    async with load.running():
        await asyncio.sleep(1 + seconds / 2)
        died = time.monotonic()
        await first.becomes(how)
        await asyncio.sleep(seconds / 2)
        if meanwhile is not None:
            await asyncio.to_thread(meanwhile)
        await asyncio.sleep(max(0.0, died + seconds - time.monotonic()))
        back = time.monotonic()
        await first.becomes("well")
        await asyncio.sleep(seconds / 2)
        end = time.monotonic()
    before = load.between(died - seconds / 2, died)
    # Opening: until the first five have failed. What follows is the outage as it goes on.
    opened = died + 0.5 + (TIMEOUT_S if how == "hang" else 0)
    opening, during = load.between(died, opened), load.between(opened, back)
    after = load.between(back, end)
    again = [r.sent + r.took_ms / 1000 - back for r in after if r.model == "first"]
    late = load.between(back + (again[0] if again else 0) + 0.5, end)
    share = sum(r.model == "first" for r in late) / max(1, len(late))
    failed = [r for r in load.replies if r.model is None]
    calls = sum(opened <= at < back for at in first.calls)
    tried = sum(r.attempts > 1 for r in during)
    per_second = max(calls, tried) / (back - opened)
    print(
        f"{how:>8}  {len(load.replies)} requests, {len(failed)} failed for clients\n"
        f"          p50 / p99 before {took(before)}, while it opens {took(opening)}, "
        f"open {took(during)}, after {took(late)}\n"
        f"          calls to the dead one once open: {per_second:.2f}/s of {load.rate:.0f}/s\n"
        f"          answers again {again[0] if again else float('nan'):.2f} s after its return; "
        f"then {share:.0%} of requests go to it"
    )


async def measure(options: argparse.Namespace) -> None:
    """All that was asked for."""
    first, second = Provider(), Provider()
    await first.start()
    await second.start()
    wanted = options.only.split(",")
    for how in ("refused", "hang", "503"):
        if how in wanted:
            with ExitStack() as stack:
                urls = await asyncio.to_thread(servers, stack, 1, how, "memory://", first, second)
                print(f"one process, {options.rate:.0f} requests/s")
                await outage(how, Load(urls, options.rate), first, options.seconds)
    for shared in (False, True):
        if "redis" in wanted:
            await four_processes(shared, first, second, options)
    await first.stop()
    await second.stop()


async def four_processes(
    shared: bool, first: Provider, second: Provider, options: argparse.Namespace
) -> None:
    """The same with four processes; where they share, Redis is killed on the way and comes back."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mm-")))
        redis = stack.enter_context(ExitStack())
        url = "memory://"
        if shared:
            url = await asyncio.to_thread(redis.enter_context, redis_server(folder))
        urls = await asyncio.to_thread(servers, stack, 4, "503", url, first, second)
        print(f"four processes, {'shared through Redis' if shared else 'each for itself'}")
        await outage("503", Load(urls, options.rate), first, options.seconds)
        if shared:

            def kill_and_start() -> None:
                redis.close()
                time.sleep(1)
                redis.enter_context(redis_server(folder))

            print("four processes, Redis killed half-way through the outage, back 1 s later")
            await outage("503", Load(urls, options.rate), first, options.seconds, kill_and_start)


def servers(
    stack: ExitStack, number: int, how: str, state: str, first: Provider, second: Provider
) -> list[str]:
    """Starts so many of `mmrouter serve`."""
    config = config_for(
        {
            "first": f"http://127.0.0.1:{first.port}/v1",
            "second": f"http://127.0.0.1:{second.port}/v1",
        },
        provider={
            "max_retries": 0,
            "timeout_ms": int(TIMEOUT_S * 1000) if how == "hang" else 30_000,
            "circuit_breaker_reset_ms": int(RESET_S * 1000),
        },
        state={"url": state},
    )
    urls = []
    for _ in range(number):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls.append(stack.enter_context(serving_process(config, folder))[0])
    return urls


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument(
        "--seconds", type=float, default=9, help="how long an outage lasts, at most 60"
    )
    parser.add_argument("--only", default="refused,hang,503,redis")
    options = parser.parse_args()
    options.seconds = min(options.seconds, 60.0)
    asyncio.run(measure(options))
    print(f"load average: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
