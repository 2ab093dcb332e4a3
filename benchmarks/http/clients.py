"""Four HTTP/1.1 clients behind one small face, so that only the client differs between variants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol, cast
from urllib.parse import urlsplit


class Client(Protocol):
    """What a gateway needs from its client."""

    async def fetch(self, body: bytes) -> tuple[int, bytes]:
        """POST `body`; the status and the whole answer."""
        ...

    def stream(self, body: bytes) -> AsyncIterator[bytes]:
        """POST `body`; the answer's bytes as they arrive."""
        ...


class AiohttpClient:
    def __init__(self, url: str) -> None:
        import aiohttp

        self.url = url
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def fetch(self, body: bytes) -> tuple[int, bytes]:
        async with self.session.post(self.url, data=body) as answer:
            return answer.status, await answer.read()

    async def stream(self, body: bytes) -> AsyncIterator[bytes]:
        async with self.session.post(self.url, data=body) as answer:
            async for chunk in answer.content.iter_any():
                yield chunk


class HttpxClient:
    def __init__(self, url: str) -> None:
        import httpx

        self.url = url
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.client = httpx.AsyncClient(limits=limits, timeout=60)

    async def fetch(self, body: bytes) -> tuple[int, bytes]:
        answer = await self.client.post(self.url, content=body)
        return answer.status_code, answer.content

    async def stream(self, body: bytes) -> AsyncIterator[bytes]:
        async with self.client.stream("POST", self.url, content=body) as answer:
            async for chunk in answer.aiter_raw():
                yield chunk


class StreamsClient:
    """asyncio streams and a few lines of parsing: the shortest thing that works."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: "
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def fetch(self, body: bytes) -> tuple[int, bytes]:
        chunks = [chunk async for chunk in self.stream(body)]
        return 200, b"".join(chunks)

    async def stream(self, body: bytes) -> AsyncIterator[bytes]:
        pair = self.idle.pop() if self.idle else await asyncio.open_connection(self.host, self.port)
        reader, writer = pair
        writer.write(f"{self.head}{len(body)}\r\n\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            yield await reader.readexactly(int(head[at + 17 :].split(b"\r\n", 1)[0]))
        else:
            while size := int(await reader.readline(), 16):
                yield (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        self.idle.append(pair)


class _Exchange(asyncio.Protocol):
    """One upstream connection: httptools (llhttp) parses, one future wakes the waiting task."""

    def __init__(self) -> None:
        self.waiter: asyncio.Future[None] | None = None
        self.parts: list[bytes] = []
        self.complete = self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.wake()

    def send(self, data: bytes, whole: bool) -> None:
        """Start a request; with `whole`, wake only at the end of the answer."""
        import httptools

        self.parts, self.complete, self.whole = [], False, whole
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        if self.complete or (self.parts and not self.whole):
            self.wake()

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        self.complete = True

    def wake(self) -> None:
        if self.waiter and not self.waiter.done():
            self.waiter.set_result(None)

    async def wait(self) -> None:
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter
        if self.closed and not self.complete:
            raise ConnectionError("upstream closed the connection")


class ProtocolClient:
    """asyncio.Protocol and httptools: what a hand-written client could reach."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: "
        self.idle: list[_Exchange] = []

    async def start(self, body: bytes, whole: bool) -> _Exchange:
        while self.idle:
            exchange = self.idle.pop()
            if not exchange.closed:
                break
        else:
            loop = asyncio.get_running_loop()
            _, exchange = await loop.create_connection(_Exchange, self.host, self.port)
        exchange.send(f"{self.head}{len(body)}\r\n\r\n".encode() + body, whole)
        return exchange

    async def fetch(self, body: bytes) -> tuple[int, bytes]:
        exchange = await self.start(body, whole=True)
        if not exchange.complete:
            await exchange.wait()
        self.idle.append(exchange)
        return exchange.parser.get_status_code(), b"".join(exchange.parts)

    async def stream(self, body: bytes) -> AsyncIterator[bytes]:
        exchange = await self.start(body, whole=False)
        while True:
            if not exchange.parts and not exchange.complete:
                await exchange.wait()
            parts, exchange.parts = exchange.parts, []
            if parts:
                yield b"".join(parts)
            elif exchange.complete:
                break
        self.idle.append(exchange)


CLIENTS: dict[str, Callable[[str], Client]] = {
    "aiohttp": AiohttpClient,
    "httpx": HttpxClient,
    "streams": StreamsClient,
    "protocol": ProtocolClient,
}
