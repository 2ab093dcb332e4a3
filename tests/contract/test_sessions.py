"""What is remembered of conversations, in memory and in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing

import pytest
import redis

from mmrouter.decide.prompt_cache import Cached
from mmrouter.decide.session import Session
from mmrouter.state.redis_sessions import RedisSessions, dumps, loads
from mmrouter.state.sessions import MemorySessions, Sessions
from tests.support.redis_server import redis_server

KNOWN = Session(
    model="modèle",
    provider="p",
    weight=1.25,
    prompt_tokens=9_000,
    growth=12,
    mixed=True,
    caches={"modèle": Cached(8_960, 1_700_000_000.25)},
)
OTHER = Session(model="m", provider="p", weight=0.0, prompt_tokens=1)

Make = Callable[..., Sessions]


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a store of one kind; those of Redis share it."""

    def made(ttl: float = 60.0, most: int = 100) -> Sessions:
        if request.param == "memory":
            return MemorySessions(ttl=ttl, most=most)
        return RedisSessions(request.getfixturevalue("redis_url"), ttl=ttl, most=most)

    return made


async def test_what_was_put_is_found_as_it_was(make: Make) -> None:
    sessions = make()
    assert await sessions.get("a") is None
    sessions.put("a", KNOWN)
    assert await sessions.get("a") == KNOWN
    sessions.put("a", OTHER)
    sessions.put("b", KNOWN)
    assert [await sessions.get(name) for name in "abc"] == [OTHER, KNOWN, None]
    assert sessions.recall("b") == KNOWN
    await sessions.aclose()


async def test_it_is_forgotten_in_time(make: Make) -> None:
    sessions = make(ttl=0.05)
    sessions.put("a", KNOWN)
    async with asyncio.timeout(5):
        while await sessions.get("a") is not None:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)
    assert sessions.recall("a") is None
    await sessions.aclose()


def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    clock = [0.0]
    sessions = MemorySessions(ttl=10, most=3, now=lambda: clock[0])
    for name in "abc":
        sessions.put(name, KNOWN)
    sessions.put("a", OTHER)  # used again
    sessions.put("d", KNOWN)
    assert [sessions.recall(name) for name in "abcd"] == [OTHER, None, KNOWN, KNOWN]
    clock[0] = 11.0
    for name in "efg":
        sessions.put(name, KNOWN)
    assert len(sessions._known) == 3, "those that expired make room by themselves"


async def test_replicas_go_on_with_each_others_conversations(redis_url: str) -> None:
    one, two = (RedisSessions(redis_url, ttl=60, most=10) for _ in range(2))
    one.put("a", KNOWN)
    await one.aclose()  # all is written
    assert await two.get("a") == KNOWN
    two.put("a", OTHER)
    await two.aclose()
    again = RedisSessions(redis_url, ttl=60, most=10)
    assert await again.get("a") == OTHER
    await again.aclose()
    with closing(redis.Redis.from_url(redis_url)) as client:
        assert 0 < client.pttl("mmrouter:session:a") <= 60_000


async def test_what_another_version_wrote_is_passed_over(redis_url: str) -> None:
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.set("mmrouter:session:a", b'{"novel": 1}')
    sessions = RedisSessions(redis_url, ttl=60, most=10)
    assert await sessions.get("a") is None
    await sessions.aclose()


async def test_a_lost_redis_costs_little_time_and_no_error() -> None:
    with redis_server() as url:
        sessions = RedisSessions(url, ttl=60, most=10)
        sessions.put("a", KNOWN)
        assert await sessions.get("a") == KNOWN
    began = time.process_time()
    for _ in range(200):
        assert await sessions.get("a") == KNOWN, "this process' own memory answers"
        assert await sessions.get("z") is None
    sessions.put("b", OTHER)
    assert await sessions.get("b") == OTHER
    assert time.process_time() - began < 1.0, "it is not tried anew each time"
    await sessions.aclose()


def test_only_a_session_is_read() -> None:
    assert loads(dumps(KNOWN)) == KNOWN
    for data in (b"", b"[]", b"{}", b'{"caches": {}}', b'{"caches": {"a": 3}}'):
        with pytest.raises(ValueError, match=r"."):
            loads(data)
