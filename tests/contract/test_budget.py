"""Budgets on the real request path: parallel requests, several processes, failures, sudden death.

The upstream bills 2,200,000 nano-dollars a call, and a call is held to about 2,300,000: a limit of
50 such calls admits about 50.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import web

from mmrouter import AsyncRouter, Config
from mmrouter.bootstrap import open_budget
from mmrouter.errors import BudgetExceededError, ConfigError, StateError, UnpricedModelError
from mmrouter.money import NANOS_PER_USD
from mmrouter.router.budget import Audited
from mmrouter.tracker.audit import recomputed
from mmrouter.tracker.store import open_store
from mmrouter.tracker.writer import Tracker
from tests.contract.budget_child import WAYS, burst
from tests.support.configs import config_for, one_route
from tests.support.upstream import (
    DONE,
    Upstream,
    chunk,
    completion,
    failing,
    running,
    send,
    usage_chunk,
)

CHILD = Path(__file__).with_name("budget_child.py")
CALL_USD = 0.0022
LIMIT_USD = 50 * 0.0023
LIMIT = round(LIMIT_USD * NANOS_PER_USD)


async def bill(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answers as the prompt says, after a moment in which all others arrive."""
    way = body["messages"][-1]["content"]
    await asyncio.sleep(0.1)
    if way == "broken":
        return await failing(500)(request, body)
    if not body.get("stream"):
        usage = {"prompt_tokens": 2_000, "completion_tokens": 100, "total_tokens": 2_100}
        return web.json_response(completion(usage=usage))
    events = [chunk({"content": "word "}) for _ in range(5)]
    if way != "cut":
        events += [chunk({}, "stop"), usage_chunk(2_000, 100), DONE]
    return await send(request, events)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running(bill) as made:
        yield made


def limited(upstream: Upstream, state: str = "memory://", **changes: Any) -> Config:
    budget = {"enabled": True, "daily_limit": LIMIT_USD, "hard_limit_action": "reject"}
    return config_for(
        {"a": upstream.base_url},
        budget={**budget, **changes.pop("budget", {})},
        state={"url": state},
        **changes,
    )


@pytest.fixture(params=["memory", "redis"])
def state(request: pytest.FixtureRequest) -> str:
    return "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")


@asynccontextmanager
async def watched(router: AsyncRouter) -> AsyncIterator[list[int]]:
    """Looks at the balances again and again; gives what it saw committed."""
    budget = router._parts.budget
    seen: list[int] = []

    async def look() -> None:
        while True:
            for limit, balance in await budget.balances(budget.limits()):
                assert balance.committed <= limit.nanos
                seen.append(balance.committed)
            await asyncio.sleep(0.002)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:  # also where a request fails: else it looks on for ever, and the test hangs
        looking.cancel()
        await asyncio.wait([looking])
    assert looking.cancelled(), looking.exception()


async def audit(config: Config, db: str) -> list[Audited]:
    """As `mmrouter budget audit`, from a process that comes afterwards."""
    store = open_store(db)
    budget = open_budget(config, store)
    found = await budget.audit()
    await budget.aclose()
    assert store.verify() == []
    store.close()
    return found


async def eventually(true: Callable[[], bool]) -> None:
    """Waits for what other processes do."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - they set no event of ours
            await asyncio.sleep(0.005)


async def audited_when_quiet(config: Config, db: str) -> Audited:
    """The only limit, once what the dead had set aside has lapsed."""
    async with asyncio.timeout(30):
        while (audited := (await audit(config, db))[0]).balance.reserved:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return audited


async def test_500_at_once_against_a_limit_that_admits_50(
    upstream: Upstream, db: str, state: str
) -> None:
    config = limited(upstream, state)
    async with AsyncRouter(config, db=db) as router, watched(router) as committed:

        async def ask() -> str:
            try:
                return (await router.route("whole", max_tokens=100)).content
            except BudgetExceededError:
                return "refused"

        async with asyncio.TaskGroup() as group:  # where one fails, none goes on
            asked = [group.create_task(ask()) for _ in range(500)]
        said = Counter(task.result() for task in asked)
        (audited,) = await router._parts.budget.audit()
    assert said["Paris."] == len(upstream.seen)
    assert 45 <= said["Paris."] <= 52
    assert sum(said.values()) == 500
    assert max(committed) > 0.9 * LIMIT, "the limit was really approached"
    assert audited.drift_nanos == 0
    assert audited.balance.reserved == 0
    assert audited.balance.settled == said["Paris."] * 2_200_000


async def test_whatever_becomes_of_requests_the_books_balance_and_nothing_stays_set_aside(
    upstream: Upstream, db: str, state: str
) -> None:
    """Streams, failures, broken streams, cancellations before and during the answer."""
    config = limited(upstream, state, budget={"daily_limit": 10 * LIMIT_USD})
    async with AsyncRouter(config, db=db) as router:
        await router.route("whole", max_tokens=100)
    ended = await burst(config, db, 150, seed=1, ways=WAYS)
    assert {"answered", "left", "ProviderServerError", "TimeoutError"} <= set(ended)
    assert not ended["refused"]
    (audited,) = await audit(config, db)
    assert (audited.drift_nanos, audited.balance.reserved) == (0, 0)
    store = open_store(db)
    by_request, by_attempt = store.settled(since=0), recomputed(store, since=0)
    store.close()
    assert by_request == by_attempt
    assert by_request.total == audited.balance.settled > 0


@contextmanager
def children(config: Config, db: str, folder: Path, requests: int) -> Iterator[list[Any]]:
    path = folder / "config.json"
    path.write_text(config.model_dump_json())
    started = [
        subprocess.Popen(
            [sys.executable, CHILD, path, db, str(requests), str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=CHILD.parents[2],
        )
        for seed in range(4)
    ]
    try:
        yield started
    finally:
        for child in started:
            child.kill()
            child.communicate()


@contextmanager
def redis_watched(url: str) -> Iterator[list[int]]:
    """Reads the counter of all requests again and again, from outside."""
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        with redis.Redis.from_url(url) as client:
            while not over.is_set():
                for key in client.keys("mmrouter:{budget}:counter:*"):
                    found = client.hmget(key, "settled", "reserved")
                    seen.append(sum(int(value) for value in found))
                over.wait(0.002)

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    over.set()
    thread.join()


async def test_four_processes_share_one_limit_also_when_two_of_them_are_killed(
    upstream: Upstream, db: str, redis_url: str, tmp_path: Path
) -> None:
    config = limited(upstream, redis_url)
    with redis_watched(redis_url) as committed, children(config, db, tmp_path, 125) as started:
        await eventually(lambda: len(upstream.seen) >= 5)
        for child in started[:2]:
            child.kill()
        outputs = await asyncio.to_thread(lambda: [child.communicate() for child in started[2:]])
    for child, (out, err) in zip(started[2:], outputs, strict=True):
        assert child.returncode == 0, err.decode()
        assert sum(json.loads(out).values()) == 125
    assert 0 < max(committed) <= LIMIT
    audited = await audited_when_quiet(config, db)
    assert audited.drift_nanos == 0
    assert 0 < audited.balance.settled <= LIMIT
    wider = limited(upstream, redis_url, budget={"daily_limit": LIMIT_USD + 2 * CALL_USD})
    async with AsyncRouter(wider, db=db) as router:
        assert (await router.route("whole", max_tokens=100)).content == "Paris."


async def test_two_processes_cannot_each_keep_a_budget_in_memory(
    upstream: Upstream, books_url: str
) -> None:
    config = limited(upstream)
    async with AsyncRouter(config, db=books_url):
        with pytest.raises(ConfigError, match="redis://"):
            AsyncRouter(config, db=books_url)
    async with AsyncRouter(config, db=books_url) as router:  # once it is given back
        await router.route("whole", max_tokens=100)


async def test_a_restart_goes_on_from_the_books(upstream: Upstream, db: str, state: str) -> None:
    async with AsyncRouter(limited(upstream, state), db=db) as router:
        await router.route("whole", max_tokens=100)
    if state != "memory://":
        with redis.Redis.from_url(state) as client:
            client.flushall()
    once = limited(upstream, state, budget={"daily_limit": 2 * CALL_USD})
    async with AsyncRouter(once, db=db) as router:
        with pytest.raises(BudgetExceededError, match="daily limit") as caught:
            await router.route("whole", max_tokens=100)
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s > 1, "not before the day is over"


async def test_keys_and_tags_have_limits_of_their_own(upstream: Upstream, db: str) -> None:
    """A request falls under several; all of them must hold it, and other requests do not."""
    tight = {"daily_limit": CALL_USD * 1.5}
    config = limited(upstream, budget={"tags": {"batch": tight, "free": {"monthly_limit": 0}}})
    async with AsyncRouter(config, db=db) as router:
        await router.route("whole", max_tokens=100, tags=["batch", "other", "batch"])
        with pytest.raises(BudgetExceededError, match="tag 'batch'"):
            await router.route("whole", max_tokens=100, tags=["other", "batch"])
        with pytest.raises(BudgetExceededError, match="monthly limit of tag 'free'"):
            await router.route("whole", max_tokens=100, tags=["free"])
        await router.route("whole", max_tokens=100, tags=["other"])
        found = {a.limit.counter.split(" ", 2)[2]: a for a in await router._parts.budget.audit()}
    assert {name: a.balance.settled for name, a in found.items()} == {
        "all": 4_400_000,
        "tag batch": 2_200_000,
        "tag free": 0,
    }
    assert all(a.drift_nanos == 0 and not a.balance.reserved for a in found.values())


PRICES = {"dear": {"input": 10, "output": 20}, "cheap": {"input": 1, "output": 2}}


def two(upstream: Upstream, *, unknown: bool = False, **changes: Any) -> Config:
    """A route to `dear`; `cheap` is configured too, for cascades, which are not enabled."""
    plain = limited(upstream, **changes).model_dump(mode="json")
    rows = {
        name: {"provider": "at-a", **({} if unknown else {"price": price})}
        for name, price in PRICES.items()
    }
    routes = one_route("dear", cascade=("cheap",))
    return Config.model_validate({**plain, "models": rows, "routes": routes})


async def test_a_call_that_does_not_fit_goes_to_the_cheapest_model_or_is_rejected(
    upstream: Upstream, db: str
) -> None:
    little = {"daily_limit": 3 * CALL_USD, "hard_limit_action": "cheapest"}
    async with AsyncRouter(two(upstream, budget=little), db=db) as router:
        result = await router.route("whole", max_tokens=100)
        assert result.model == "cheap"
        assert result.decision.budget_downgraded
        assert "cheapest model only" in result.decision.reasons[-1]
    rejecting = {**little, "hard_limit_action": "reject"}
    async with AsyncRouter(two(upstream, budget=rejecting), db=db) as router:
        with pytest.raises(BudgetExceededError):
            await router.route("whole", max_tokens=100)
        assert (await router.route("whole", model="cheap", max_tokens=100)).model == "cheap"


async def test_a_request_has_a_budget_of_its_own_over_all_its_attempts(
    upstream: Upstream, db: str
) -> None:
    config = config_for({"a": upstream.base_url}, provider={"max_retries": 2})
    call = round(CALL_USD * NANOS_PER_USD)
    async with AsyncRouter(config, db=db) as router:
        with pytest.raises(BudgetExceededError, match="its own limit"):
            await router.route("whole", max_tokens=100, max_cost_nanos=call)
        await router.route("whole", max_tokens=100, max_cost_nanos=2 * call)
        upstream.seen.clear()
        with pytest.raises(Exception, match="cut its stream off"):
            stream = router.stream("cut", max_tokens=100, max_cost_nanos=int(1.1 * call))
            _ = [text async for text in stream]
    assert len(upstream.seen) == 1, "a second attempt would not have been paid for"


async def test_an_unknown_price_cannot_be_held_to_a_limit(upstream: Upstream, db: str) -> None:
    config = two(upstream, unknown=True, unpriced="allow")
    async with AsyncRouter(config, db=db) as router:
        with pytest.raises(UnpricedModelError, match="limit"):
            await router.route("whole", max_tokens=100)
    free = two(upstream, unknown=True, unpriced="allow", budget={"enabled": False})
    async with AsyncRouter(free, db=db) as router:
        assert (await router.route("whole", max_tokens=100)).cost_nanos is None
    assert len(upstream.seen) == 1


async def test_a_lost_redis_refuses_and_a_settlement_that_it_missed_is_made_up(
    upstream: Upstream, db: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmrouter.state.redis.LEASE_S", 0.5)
    config = limited(upstream, redis_url)
    async with AsyncRouter(config, db=db) as router:
        budget = router._parts.budget
        real = budget._counters

        class Lost:
            """Redis is gone between reservation and settlement."""

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            async def settle(self, id: str, *_: Any) -> None:
                real._held.discard(id)
                raise StateError("gone")

        monkeypatch.setattr(budget, "_counters", Lost())
        assert (await router.route("whole", max_tokens=100)).content == "Paris."
    audited = await audited_when_quiet(config, db)
    assert (audited.drift_nanos, audited.balance.settled) == (0, 2_200_000)


async def test_a_request_that_cannot_be_recorded_is_settled_all_the_same(
    upstream: Upstream, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: Tracker, outcome: Any) -> None:
        raise ConfigError("the disk is full")

    async with AsyncRouter(limited(upstream), db=db) as router:
        monkeypatch.setattr(Tracker, "record", refuse)
        with pytest.raises(ConfigError):
            await router.route("whole", max_tokens=100)
        ((_, balance),) = await router._parts.budget.balances(router._parts.budget.limits())
    assert (balance.settled, balance.reserved) == (2_200_000, 0)
