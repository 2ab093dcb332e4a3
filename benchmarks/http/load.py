"""A load generator: wrk when it is there, else plain asyncio. Bounded in time either way.

python load.py --url http://127.0.0.1:9900/v1/chat/completions -c 16 -d 3 [--python] [--stream]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import shutil
import subprocess
import tempfile
import time
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

loops: types.ModuleType = asyncio
with contextlib.suppress(ImportError):  # without it: slower, still right
    loops = importlib.import_module("uvloop")

PROMPT: Final = (
    "What is the capital of France, and which river flows through it? One short sentence."
)
MAX_SECONDS: Final = 60.0
TIMEOUT: Final = 10.0

LUA: Final = """
wrk.method = "POST"
wrk.body = %s
%s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nJSON{"requests":%%d,"seconds":%%f,"errors":%%d,"p50":%%f,"p90":%%f,"p99":%%f}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True)
class Result:
    """One run of load. Latencies in milliseconds, to the last byte of the answer."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p90: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0


def chat_body(model: str = "mock", *, pace: str = "", **more: Any) -> str:
    """A chat request with a prompt of about 90 bytes; the mock's streams keep `pace`."""
    messages = [{"role": "user", "content": PROMPT + pace}]
    return json.dumps({"model": model, "messages": messages, **more}, separators=(",", ":"))


def with_wrk(
    url: str, body: str, headers: Mapping[str, str], connections: int, seconds: float
) -> Result:
    # A JSON string of ASCII text is also a Lua string; the body itself holds the odd characters.
    lines = [f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items()]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(LUA % (json.dumps(body), "\n".join(lines)))
        length = max(1, round(seconds))  # wrk takes whole seconds
        command = ["wrk", "-t1", f"-c{connections}", f"-d{length}s", "--timeout", f"{TIMEOUT:.0f}s"]
        done = subprocess.run(
            [*command, "-s", str(script), url],
            capture_output=True,
            text=True,
            timeout=length + 2 * TIMEOUT,
            check=True,
        )
    line = next(line for line in done.stdout.splitlines() if line.startswith("JSON"))
    return Result(**json.loads(line[4:]))


async def _client(host: str, port: int, data: bytes, end: float, times: list[float]) -> int:
    """Ask again and again over one connection until `end`; the number of errors."""
    errors, pair = 0, None
    while (start := time.perf_counter()) < end and errors < 100:
        try:
            async with asyncio.timeout(TIMEOUT):
                pair = pair or await asyncio.open_connection(host, port)
                reader, writer = pair
                writer.write(data)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                at = head.find(b"\r\ncontent-length:")
                if at >= 0:
                    await reader.readexactly(int(head[at + 17 :].split(b"\r\n", 1)[0]))
                else:
                    while size := int(await reader.readline(), 16):
                        await reader.readexactly(size + 2)
                    await reader.readline()
            if b" 200 " not in head[:15]:
                errors += 1
            times.append(time.perf_counter() - start)
        except (OSError, EOFError, TimeoutError, ValueError):
            errors, pair = errors + 1, None
    if pair:
        pair[1].close()
    return errors


async def _python(url: str, data: bytes, connections: int, seconds: float) -> Result:
    parts = urlsplit(url)
    times: list[float] = []
    start = time.perf_counter()
    host, port = parts.hostname or "", parts.port or 80
    clients = [_client(host, port, data, start + seconds, times) for _ in range(connections)]
    errors = sum(await asyncio.gather(*clients))
    took = time.perf_counter() - start
    times.sort()
    p50, p90, p99 = (
        times[min(len(times) - 1, int(len(times) * q))] * 1e3 if times else 0.0
        for q in (0.5, 0.9, 0.99)
    )
    return Result(len(times), took, errors, p50, p90, p99)


def with_python(
    url: str, body: str, headers: Mapping[str, str], connections: int, seconds: float
) -> Result:
    parts = urlsplit(url)
    head = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}"]
    head += [f"{key}: {value}" for key, value in headers.items()]
    head += [f"content-length: {len(body.encode())}", "", ""]
    data = "\r\n".join(head).encode() + body.encode()
    result: Result = loops.run(_python(url, data, connections, seconds))
    return result


def load(
    url: str,
    body: str,
    headers: Mapping[str, str],
    connections: int,
    seconds: float,
    python: bool = False,
) -> Result:
    """POST `body` from `connections` connections, without pause, for `seconds`."""
    headers = {"content-type": "application/json", **headers}
    tool = with_python if python or not shutil.which("wrk") else with_wrk
    return tool(url, body, headers, connections, min(seconds, MAX_SECONDS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", required=True)
    parser.add_argument("-c", "--connections", type=int, default=16)
    parser.add_argument("-d", "--seconds", type=float, default=3)
    parser.add_argument("--model", default="mock")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--python", action="store_true", help="do not use wrk")
    args = parser.parse_args()
    more: dict[str, Any] = {"stream": True} if args.stream else {}
    body = chat_body(args.model, **more)
    result = load(args.url, body, {}, args.connections, args.seconds, args.python)
    print(json.dumps(asdict(result) | {"rate": round(result.rate, 1)}))


if __name__ == "__main__":
    main()
