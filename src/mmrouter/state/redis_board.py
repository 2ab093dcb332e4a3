"""A board in Redis. One task hears, one speaks; no request ever waits for either.

Keys and channel:
    mmrouter:{breakers}:open              hash: provider and model -> when it opened, as JSON
    mmrouter:{breakers}:changes:<db>      channel: a change, as JSON (channels know no database)

Whoever (re)connects reads what is open before it hears what changes, and again now and then, since
a message may be lost. What could not be told meanwhile is told then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

import orjson

from mmrouter.decide.breaker import Change, Phase
from mmrouter.errors import MissingDependencyError
from mmrouter.state.boards import Learn

try:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError as error:
    raise MissingDependencyError("redis", "pip install 'mmrouter[redis]'") from error

logger = logging.getLogger(__name__)

TIMEOUT_S = 2.0
"""How long Redis may take to connect or to answer before it counts as lost."""

AGAIN_S = 1.0
"""Pause before a lost Redis is tried again."""

REREAD_S = 10.0
"""Longest silence after which what is open is read again."""

KEPT_S = 86_400
"""What nobody has changed for so long is forgotten."""

_MOST_UNTOLD = 1_000
_OPEN = "mmrouter:{breakers}:open"


class RedisBoard:
    """See `Board`. For one event loop.

    Args:
        url: `redis://host:port/db`, `rediss://…` or `unix://…`.

    Raises:
        MissingDependencyError: the extra `redis` is not installed.
    """

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        database = self._redis.connection_pool.connection_kwargs.get("db") or 0
        self._channel = f"mmrouter:{{breakers}}:changes:{database}"
        self._listeners: list[Learn] = []
        self._untold: deque[Change] = deque(maxlen=_MOST_UNTOLD)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def listen(self, learn: Learn) -> None:
        self._listeners.append(learn)

    def attend(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._keep())

    def tell(self, change: Change) -> None:
        self._untold.append(change)
        self._news.set()

    async def aclose(self) -> None:
        if self._task is not None:
            await _end(self._task, patience_s=1.0)
        await self._redis.aclose()

    async def _keep(self) -> None:
        lost = False
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self._channel)
                    await self._read()
                    if lost:
                        logger.warning("breakers are shared again")
                    lost = False
                    await self._converse(pubsub)
            except (RedisError, OSError) as error:
                if not lost:
                    cause = type(error).__name__
                    logger.warning("breakers are not shared: Redis cannot be reached (%s)", cause)
                lost = True
            await asyncio.sleep(AGAIN_S)

    async def _converse(self, pubsub: PubSub) -> None:
        """Hears and speaks until either fails."""
        tasks = [asyncio.create_task(self._hear(pubsub)), asyncio.create_task(self._speak())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                await _end(task, patience_s=0.05)

    async def _hear(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=REREAD_S)
            if message is None:
                await self._read()
            else:
                self._learn(message["data"])

    async def _speak(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._untold:
                await self._say(self._untold[0])
                self._untold.popleft()

    async def _read(self) -> None:
        found = await self._redis.hvals(_OPEN)
        for packed in found:
            self._learn(packed)
        if self._untold:
            self._news.set()

    async def _say(self, change: Change) -> None:
        name = orjson.dumps([change.provider, change.model])
        packed = orjson.dumps([change.provider, change.model, change.phase, change.at])
        async with self._redis.pipeline(transaction=False) as pipeline:
            if change.phase is Phase.OPEN:
                pipeline.hset(_OPEN, name, packed)
                pipeline.expire(_OPEN, KEPT_S)
            elif change.phase is Phase.CLOSED:
                pipeline.hdel(_OPEN, name)
            pipeline.publish(self._channel, packed)
            await pipeline.execute()

    def _learn(self, packed: Any) -> None:
        try:
            provider, model, phase, at = orjson.loads(packed)
            change = Change(str(provider), model, Phase(phase), float(at))
        except (ValueError, TypeError):
            return  # another version's, or not ours
        for learn in self._listeners:
            learn(change)


async def _end(task: asyncio.Task[None], *, patience_s: float) -> None:
    """Cancels a task until it has ended: redis-py may take a cancellation for its own timeout."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=patience_s)
