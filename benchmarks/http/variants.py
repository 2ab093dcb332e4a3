"""The bare pass-through, with any server, client, framework and durable store.

python variants.py --port N --upstream URL --server granian --client httpx
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

import orjson
from clients import CLIENTS, Client
from durable import STORES, Store, example

SETTINGS: Final = "MMROUTER_BENCH_VARIANT"
SERVERS: Final = ("uvicorn", "granian", "hypercorn", "raw")
JSON: Final = b"application/json"
SSE: Final = b"text/event-stream"


class Gateway:
    """What every variant does: read the request, set the model, ask, read the usage, record."""

    def __init__(self, upstream: str, client: str, durable: str) -> None:
        self.url = upstream + "/chat/completions"
        self.client_name, self.durable = client, durable
        self.count = 0
        self.client: Client | None = None
        self.store: Store = STORES["none"](Path())

    def ready(self) -> Client:
        """The client, made at the first request, inside the server's event loop."""
        if self.client is None:
            self.client = CLIENTS[self.client_name](self.url)
            folder = Path(tempfile.mkdtemp(prefix="mmbench-"))
            self.store = STORES[self.durable](folder / "rows.db")
        return self.client

    def request(self, body: bytes) -> tuple[bytes, bool]:
        """The body for upstream, and whether it streams."""
        asked: dict[str, Any] = orjson.loads(body) if body else {}
        asked["model"] = "mock"
        return orjson.dumps(asked), bool(asked.get("stream"))

    async def whole(self, body: bytes) -> tuple[int, bytes]:
        status, data = await self.ready().fetch(body)
        orjson.loads(data)["usage"]
        await self.record()
        return status, data

    async def chunks(self, body: bytes) -> AsyncIterator[bytes]:
        async for chunk in self.ready().stream(body):
            yield chunk
        await self.record()

    async def record(self) -> None:
        self.count += 1
        await self.store.record(example(self.count))


def asgi(gateway: Gateway) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """Plain ASGI, no framework."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        body, streams = gateway.request(body)
        head: dict[str, Any] = {"type": "http.response.start", "status": 200}
        if streams:
            await send(head | {"headers": [(b"content-type", SSE)]})
            async for chunk in gateway.chunks(body):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body"})
        else:
            status, data = await gateway.whole(body)
            length = (b"content-length", b"%d" % len(data))
            await send(head | {"status": status, "headers": [(b"content-type", JSON), length]})
            await send({"type": "http.response.body", "body": data})

    return app


def starlette(gateway: Gateway) -> Any:
    """The same as a Starlette app with a dozen routes, as the real server will have."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

    async def chat(request: Request) -> Response:
        body, streams = gateway.request(await request.body())
        if streams:
            return StreamingResponse(gateway.chunks(body), media_type=SSE.decode())
        status, data = await gateway.whole(body)
        return Response(data, status, media_type=JSON.decode())

    async def health(request: Request) -> Response:
        return Response(b"{}", media_type=JSON.decode())

    others = ["/health", "/ready", "/openapi.json", "/v1/models", "/v1/feedback", "/v1/embeddings"]
    routes = [Route(path, health) for path in others]
    return Starlette(routes=[*routes, Route("/v1/chat/completions", chat, methods=["POST"])])


def raw_server(gateway: Gateway) -> type[asyncio.Protocol]:
    """No ASGI at all: a Protocol on httptools, to see what the ASGI server costs."""
    import httptools

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
            self.tasks: set[asyncio.Task[None]] = set()
            self.body = b""
            self.parser = httptools.HttpRequestParser(self)

        def data_received(self, data: bytes) -> None:
            self.parser.feed_data(data)

        def on_body(self, body: bytes) -> None:
            self.body += body

        def on_message_complete(self) -> None:
            body, self.body = self.body, b""
            task = asyncio.create_task(self.answer(body))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        async def answer(self, body: bytes) -> None:
            body, streams = gateway.request(body)
            write = self.transport.write
            if streams:
                kind = b"content-type: " + SSE
                write(b"HTTP/1.1 200 OK\r\n%b\r\ntransfer-encoding: chunked\r\n\r\n" % kind)
                async for chunk in gateway.chunks(body):
                    write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                write(b"0\r\n\r\n")
                return
            status, data = await gateway.whole(body)
            head = b"HTTP/1.1 %d OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
            write(head % (status, JSON, len(data)) + data)

    return Connection


def build(settings: dict[str, str]) -> Any:
    gateway = Gateway(settings["upstream"], settings["client"], settings["durable"])
    return (starlette if settings["framework"] == "starlette" else asgi)(gateway)


def __getattr__(name: str) -> Any:
    """Granian's worker imports `variants:app`; its settings come through the environment."""
    if name == "app" and SETTINGS in os.environ:
        return build(json.loads(os.environ[SETTINGS]))
    raise AttributeError(name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--server", choices=SERVERS, default="uvicorn")
    parser.add_argument("--client", choices=list(CLIENTS), default="aiohttp")
    parser.add_argument("--framework", choices=["asgi", "starlette"], default="asgi")
    parser.add_argument("--durable", choices=list(STORES), default="none")
    args = parser.parse_args()
    settings = {key: str(value) for key, value in vars(args).items()}
    if args.server == "uvicorn":
        import uvicorn

        options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "lifespan": "off"}
        quiet: dict[str, Any] = {"log_level": "error", "access_log": False}
        uvicorn.run(build(settings), host="127.0.0.1", port=args.port, **options, **quiet)
    elif args.server == "granian":
        from granian.constants import Interfaces, Loops
        from granian.server import Server

        os.environ[SETTINGS] = json.dumps(settings)
        Server(
            "variants:app",
            address="127.0.0.1",
            port=args.port,
            interface=Interfaces.ASGINL,
            loop=Loops.uvloop,
            log_enabled=False,
        ).serve()
    elif args.server == "hypercorn":
        import uvloop
        from hypercorn.asyncio import serve
        from hypercorn.config import Config

        config = Config()
        config.bind = [f"127.0.0.1:{args.port}"]
        uvloop.run(serve(build(settings), config))
    else:
        import uvloop

        async def run() -> None:
            gateway = Gateway(args.upstream, args.client, args.durable)
            loop = asyncio.get_running_loop()
            server = await loop.create_server(raw_server(gateway), "127.0.0.1", args.port)
            await server.serve_forever()

        uvloop.run(run())


if __name__ == "__main__":
    main()
