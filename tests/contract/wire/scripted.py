"""A server that does what a script tells it, byte by byte; and callers of the client under test."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mmrouter.providers.connection import Response
from mmrouter.providers.wire import Client, endpoint

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
LAST = b"0\r\n\r\n"


@dataclass
class Server:
    """A running server.

    Attributes:
        requests: all that came, in order.
        gone: a client closed its end while the script waited for that.
        signal: between test and script.
    """

    port: int = 0
    scheme: str = "http"
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    signal: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1/chat"


@dataclass
class Peer:
    """The server's end of one connection. `number` counts connections from 0."""

    number: int
    server: Server
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The next request, as it came."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        assert length is not None, "every POST says how long it is"
        whole = head + await self.reader.readexactly(int(length[1]))
        self.server.requests.append(whole)
        return whole

    async def send(self, *pieces: bytes) -> None:
        """Each piece in a segment of its own, as far as that can be had."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    def reset(self) -> None:
        """Ends the connection with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_gone(self) -> None:
        """Waits until the client has closed its end.

        Tests give it a second: whoever waited for a timeout instead would need three.
        """
        try:
            while await self.reader.read(65536):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        self.server.gone.set()


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Runs the script once for each connection, which is closed at its end."""
    server = Server(scheme="https" if tls else "http")
    running: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        peer = Peer(server.connections, server, reader, writer)
        server.connections += 1
        try:
            await script(peer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is gone, or the test is over
        finally:
            running.discard(task)
            if tls or writer.transport.is_closing():
                writer.transport.abort()
            else:
                writer.close()

    listener = await asyncio.start_server(run, "127.0.0.1", 0, ssl=tls, backlog=1024)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(running):
            task.cancel()
        if running:
            await asyncio.wait(running)


async def leave(peer: Peer) -> None:
    """The end of a script."""


def answering(raw: bytes, *, then: Script | None = None) -> Script:
    """A script that gives this answer to every request, or to one and then does something else."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(raw)
            if then is not None:
                await then(peer)
                return

    return script


def ok(body: bytes = b"hello", *headers: str) -> bytes:
    """A plain answer."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 200 OK\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def soon(seconds: float = 3.0) -> float:
    """An instant from now, in loop time."""
    return asyncio.get_running_loop().time() + seconds


async def post(
    client: Client,
    url: str,
    body: bytes = b"{}",
    *,
    within: float = 3.0,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer, its body not read."""
    return await client.post(endpoint(url, {}), body, soon(within), headers)


async def body_of(response: Response, within: float = 3.0) -> bytes:
    """The rest of a body."""
    parts = []
    while part := await response.read(soon(within)):
        parts.append(part)
    return b"".join(parts)


async def ask(
    client: Client, url: str, body: bytes = b"{}", *, within: float = 3.0
) -> tuple[int, bytes]:
    """Status and body."""
    with await post(client, url, body, within=within) as response:
        return response.status, await body_of(response, within)
