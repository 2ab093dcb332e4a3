"""Measure gateways beside each other, in turn, round after round.

    python run.py                                  # bare, server and client variants
    python run.py --install-peers bare mmrouter litellm portkey
    python run.py --peer 'mine=./mine --port {port} --upstream {upstream}' bare mine

Each round starts every gateway afresh, one at a time, warms it and loads it at 1 and at 16
connections. Only ratios within a round mean anything on a shared machine, so the table shows
medians over rounds, and the median of each round's ratio to the bare pass-through. CPU is user and
system time of the gateway's processes, per request: what a neighbour's load disturbs least.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import peers as known
from load import Result, chat_body, load
from peers import PATH, PEERS, Peer, fill

DEFAULT: Final = [
    *("direct", "bare", "uvicorn+aiohttp", "uvicorn+httpx", "uvicorn+streams", "uvicorn+protocol"),
    *("uvicorn+starlette", "granian+aiohttp", "granian+protocol", "hypercorn+aiohttp"),
    *("raw+aiohttp", "raw+protocol"),
]
DURABLE: Final = [
    *("bare", "uvicorn+aiohttp", "loop-normal", "loop-off", "group-normal", "group-off"),
    *("thread-hop", "thread-normal", "thread-off", "journal"),
    *("protocol+group-normal", "protocol+thread-normal"),
]
MAX_LIFE: Final = 600  # seconds that any child may live, even if this process is killed
MAX_ROUNDS: Final = 50
TICK: Final = os.sysconf("SC_CLK_TCK")
children: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Load:
    """A kind of load."""

    name: str
    connections: int
    body: dict[str, Any]


CHAT: Final = (Load("c1", 1, {}), Load("c16", 16, {}))
# 20 chunks, 2 ms apart: 40 ms at best; Nagle and delayed ACK would double it.
SLOW: Final = {"stream": True, "pace": " [chunks=20,delay_ms=2]"}
FAST: Final = {"stream": True, "pace": " [chunks=20,delay_ms=0]"}
STREAM: Final = (Load("stream16", 16, FAST), Load("paced1", 1, SLOW))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a child and all that it started: it leads a process group of its own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(timeout=3)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    children.discard(child)


def stop_all() -> None:
    for child in list(children):
        stop(child)


@contextmanager
def started(command: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = command.split()
    if shutil.which("timeout"):
        words = ["timeout", "--foreground", "-k", "1", str(MAX_LIFE), *words]
    with log.open("ab") as out:
        child = subprocess.Popen(
            words, stdout=out, stderr=out, env=os.environ | env, start_new_session=True
        )
    children.add(child)
    try:
        yield child
    finally:
        stop(child)


def wait_for(port: int, child: subprocess.Popen[bytes], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"it ended with {child.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"it did not listen within {seconds:.0f} s")


def members(group: int) -> list[Path]:
    """The /proc folders of a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()[2]) == group:
                found.append(folder)
        except (OSError, IndexError, ValueError):
            continue
    return found


def cpu_seconds(group: int) -> float:
    fields = [p.joinpath("stat").read_text().rsplit(")", 1)[1].split() for p in members(group)]
    return sum(int(field[11]) + int(field[12]) for field in fields) / TICK


def rss_mb(group: int) -> float:
    pages = sum(int(p.joinpath("statm").read_text().split()[1]) for p in members(group))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def probe(url: str, body: str, headers: dict[str, str], child: Any, seconds: float) -> None:
    """Ask until a right answer comes: some gateways listen before they can serve."""
    headers = {"content-type": "application/json", **headers}
    end, last = time.monotonic() + seconds, ""
    while time.monotonic() < end and (child is None or child.poll() is None):
        try:
            request = urllib.request.Request(url, body.encode(), headers)
            with urllib.request.urlopen(request, timeout=5) as answer:
                if b"choices" in answer.read():
                    return
        except OSError as error:
            last = str(error)
            time.sleep(0.2)
    raise RuntimeError(f"no right answer: {last}")


def measure(peer: Peer, upstream_port: int, loads: tuple[Load, ...], args: Any) -> dict[str, Any]:
    """Start one gateway, load it, end it."""
    upstream = f"http://127.0.0.1:{upstream_port}/v1"
    headers = {key: fill(value, 0, upstream) for key, value in peer.headers.items()}
    if not peer.command:
        return {"loads": run_loads(peer, upstream_port, headers, loads, args, None), "rss_mb": 0}
    port = free_port()
    for name, text in peer.files.items():
        known.FOLDER.joinpath(name).write_text(fill(text, port, upstream))
    command = fill(peer.command, port, upstream)
    env = {key: fill(value) for key, value in peer.env.items()}
    log = known.FOLDER / f"{peer.name}.log"
    with (
        tempfile.TemporaryDirectory() as scratch,
        started(command, {"TMPDIR": scratch} | env, log) as child,
    ):
        wait_for(port, child, peer.start_seconds)
        results = run_loads(peer, port, headers, loads, args, child)
        return {"loads": results, "rss_mb": rss_mb(child.pid)}


def run_loads(
    peer: Peer,
    port: int,
    headers: dict[str, str],
    loads: tuple[Load, ...],
    args: argparse.Namespace,
    child: subprocess.Popen[bytes] | None,
) -> dict[str, dict[str, float]]:
    url = f"http://127.0.0.1:{port}{PATH}"
    probe(url, chat_body(peer.model), headers, child, peer.start_seconds)
    results: dict[str, dict[str, float]] = {}
    load(url, chat_body(peer.model), headers, 16, 1, python=True)  # warm
    for kind in loads:
        body = chat_body(peer.model, **kind.body)
        before = cpu_seconds(child.pid) if child else 0.0
        result: Result = load(url, body, headers, kind.connections, args.seconds, args.python)
        spent = cpu_seconds(child.pid) - before if child else 0.0
        if result.errors or not result.requests:
            raise RuntimeError(f"{kind.name}: {result.errors} errors, {result.requests} answers")
        results[kind.name] = {
            "p50_ms": result.p50,
            "p99_ms": result.p99,
            "rate": result.rate,
            "cpu_us": spent / result.requests * 1e6,
        }
    return results


def median(rounds: list[dict[str, Any]], name: str, load_name: str, key: str) -> float:
    values = [float(one[name]["loads"][load_name][key]) for one in rounds if name in one]
    return statistics.median(values)


def ratio(rounds: list[dict[str, Any]], name: str, load_name: str) -> float:
    both = [one for one in rounds if name in one and "bare" in one]
    rates = [
        one[name]["loads"][load_name]["rate"] / one["bare"]["loads"][load_name]["rate"]
        for one in both
    ]
    return statistics.median(rates) if rates else float("nan")


def summarise(rounds: list[dict[str, Any]], loads: tuple[Load, ...]) -> list[dict[str, Any]]:
    rows = []
    for name in {name: None for one in rounds for name in one}:
        row: dict[str, Any] = {"name": name, "rounds": sum(name in one for one in rounds)}
        for kind in loads:
            keys = ("p50_ms", "p99_ms", "rate", "cpu_us")
            values = {key: round(median(rounds, name, kind.name, key), 3) for key in keys}
            row[kind.name] = values | {"ratio": round(ratio(rounds, name, kind.name), 3)}
        row["rss_mb"] = round(
            statistics.median(one[name]["rss_mb"] for one in rounds if name in one)
        )
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]], loads: tuple[Load, ...]) -> str:
    """A Markdown table; milliseconds, requests per second, µs of CPU per request."""
    titles = ["gateway"]
    for kind in loads:
        titles += [f"{kind.name} p50", "p99", "req/s", "of bare", "CPU µs"]
    lines = [[*titles, "RSS MB"], ["---"] + ["---:"] * len(titles)]
    for row in rows:
        cells = [str(row["name"])]
        for kind in loads:
            one = row[kind.name]
            cells += [f"{one['p50_ms']:.3f}", f"{one['p99_ms']:.2f}", f"{one['rate']:,.0f}"]
            cells += [f"{one['ratio']:.2f}", f"{one['cpu_us']:.0f}"]
        lines.append([*cells, str(row["rss_mb"])])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help=f"of: {' '.join(PEERS)}")
    parser.add_argument("--durable", action="store_true", help="the ways to keep rows")
    parser.add_argument(
        "--stream", action="store_true", help="load with streams, not whole answers"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--python", action="store_true", help="do not use wrk")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--model", default="mock", help="model that --peer gateways are asked for")
    parser.add_argument("--install-peers", action="store_true")
    parser.add_argument("--json", type=Path, help="where to write all rounds")
    args = parser.parse_args()
    for own in args.peer:
        name, _, command = own.partition("=")
        PEERS[name] = Peer(name, command, model=args.model)
        args.names.append(name)
    args.names = args.names or (DURABLE if args.durable else DEFAULT)
    if unknown := [name for name in args.names if name not in PEERS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(PEERS)}")
    args.names = list(dict.fromkeys(["bare", *args.names]))
    args.rounds = max(1, min(args.rounds, MAX_ROUNDS))
    return args


def main() -> None:
    args = parse()
    known.FOLDER.mkdir(parents=True, exist_ok=True)
    atexit.register(stop_all)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    if args.install_peers:
        known.install([name for name in args.names if PEERS[name].install])
    names = [name for name in args.names if PEERS[name].ready]
    for name in set(args.names) - set(names):
        print(f"{name}: not installed (--install-peers), left out", file=sys.stderr)
    loads = STREAM if args.stream else CHAT
    rounds: list[dict[str, Any]] = []
    for number in range(args.rounds):
        one: dict[str, Any] = {}
        rounds.append(one)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            port = free_port()
            mock = fill("{python} {here}/mock_upstream.py --port ") + str(port)
            try:
                with started(mock, {}, known.FOLDER / "mock.log") as child:
                    wait_for(port, child, 10)
                    one[name] = measure(PEERS[name], port, loads, args)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                print(f"round {number + 1}, {name}: {error}", file=sys.stderr)
        print(f"round {number + 1} of {args.rounds} done", file=sys.stderr)
    order = {name: at for at, name in enumerate(names)}
    rows = sorted(summarise(rounds, loads), key=lambda row: order[row["name"]])
    print(table(rows, loads))
    if args.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
        tool = "python" if args.python or not shutil.which("wrk") else "wrk"
        answer = {"machine": machine, "load": tool, "summary": rows, "rounds": rounds}
        args.json.write_text(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
