"""Counters in Redis, shared by all processes. Each operation is one script: Redis runs it alone.

Keys, all in one hash slot:
    mmrouter:{budget}:counter:<name>    hash: settled, reserved
    mmrouter:{budget}:reservations      hash: id -> amount and counters, a line each
    mmrouter:{budget}:deadlines         sorted set: id -> when it lapses unless it is renewed

A process renews what it holds every `LEASE_S / 3` seconds by Redis' own clock, so a reservation
lapses within `LEASE_S` of its process' death, however long the call itself may take. A process that
stands still for longer than that (a suspended machine) is taken for dead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mmrouter.decide.budget import Balance
from mmrouter.errors import MissingDependencyError, StateError
from mmrouter.state.base import Full, Lapsed, Unknown
from mmrouter.types import Nanos

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError as error:
    raise MissingDependencyError("redis", "pip install 'mmrouter[redis]'") from error

logger = logging.getLogger(__name__)

LEASE_S = 30.0
"""How long a reservation outlives its last renewal."""

TIMEOUT_S = 2.0
"""How long Redis may take to connect or to answer before it counts as lost."""

CONNECTIONS = 16
"""Of one process; a burst waits its turn."""

_PREFIX = "mmrouter:{budget}:"
_RESERVATIONS, _DEADLINES = _PREFIX + "reservations", _PREFIX + "deadlines"

_START = """
redis.call('HSETNX', KEYS[1], 'settled', ARGV[1])
redis.call('HSETNX', KEYS[1], 'reserved', '0')
redis.call('EXPIREAT', KEYS[1], ARGV[2])
"""

_NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
"""

_RESERVE = (
    _NOW
    + """
local id, amount, lease, names = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local unknown = {'unknown'}
for i = 3, #KEYS do
    if redis.call('HEXISTS', KEYS[i], 'settled') == 0 then table.insert(unknown, i - 3) end
end
if #unknown > 1 then return unknown end
local value = redis.call('HGET', KEYS[1], id)
local held = value and tonumber(string.match(value, '^%d+')) or 0
for i = 3, #KEYS do
    local balance = redis.call('HMGET', KEYS[i], 'settled', 'reserved')
    if tonumber(balance[1]) + tonumber(balance[2]) - held + amount > tonumber(ARGV[i + 2]) then
        return {'full', i - 3, balance[1], balance[2]}
    end
end
for i = 3, #KEYS do
    redis.call('HINCRBY', KEYS[i], 'reserved', string.format('%.0f', amount - held))
end
redis.call('HSET', KEYS[1], id, ARGV[2] .. '\\n' .. names)
redis.call('ZADD', KEYS[2], now + lease, id)
return {'ok'}
"""
)

_SETTLE = """
local id, cost, only_held = ARGV[1], ARGV[2], ARGV[3] == '1'
local value = redis.call('HGET', KEYS[1], id)
if not value and only_held then return false end
local held = value and string.match(value, '^%d+')
for i = 3, #KEYS do
    if redis.call('HEXISTS', KEYS[i], 'settled') == 1 then
        redis.call('HINCRBY', KEYS[i], 'settled', cost)
        if held then redis.call('HINCRBY', KEYS[i], 'reserved', '-' .. held) end
    end
end
redis.call('HDEL', KEYS[1], id)
redis.call('ZREM', KEYS[2], id)
return held
"""

_RENEW = (
    _NOW
    + """
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[1]), ARGV[i]) end
"""
)

_LAPSED = (
    _NOW
    + """
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)
local found = {}
for _, id in ipairs(ids) do
    table.insert(found, id)
    table.insert(found, redis.call('HGET', KEYS[1], id) or '0')
end
return found
"""
)


class RedisCounters:
    """See `Counters`. For one event loop.

    Args:
        url: `redis://host:port/db`, `rediss://…` or `unix://…`.

    Raises:
        MissingDependencyError: the extra `redis` is not installed.
    """

    def __init__(self, url: str) -> None:
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=5 * TIMEOUT_S,
            decode_responses=True,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # none: a settlement whose answer was lost must not be counted twice
            retry=Retry(NoBackoff(), 0),
        )
        self._redis: Redis = Redis.from_pool(pool)
        script = self._redis.register_script
        self._start, self._reserve, self._settle = script(_START), script(_RESERVE), script(_SETTLE)
        self._renew, self._lapsed = script(_RENEW), script(_LAPSED)
        self._held: set[str] = set()
        self._renewing: asyncio.Task[None] | None = None

    async def start(self, counter: str, settled: Nanos, *, until: float) -> None:
        await _answered(self._start(keys=[_key(counter)], args=[settled, int(until)]))

    async def read(self, counters: Sequence[str]) -> list[Balance | None]:
        async with self._redis.pipeline(transaction=True) as pipeline:
            for name in counters:
                pipeline.hmget(_key(name), ["settled", "reserved"])
            rows = await _answered(pipeline.execute())
        return [Balance(int(s), int(r)) if s is not None else None for s, r in rows]

    async def reserve(
        self, id: str, amount: Nanos, limits: Mapping[str, Nanos]
    ) -> Full | Unknown | None:
        names, held = list(limits), id in self._held
        self._hold(id)
        reply = await _answered(
            self._reserve(
                keys=[_RESERVATIONS, _DEADLINES, *map(_key, names)],
                args=[id, amount, LEASE_S, "\n".join(names), *limits.values()],
            )
        )
        if reply[0] != "ok" and not held:
            self._held.discard(id)
        match reply:
            case ["full", index, settled, reserved]:
                return Full(names[index], Balance(int(settled), int(reserved)))
            case ["unknown", *indices]:
                return Unknown(tuple(names[index] for index in indices))
            case _:
                return None

    async def settle(self, id: str, cost: Nanos, counters: Sequence[str]) -> Nanos | None:
        self._held.discard(id)  # if Redis is lost now, the reservation lapses
        return await self._end(id, cost, counters, only_held=False)

    async def lapsed(self) -> list[Lapsed]:
        found = await _answered(self._lapsed(keys=[_RESERVATIONS, _DEADLINES]))
        return [
            Lapsed(id, tuple(value.split("\n")[1:]))
            for id, value in zip(found[::2], found[1::2], strict=True)
            if id not in self._held  # ours: we are late to renew it, and alive
        ]

    async def resolve(self, lapsed: Lapsed, cost: Nanos) -> None:
        await self._end(lapsed.id, cost, lapsed.counters, only_held=True)

    async def aclose(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewing
        await self._redis.aclose()

    async def _end(
        self, id: str, cost: Nanos, counters: Sequence[str], *, only_held: bool
    ) -> Nanos | None:
        held = await _answered(
            self._settle(
                keys=[_RESERVATIONS, _DEADLINES, *map(_key, counters)],
                args=[id, cost, int(only_held)],
            )
        )
        return None if held is None else int(held)

    def _hold(self, id: str) -> None:
        self._held.add(id)
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew_held())

    async def _renew_held(self) -> None:
        while self._held:
            await asyncio.sleep(LEASE_S / 3)
            try:
                await _answered(self._renew(keys=[_DEADLINES], args=[LEASE_S, *self._held]))
            except StateError as error:
                logger.warning("reservations are not renewed: %s", error)


def _key(counter: str) -> str:
    return f"{_PREFIX}counter:{counter}"


async def _answered(reply: Awaitable[Any]) -> Any:
    try:
        return await reply
    except (RedisError, OSError) as error:
        raise StateError(
            f"the budget's counters cannot be reached ({type(error).__name__})"
        ) from error
