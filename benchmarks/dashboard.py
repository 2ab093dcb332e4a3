"""The dashboard on a million requests: how long filters and pages take, first paint, bundle size.

    python benchmarks/dashboard.py                    # makes the books first, about a minute
    python benchmarks/dashboard.py --rows 100000
    python benchmarks/dashboard.py --db kept.db       # makes them there, or uses them again

Every question is asked with nothing remembered; the median of three ranges, savings once.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmrouter.dashboard.static import ROOT
from mmrouter.tracker.schema import attempts, requests
from mmrouter.tracker.store import open_store

BASE = 2_000
DAYS = 30
PORT = 8197
SLOW = "overview: savings"

QUESTIONS = {
    "overview: traffic": "traffic?",
    "overview: percentiles": "times?",
    SLOW: "savings?",
    "models": "models?",
    "routing: grid": "grid?",
    "requests, newest": "requests?",
    "requests of a model": "requests?model=claude-opus-4-6&",
    "requests of a rare key": "requests?key=rare&",
    "requests of a tag": "requests?tag=nightly&",
    "requests of a session": "requests?session=s77&",
    "requests that failed": "requests?status=failed&",
    "requests above $0.02": "requests?min_cost=0.02&",
    "requests of a bucket": "requests?complexity=complex&category=code&",
    "requests, dearest first": "requests?sort=cost&",
    "requests, slowest first": "requests?sort=latency&",
    "count, filtered": "count?status=failed&",
}


def fill(path: Path, rows: int) -> None:
    """Books of `rows` requests over the last month: two thousand of them, and their copies."""
    store = open_store(f"sqlite:///{path}")
    chance = random.Random(1)
    now = time.time()
    with store.read() as connection:
        for _ in range(BASE):
            request, attempt = _made_up(chance, now - chance.uniform(0, DAYS * 86_400))
            connection.execute(requests.insert().values(**request))
            connection.execute(attempts.insert().values(**attempt))
        connection.commit()
    store.close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA synchronous = OFF")
        for table, id, shifted in (("requests", "id", True), ("attempts", "request_id", True)):
            names = [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
            picked = [
                f"'req_' || printf('%06x', n) || substr({id}, 11)"
                if name == id
                else f"{now} - ({now} - started + n * 7919) % {DAYS * 86_400}"
                if name == "started" and shifted
                else name
                for name in names
            ]
            raw.execute(
                f"WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies "
                f"WHERE n < {rows // BASE - 1}) "
                f"INSERT INTO {table} ({', '.join(names)}) "
                f"SELECT {', '.join(picked)} FROM {table}, copies "
                f"ORDER BY {picked[names.index('started')]}"  # rows come in the order of time
            )


def _made_up(chance: random.Random, started: float) -> tuple[dict[str, object], dict[str, object]]:
    id = f"req_{chance.getrandbits(128):032x}"
    model = chance.choices(
        ["claude-haiku-4-5-20251001", "claude-sonnet-4-6", "claude-opus-4-6"], [70, 25, 5]
    )[0]
    failed = chance.random() < 0.01
    cost = None if chance.random() < 0.002 else int(chance.lognormvariate(14, 1.2))
    tokens = {
        "input_tokens": int(chance.lognormvariate(6, 1)),
        "output_tokens": int(chance.lognormvariate(5, 1)),
        **dict.fromkeys(("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"), 0),
    }
    latency = chance.lognormvariate(7, 0.7)
    request = {
        "id": id,
        "started": started,
        "status": "failed" if failed else "ok",
        "cost_nanos": cost,
        "answered_cost_nanos": cost,
        "classifier_cost_nanos": 0,
        "latency_ms": latency,
        "ttft_ms": None if failed else latency / 3,
        "overhead_ms": 0.6,
        **tokens,
        "attempts": 1,
        "rejected": 0,
        **dict.fromkeys(("escalated", "budget_downgraded", "adaptive_reranked"), False),
        "fallback_used": chance.random() < 0.02,
        **dict.fromkeys(("cascade", "stream"), False),
        "complexity": chance.choices(["simple", "medium", "complex"], [6, 3, 1])[0],
        "category": chance.choice(["factual", "reasoning", "creative", "code"]),
        "answered_model": None if failed else model,
        "provider": None if failed else "anthropic",
        "key_name": "rare" if chance.random() < 0.001 else chance.choice(["web", "agents", "ci"]),
        "tags": chance.choice(['["team:a"]', '["team:b"]', '["team:a","nightly"]']),
        "requested_model": "auto",
        "wanted_model": model,
        "surface": "chat",
        "dialect": "chat",
        "confidence": 0.8,
        "difficulty": 0.3,
        "classifier": "rules",
        "session": f"s{chance.randrange(5_000)}",
        "price_source": "benchmark",
        "reasons": '["simple/code", "claude-haiku-4-5-20251001 serves it"]',
        "prompt_hash": f"{chance.getrandbits(256):064x}",
    }
    attempt = {
        "request_id": id,
        "ordinal": 0,
        "model": model,
        "provider": "anthropic",
        "upstream": model,
        "role": "route",
        "status": "failed" if failed else "ok",
        "cost_nanos": cost,
        **tokens,
        "estimated": False,
        "started": started,
        "latency_ms": latency,
        "http_status": 500 if failed else 200,
    }
    return request, attempt


@contextmanager
def dashboard(path: Path) -> Iterator[str]:
    """`mmrouter dashboard` in a process of its own; its URL."""
    command = [sys.executable, "-c", "from mmrouter.cli.main import main; main()", "dashboard"]
    process = subprocess.Popen(
        [*command, "--port", str(PORT), "--db", str(path)], stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{PORT}/dashboard"
    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(url)
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def asked(url: str, since: float) -> float:
    """Milliseconds for one answer."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"{url}since={since}") as answer:
        answer.read()
    return (time.perf_counter() - began) * 1000


def painted(url: str) -> dict[str, float]:
    """Milliseconds from navigation to the first paint, and to the figures."""
    sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/support is imported from there
    from tests.support.browser import browsing

    with browsing() as browser:
        times: dict[str, float] = {}
        for name, path, sign in (
            ("overview, 30 days", "?range=30d", ".figure"),
            ("requests, 30 days", "/requests?range=30d", ".row.at"),
        ):
            page = browser.new_page()
            began = time.perf_counter()
            page.goto(url + path)
            page.wait_for_selector(sign, timeout=60_000)
            times[f"{name}: figures"] = (time.perf_counter() - began) * 1000
            times[f"{name}: first paint"] = page.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            )
            page.close()
        return times


def sizes() -> dict[str, int]:
    """Kilobytes of the page's scripts and styles, gzipped as they are sent."""
    files = [path for path in ROOT.rglob("*") if path.suffix in (".js", ".css", ".html")]
    packed = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in files}
    html = (ROOT / "index.html").read_text("utf-8")
    first = sum(size for name, size in packed.items() if name in html or name == "index.html")
    charts = sum(n for name, n in packed.items() if name.startswith(("overview", "CartesianChart")))
    return {
        "to start": first // 1024,
        "overview, with charts": charts // 1024,
        "everything": sum(packed.values()) // 1024,
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--db", type=Path)
    parser.add_argument("--browser", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.db or Path(folder) / "million.db"
        if not path.exists():
            began = time.perf_counter()
            fill(path, options.rows)
            print(f"made {options.rows:,} requests in {time.perf_counter() - began:.0f} s")
        with dashboard(path) as url:
            now = time.time()
            for name, question in QUESTIONS.items():
                tries = 1 if name == SLOW else 3
                times = [
                    asked(f"{url}/api/{question}", now - DAYS * 86_400 + n) for n in range(tries)
                ]
                print(f"{name:<28}{statistics.median(times):>9,.0f} ms")
            if options.browser:
                for name, ms in painted(url).items():
                    print(f"{name:<36}{ms:>9,.0f} ms")
    for name, size in sizes().items():
        print(f"bundle {name:<24}{size:>6} KiB gzipped")


if __name__ == "__main__":
    main()
