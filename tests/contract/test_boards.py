"""The contract of boards, over memory and Redis: what one router learns of a breaker all know."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mmrouter import AsyncRouter
from mmrouter.config.schema import ProviderConfig
from mmrouter.decide.breaker import Change, Phase
from mmrouter.errors import ProviderServerError
from mmrouter.router.health import ProviderHealth
from mmrouter.state.boards import Board, MemoryBoard
from mmrouter.state.redis_board import RedisBoard
from mmrouter.tracker.store import open_store
from mmrouter.types import Needs, Target
from tests.support.configs import config_for
from tests.support.redis_server import redis_server
from tests.support.upstream import Upstream, failing

NEEDS = Needs(input_tokens=1, input_bound=1)
A = Target(name="a", provider="p", kind="openai", upstream="a")
DOWN = ProviderServerError("p answered 503")


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Party:
    """Routers that share a board, each with a connection of its own."""

    def __init__(self, connect: Callable[[], Board]) -> None:
        self._connect = connect
        self._boards: list[Board] = []
        self.clock = Clock()

    def join(self) -> ProviderHealth:
        board = self._connect()
        board.attend()
        self._boards.append(board)
        config = ProviderConfig(circuit_breaker_threshold=1, circuit_breaker_reset_ms=60_000)
        return ProviderHealth(config, self.clock, board)

    async def aclose(self) -> None:
        for board in self._boards:
            await board.aclose()


@pytest.fixture(params=["memory", "redis"])
async def party(request: pytest.FixtureRequest) -> AsyncIterator[Party]:
    if request.param == "memory":
        board = MemoryBoard()
        made = Party(lambda: board)
    else:
        url = request.getfixturevalue("redis_url")
        made = Party(lambda: RedisBoard(url))
    yield made
    await made.aclose()


def fail(health: ProviderHealth, clock: Clock) -> None:
    health.called(A, NEEDS, clock.now)
    health.failed(A, clock.now, DOWN)


async def becomes(health: ProviderHealth, target: Target = A, *, open: bool) -> None:
    """Waits until word has come round: there is nothing else to be awaited."""
    async with asyncio.timeout(5):
        while health.open(target) is not open:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_an_opened_breaker_is_open_for_all_and_for_who_comes_later(party: Party) -> None:
    one, two = party.join(), party.join()
    fail(one, party.clock)
    await becomes(two, open=True)
    await becomes(party.join(), open=True)


async def test_a_probe_is_made_once_and_its_success_closes_it_for_all(party: Party) -> None:
    one, two = party.join(), party.join()
    fail(one, party.clock)
    await becomes(two, open=True)
    party.clock.now += 60
    assert not two.open(A)
    two.called(A, NEEDS, party.clock.now)
    await becomes(one, open=True)
    two.succeeded(A, party.clock.now, ())
    await becomes(one, open=False)
    await becomes(party.join(), open=False)


async def test_what_has_closed_is_not_opened_by_older_news(party: Party) -> None:
    one, two = party.join(), party.join()
    fail(one, party.clock)
    await becomes(two, open=True)
    party.clock.now += 60
    two.called(A, NEEDS, party.clock.now)
    two.succeeded(A, party.clock.now, ())
    await becomes(one, open=False)
    board = party._boards[0]
    board.tell(Change("p", "a", Phase.OPEN, party.clock.now - 1))
    board.tell(Change("q", None, Phase.OPEN, party.clock.now))
    mark = Target(name="x", provider="q", kind="openai", upstream="x")
    await becomes(two, mark, open=True)
    assert not two.open(A)


@contextmanager
def folder_for_redis() -> Iterator[Path]:
    """Short enough for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        yield Path(name)


async def test_redis_lost_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmrouter.state.redis_board.AGAIN_S", 0.05)
    with folder_for_redis() as folder, ExitStack() as first:
        url = await asyncio.to_thread(first.enter_context, redis_server(folder))
        party = Party(lambda: RedisBoard(url))
        one, two = party.join(), party.join()
        fail(one, party.clock)
        await becomes(two, open=True)
        party.clock.now += 60
        await asyncio.to_thread(first.close)  # Redis dies
        two.called(A, NEEDS, party.clock.now)
        two.succeeded(A, party.clock.now, ())
        assert not two.open(A), "each relies on what it sees itself"
        party.clock.now += 1
        fail(two, party.clock)
        with ExitStack() as again:
            await asyncio.to_thread(again.enter_context, redis_server(folder))
            await becomes(one, open=True)  # what could not be told is told now
            await becomes(party.join(), open=True)
            await party.aclose()
            await asyncio.to_thread(again.close)


async def test_a_router_never_calls_what_another_found_dead(
    upstream: Upstream, second: Upstream, redis_url: str, tmp_path: Path
) -> None:
    upstream.handler = failing(503)
    config = config_for(
        {"a": upstream.base_url, "b": second.base_url},
        provider={"max_retries": 0, "circuit_breaker_threshold": 2},
        state={"url": redis_url},
    )
    books = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two")]
    async with AsyncRouter(config, db=books[0]) as one, AsyncRouter(config, db=books[1]) as two:
        await two.route_messages([{"role": "user", "content": "hi"}], model="b")  # it listens now
        for _ in range(2):
            await one.route("hi")
        parts = two._parts
        target = parts.registry.resolve("a")
        async with asyncio.timeout(5):
            while not parts.health.open(target):  # noqa: ASYNC110 - as in `becomes`
                await asyncio.sleep(0.005)
        result = await two.route("hi")
    assert (result.model, result.fallback_used) == ("b", False)
    assert "a is failing: passed over" in result.decision.reasons
    assert len(upstream.seen) == 2


async def test_a_redis_that_never_answers_stalls_no_request(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    """It takes connections, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        upstream.handler = failing(503)
        config = config_for(
            {"a": upstream.base_url, "b": second.base_url},
            provider={"max_retries": 0, "circuit_breaker_threshold": 2},
            state={"url": url},
        )
        async with AsyncRouter(config, db=db) as router, asyncio.timeout(1.5):
            for _ in range(20):
                assert (await router.route("hi")).model == "b"
    assert len(upstream.seen) == 2, "its own state holds"


async def test_the_books_keep_when_breakers_opened_and_closed(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    upstream.handler = failing(503, "out of order")
    config = config_for(
        {"a": upstream.base_url, "b": second.base_url},
        provider={
            "max_retries": 0,
            "circuit_breaker_threshold": 1,
            "circuit_breaker_reset_ms": 1,
            "provider_circuit_breaker_threshold": 1,
            "provider_circuit_breaker_reset_ms": 1,
        },
    )
    async with AsyncRouter(config, db=db) as router:
        await router.route("hi")
        upstream.handler = None
        await asyncio.sleep(0.005)
        assert (await router.route("hi")).model == "a"
    store = open_store(db)
    rows = store.breaker_changes()
    assert store.breaker_changes(since=rows[0]["at"] + 1) == []
    assert store.prune(older_than=rows[0]["at"] + 1) >= 0
    assert store.breaker_changes() == []
    store.close()
    assert [(row["model"], row["phase"]) for row in reversed(rows)] == [
        ("a", "open"),
        (None, "open"),
        ("a", "half_open"),
        (None, "half_open"),
        ("a", "closed"),
        (None, "closed"),
    ]
    assert rows[-1]["provider"] == "at-a"
    assert rows[-1]["cause"] == "ProviderServerError: at-a answered 503: out of order"
