"""The contract of counters, over memory and Redis: whatever happens in whatever order, settled and
set-aside money stays within the limits, and nothing is lost or counted twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mmrouter.decide.budget import MOST_NANOS, Balance
from mmrouter.errors import StateError
from mmrouter.state.base import Counters, Full, Unknown
from mmrouter.state.memory import MemoryCounters
from mmrouter.state.redis import RedisCounters

FAR = 4e9  # Unix seconds, in the year 2096
LIMITS = {"day all": 1_000, "month all": 1_500, "day key ann": 400}
SETS = [("day all", "month all"), ("day all", "day key ann"), ("day key ann",)]


class Machine(RuleBasedStateMachine):
    """Requests that reserve, reserve more, settle, or die; a model beside the real thing.

    A request keeps its counters and never costs more than it has set aside, as `router.budget`
    promises.
    """

    make: Callable[[], Counters]
    kill: Callable[[Any, str], None] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.counters = self.runner.run(self._open())
        self.settled: dict[str, int] = {}
        self.held: dict[int, int] = {}
        self.dead: set[int] = set()

    async def _open(self) -> Counters:
        return type(self).make()

    def teardown(self) -> None:
        self.runner.run(self.counters.aclose())
        self.runner.close()

    def names(self, id: int) -> tuple[str, ...]:
        return SETS[id % len(SETS)]

    def reserved(self, name: str) -> int:
        return sum(amount for id, amount in self.held.items() if name in self.names(id))

    @rule(name=st.sampled_from(list(LIMITS)), settled=st.integers(0, 300))
    def start(self, name: str, settled: int) -> None:
        self.runner.run(self.counters.start(name, settled, until=FAR))
        self.settled.setdefault(name, settled)

    @rule(id=st.integers(0, 8), amount=st.integers(0, 500))
    def reserve(self, id: int, amount: int) -> None:
        if id in self.dead:
            return
        limits = {name: LIMITS[name] for name in self.names(id)}
        said = self.runner.run(self.counters.reserve(str(id), amount, limits))
        unknown = tuple(name for name in limits if name not in self.settled)
        full = [
            name
            for name, limit in limits.items()
            if not unknown
            and self.settled[name] + self.reserved(name) - self.held.get(id, 0) + amount > limit
        ]
        if unknown:
            assert said == Unknown(unknown)
        elif full:
            assert isinstance(said, Full)
            assert said.counter == full[0]
            assert said.balance == Balance(self.settled[full[0]], self.reserved(full[0]))
        else:
            assert said is None
            self.held[id] = amount

    @rule(id=st.integers(0, 8), share=st.floats(0, 1))
    def settle(self, id: int, share: float) -> None:
        if id in self.dead:
            return
        held = self.held.pop(id, None)
        cost = int((held or 0) * share)
        assert self.runner.run(self.counters.settle(str(id), cost, self.names(id))) == held
        if held is not None:
            for name in self.names(id):
                self.settled[name] += cost

    @rule(id=st.integers(0, 8))
    def die(self, id: int) -> None:
        if type(self).kill and id in self.held:
            type(self).kill(self.counters, str(id))
            self.dead.add(id)

    @rule(share=st.floats(0, 1), twice=st.booleans())
    def resolve(self, share: float, twice: bool) -> None:
        lapsed = self.runner.run(self.counters.lapsed())
        assert {int(one.id) for one in lapsed} == self.dead
        for one in lapsed:
            cost = int(self.held.pop(int(one.id)) * share)
            self.dead.discard(int(one.id))
            assert one.counters == self.names(int(one.id))
            for _ in range(1 + twice):  # two processes may come upon it
                self.runner.run(self.counters.resolve(one, cost))
            for name in one.counters:
                self.settled[name] += cost

    @invariant()
    def balances_are_what_happened_and_within_the_limits(self) -> None:
        found = self.runner.run(self.counters.read(list(LIMITS)))
        for (name, limit), balance in zip(LIMITS.items(), found, strict=True):
            if name not in self.settled:
                assert balance is None
                continue
            assert balance == Balance(self.settled[name], self.reserved(name))
            assert balance.committed <= limit


def check(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_memory_keeps_the_contract() -> None:
    class InMemory(Machine):
        make = MemoryCounters

    check(InMemory)


def test_redis_keeps_the_contract(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)

    class InRedis(Machine):
        @staticmethod
        def make() -> Counters:
            client.flushall()
            return RedisCounters(redis_url)

        @staticmethod
        def kill(counters: Any, id: str) -> None:
            """As if it were held by a process that no longer renews it: the lease has run out."""
            counters._held.discard(id)
            client.zadd("mmrouter:{budget}:deadlines", {id: 0})

    check(InRedis)
    client.close()


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[Counters]:
    if request.param == "memory":
        yield MemoryCounters()
        return
    made = RedisCounters(request.getfixturevalue("redis_url"))
    yield made
    await made.aclose()


async def test_the_last_nano_dollar_is_told_from_one_too_many(counters: Counters) -> None:
    """Redis' scripts count in doubles: the highest limit is chosen so that this is exact."""
    await counters.start("c", MOST_NANOS - 1, until=FAR)
    assert await counters.reserve("a", 2, {"c": MOST_NANOS}) is not None
    assert await counters.reserve("a", 1, {"c": MOST_NANOS}) is None
    assert await counters.reserve("b", 1, {"c": MOST_NANOS}) == Full(
        "c", Balance(MOST_NANOS - 1, 1)
    )
    await counters.settle("a", 1, ["c"])
    assert await counters.read(["c"]) == [Balance(MOST_NANOS, 0)]


async def test_a_burst_gets_what_there_is_and_no_more(counters: Counters) -> None:
    await counters.start("c", 0, until=FAR)
    said = await asyncio.gather(*(counters.reserve(str(i), 7, {"c": 100}) for i in range(200)))
    assert said.count(None) == 14
    assert await counters.read(["c"]) == [Balance(0, 98)]


async def test_a_live_process_keeps_its_reservations_and_a_dead_ones_lapse(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmrouter.state.redis.LEASE_S", 1.0)
    live, dead = RedisCounters(redis_url), RedisCounters(redis_url)
    await live.start("c", 0, until=FAR)
    await live.reserve("kept", 5, {"c": 100})
    await dead.reserve("lost", 6, {"c": 100})
    await dead.aclose()  # renews no more
    lapsed: list[Any] = []
    async with asyncio.timeout(10):
        while not lapsed:
            lapsed = await live.lapsed()
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)
    assert [(one.id, one.counters) for one in await live.lapsed()] == [("lost", ("c",))]
    assert await live.read(["c"]) == [Balance(0, 11)], "it counts until it is resolved"
    await live.resolve(lapsed[0], 2)
    assert await live.read(["c"]) == [Balance(2, 5)]
    await live.aclose()


async def test_a_lost_redis_is_said_so() -> None:
    counters = RedisCounters("unix:///nowhere/redis.sock")
    with pytest.raises(StateError, match="cannot be reached"):
        await counters.reserve("a", 1, {"c": 1})
    await counters.aclose()
