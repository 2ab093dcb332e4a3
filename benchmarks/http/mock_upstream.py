"""An OpenAI-compatible chat upstream that is faster than anything measured against it.

    python mock_upstream.py --port 9900

One `asyncio.Protocol` that looks for the end of the headers and the length of the body, and
answers with bytes made beforehand. A request whose body says `"stream": true` gets server-sent
events: `--chunks` of them, `--delay-ms` apart, then a usage event when the request asked for it,
then `[DONE]`. One request may set its own pace anywhere in its text, `[chunks=50,delay_ms=10]`:
every gateway passes the prompt on, not every one passes other fields on. `--nagle` turns Nagle's
algorithm on and writes headers and body apart, which shows the 40 ms trap. Listens on 127.0.0.1
only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import re
import socket
import types
from typing import Any, Final, cast

loops: types.ModuleType = asyncio
with contextlib.suppress(ImportError):  # without it: slower, still right
    loops = importlib.import_module("uvloop")

PACE: Final = re.compile(rb"\[chunks=(\d{1,6}),delay_ms=(\d{1,5}(?:\.\d+)?)\]")
MAX_BUFFER: Final = 16 * 1024 * 1024
MAX_CHUNKS: Final = 100_000
MAX_DELAY_MS: Final = 10_000.0
USAGE: Final = {"prompt_tokens": 19, "completion_tokens": 9, "total_tokens": 28}
HEAD: Final = {"id": "chatcmpl-mock", "created": 1_700_000_000, "model": "mock"}
MESSAGE: Final = {"role": "assistant", "content": "The capital of France is Paris, on the Seine."}


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _event(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return f"{len(event):x}\r\n".encode() + event + b"\r\n"


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = HEAD | {"object": "chat.completion.chunk", "choices": [choice]}
    return _event(json.dumps(chunk, separators=(",", ":")))


_CHOICE: Final = {"index": 0, "message": MESSAGE, "finish_reason": "stop"}
_CHAT: Final = HEAD | {"object": "chat.completion", "choices": [_CHOICE], "usage": USAGE}
ANSWER: Final = _response("200 OK", json.dumps(_CHAT, separators=(",", ":")).encode())
OK: Final = _response("200 OK", b'{"status":"ok"}')
BAD: Final = _response("400 Bad Request", b'{"error":{"message":"bad request"}}')
SSE_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
FIRST: Final = _chunk({"role": "assistant", "content": ""})
WORD: Final = _chunk({"content": " word"})
LAST: Final = _chunk({}, "stop")
_USAGE_CHUNK: Final = HEAD | {"object": "chat.completion.chunk", "choices": [], "usage": USAGE}
USAGE_EVENT: Final = _event(json.dumps(_USAGE_CHUNK, separators=(",", ":")))
DONE: Final = _event("[DONE]") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection: keep-alive, pipelined requests answered in order."""

    def __init__(self, chunks: int, delay_ms: float, nagle: bool) -> None:
        self.chunks, self.delay_ms, self.nagle = chunks, delay_ms, nagle
        self.buffer = b""
        self.streaming: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0 if self.nagle else 1)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.streaming:
            self.streaming.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if len(self.buffer) > MAX_BUFFER:
            self.transport.abort()
        elif not self.streaming:
            self.answer_all()

    def answer_all(self) -> None:
        """Answer every whole request in the buffer; stop at one that streams."""
        while self.buffer and not self.streaming:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            if b"\r\ntransfer-encoding:" in head:
                stop = self.buffer.find(b"\r\n0\r\n\r\n", end)
                if stop < 0:
                    return
                stop += 7
            else:
                at = head.find(b"\r\ncontent-length:")
                length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                stop = end + 4 + length
                if len(self.buffer) < stop:
                    return
            body, self.buffer = self.buffer[end + 4 : stop], self.buffer[stop:]
            if head.startswith(b"get "):
                self.transport.write(OK)
            elif b'"stream":true' in body or b'"stream": true' in body:
                self.streaming = asyncio.create_task(self.stream(body))
            elif self.nagle:  # two small writes in one answer: the second waits for an ACK
                cut = ANSWER.find(b"\r\n\r\n") + 4
                self.transport.write(ANSWER[:cut])
                self.transport.write(ANSWER[cut:])
            else:
                self.transport.write(ANSWER)

    async def stream(self, body: bytes) -> None:
        try:
            chunks, delay, usage = self.pace(body)
            write = self.transport.write
            write(SSE_HEAD + FIRST)
            for _ in range(chunks):
                if delay:
                    await asyncio.sleep(delay)
                write(WORD)
            write(LAST + (USAGE_EVENT if usage else b"") + DONE)
        except (ValueError, TypeError, AttributeError):
            self.transport.write(BAD)
        finally:
            self.streaming = None
        self.answer_all()

    def pace(self, body: bytes) -> tuple[int, float, bool]:
        """Number of chunks, seconds between them, and whether usage was asked for."""
        asked = json.loads(body[body.find(b"{") : body.rfind(b"}") + 1])
        own = PACE.search(body)
        chunks = min(int(own[1]) if own else self.chunks, MAX_CHUNKS)
        delay_ms = min(float(own[2]) if own else self.delay_ms, MAX_DELAY_MS)
        return (
            chunks,
            delay_ms / 1e3,
            bool((asked.get("stream_options") or {}).get("include_usage")),
        )


async def serve(port: int, chunks: int, delay_ms: float, nagle: bool) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Upstream(chunks, delay_ms, nagle), "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--nagle", action="store_true")
    args = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        loops.run(serve(args.port, args.chunks, args.delay_ms, args.nagle))


if __name__ == "__main__":
    main()
