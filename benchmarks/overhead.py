"""CPU time that a request costs mmrouter itself, part by part, in µs.

    python benchmarks/overhead.py [--rounds 25] [--requests 320] [--together 16] [--profile FILE]

The library path in one process, sixteen requests at a time, with every thread's CPU time counted:
the figures depend little on what else runs on the machine. Routing is the pipeline with a provider
that answers at once and books that keep nothing; the provider and the tracker are what a request
costs more with real ones (the upstream is a process of its own; SQLite). Parts are measured in
turn, round after round, and the least of each counts: noise only ever adds.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from mmrouter import bootstrap
from mmrouter.classifier.rules import RulesClassifier
from mmrouter.classifier.text import judge
from mmrouter.config import Config
from mmrouter.decide.plan import Snapshot, plan_auto
from mmrouter.dialects import DIALECTS
from mmrouter.providers.base import Answer, Call, Finish, ProviderBase
from mmrouter.providers.registry import Registry
from mmrouter.router.call import Caller, Calls
from mmrouter.router.classify import ClassifyStep
from mmrouter.router.health import ProviderHealth
from mmrouter.router.ids import new_request_id
from mmrouter.router.pipeline import Pipeline
from mmrouter.router.planner import Planner
from mmrouter.router.ports import Books
from mmrouter.tracker.store import open_store
from mmrouter.tracker.writer import Tracker
from mmrouter.types import Dialect, Outcome, Request, Surface, Usage

MOCK = Path(__file__).parent / "http" / "mock_upstream.py"
KEY = "MMROUTER_BENCH_KEY"
PROMPT = "What is the capital of France, and which river flows through it? One short sentence."
BODY = {"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}


class Instant(ProviderBase):
    """Answers at once."""

    async def stream(self, call: Call) -> Answer:
        yield Finish(
            b"{}", "Paris, on the Seine.", Usage(input_tokens=19, output_tokens=9), "stop", "up_1"
        )


class Nowhere:
    """Books that keep nothing."""

    def check(self) -> None:
        """Ready."""

    async def record(self, outcome: Outcome) -> None:
        """Forgets it."""


def config_for(upstream: str) -> Config:
    """Every bucket has one model, on the mock."""
    categories = ("factual", "reasoning", "creative", "code")
    return Config.model_validate(
        {
            "routes": {
                level: {category: {"model": "mock"} for category in categories}
                for level in ("simple", "medium", "complex")
            },
            "classifier": {"strategy": "rules"},
            "providers": {"corp": {"kind": "openai", "base_url": upstream, "api_key_env": KEY}},
            "models": {
                "mock": {
                    "provider": "corp",
                    "upstream": "mock",
                    "price": {"input": 0.15, "output": 0.60},
                }
            },
        }
    )


def request() -> Request:
    """A short question, as a client of the chat surface asks it."""
    return Request(
        id=new_request_id(),
        surface=Surface.CHAT,
        dialect=Dialect.CHAT,
        model="auto",
        body=BODY,
        key_name="bench",
    )


class Parts:
    """A router, in which the provider and the books can be exchanged."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self.registry = Registry(config)
        self.store = open_store(f"sqlite:///{folder}/books.db")
        self.tracker = Tracker(self.store)
        self.providers = bootstrap.Providers()
        self.health = ProviderHealth(config.provider, time.time)
        self.budget = bootstrap.open_budget(config, self.store)
        self.classify = ClassifyStep(RulesClassifier())
        instant = Instant()
        self.bare = self._pipeline(lambda *_: instant, Nowhere())
        self.called = self._pipeline(self.providers.get, Nowhere())
        self.whole = self._pipeline(self.providers.get, self.tracker)

    def _pipeline(self, provider_for: Calls, books: Books) -> Pipeline:
        planner = Planner(
            self.config, self.registry, self.classify, self.health, self.budget, lambda _: None
        )
        caller = Caller(
            config=self.config.provider,
            provider_for=provider_for,
            priced=self.registry.priced,
            health=self.health,
            budget=self.budget,
            now=time.time,
            monotonic=time.perf_counter,
        )
        return Pipeline(config=self.config, plans=planner, caller=caller, books=books)

    async def aclose(self) -> None:
        """Gives everything back."""
        await self.providers.aclose()
        await self.budget.aclose()
        await asyncio.to_thread(self.tracker.close)

    def steps(self) -> dict[str, Callable[[], object]]:
        """The pure parts of routing."""
        dialect, rules = DIALECTS[Dialect.CHAT], RulesClassifier()
        needs, conversation = dialect.needs(BODY), dialect.conversation(BODY)
        judged = judge(conversation)
        label = rules.classify(judged)
        state = Snapshot(callable=self.registry.has_key, open=self.health.open)
        return {
            "· needs": lambda: dialect.needs(BODY),
            "· judge": lambda: judge(dialect.conversation(BODY)),
            "· rules": lambda: rules.classify(judged),
            "· plan": lambda: plan_auto(
                "auto", label, needs, self.config, self.registry.priced, state
            ),
        }


async def drain(pipeline: Pipeline) -> None:
    """One request, as a surface makes it."""
    async for _ in pipeline.run(request()):
        pass


async def cost(one: Callable[[], Awaitable[None]], requests: int, together: int) -> float:
    """CPU seconds of one request."""

    async def client() -> None:
        for _ in range(requests // together):
            await one()

    start = time.process_time()
    await asyncio.gather(*(client() for _ in range(together)))
    return (time.process_time() - start) / (requests // together * together)


def step_cost(step: Callable[[], object], requests: int) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    for _ in range(requests):
        step()
    return (time.process_time() - start) / requests


@contextmanager
def upstream() -> Iterator[str]:
    """The mock's address, while it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen([sys.executable, MOCK, "--port", str(port)])
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        child.terminate()
        child.wait()


async def measure(url: str, args: argparse.Namespace) -> None:
    """Prints the table, or profiles the routing."""
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(config_for(url), Path(folder))
        pipelines = {"bare": parts.bare, "called": parts.called, "whole": parts.whole}
        try:
            if args.profile:
                await cost(lambda: drain(parts.bare), 200, args.together)
                with cProfile.Profile() as profile:
                    await cost(lambda: drain(parts.bare), args.requests, args.together)
                profile.dump_stats(args.profile)
                return
            best: dict[str, float] = {}
            for _ in range(args.rounds):
                for name, step in parts.steps().items():
                    took = step_cost(step, args.requests)
                    best[name] = min(took, best.get(name, took))
                for name, pipeline in pipelines.items():
                    took = await cost(lambda p=pipeline: drain(p), args.requests, args.together)  # type: ignore[misc]
                    best[name] = min(took, best.get(name, took))
        finally:
            await parts.aclose()
    bare, called, whole = (best.pop(name) for name in pipelines)
    rows = {"routing": bare, **best, "provider": called - bare, "tracker": whole - called}
    print("| part | µs |\n| --- | ---: |")
    for name, seconds in {**rows, "request": whole}.items():
        print(f"| {name} | {seconds * 1e6:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--requests", type=int, default=320)
    parser.add_argument("--together", type=int, default=16)
    parser.add_argument("--profile", help="profile the routing into this file instead")
    args = parser.parse_args()
    os.environ[KEY] = "sk-mock"
    with upstream() as url:
        uvloop.run(measure(url, args))


if __name__ == "__main__":
    main()
