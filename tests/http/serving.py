"""The server on a real socket, in a thread of its own, so that any client can be tested."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from mmrouter.bootstrap import build
from mmrouter.config import Config
from mmrouter.router.parts import Parts
from mmrouter.server.app import App
from mmrouter.server.protocol import Protocol
from mmrouter.tracker.store import open_store

CHAT = "/v1/chat/completions"
HELLO = {"model": "auto", "messages": [{"role": "user", "content": "What is 2+2?"}]}


@dataclass
class Answer:
    """A whole HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Served:
    """A running server."""

    port: int
    db: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `body` is JSON unless it is bytes."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = {} if raw is None else {"content-type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, raw, {**kind, **(headers or {})})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def chat(self, headers: Mapping[str, str] | None = None, **changes: Any) -> Answer:
        """One chat request."""
        return self.ask("POST", CHAT, {**HELLO, **changes}, headers)

    def row(self, request_id: str) -> dict[str, Any] | None:
        """The request in the books."""
        store = open_store(self.db)
        try:
            return store.request(request_id)
        finally:
            store.close()


@contextmanager
def serving(
    config: Config, db: str, change: Callable[[Parts], Parts] = lambda parts: parts
) -> Iterator[Served]:
    """Serves on a free loopback port."""
    settings = uvicorn.Config(
        App(lambda: change(build(config, db=db, shadow=True))),
        port=0,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(port, db)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"
