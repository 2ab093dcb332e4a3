"""Conversations in Redis, so that any replica can go on with them.

Key: mmrouter:session:<thread>, JSON, expires by itself. A reading waits at most `PATIENCE_S`, then
this process' own memory answers; writings are sent together, in the background.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import orjson

from mmrouter.decide.prompt_cache import Cached
from mmrouter.decide.session import Session
from mmrouter.errors import MissingDependencyError
from mmrouter.state.sessions import MemorySessions

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError as error:
    raise MissingDependencyError("redis", "pip install 'mmrouter[redis]'") from error

logger = logging.getLogger(__name__)

PATIENCE_S = 0.05
"""A model's answer takes longer by far; a Redis that takes longer is in trouble."""

REST_S = 5.0
"""How long a Redis that did not answer is left alone."""

_WRITE_S = 2.0
_PREFIX = "mmrouter:session:"


class RedisSessions:
    """See `Sessions`. For one event loop.

    Args:
        url: redis://host:port/db
        ttl: seconds.
        most: conversations whose copy is kept in this process.
        now: Unix seconds.
    """

    def __init__(
        self, url: str, *, ttl: float, most: int, now: Callable[[], float] = time.time
    ) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=8,
            timeout=_WRITE_S,
            socket_timeout=_WRITE_S,
            socket_connect_timeout=_WRITE_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)
        self._ttl = ttl
        self._now = now
        self._most = most
        self._copies = MemorySessions(ttl=ttl, most=most, now=now)
        self._unwritten: dict[str, Session] = {}
        self._writing: asyncio.Task[None] | None = None
        self._rests_until = 0.0

    async def get(self, thread: str) -> Session | None:
        copy = self._copies.recall(thread)
        if thread in self._unwritten or self._now() < self._rests_until:
            return copy
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = await self._redis.get(_PREFIX + thread)
            if found is None:
                self._copies.forget(thread)
                return None
            session = loads(found)
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            self._rest(error)
            return copy
        self._copies.put(thread, session)
        return session

    def recall(self, thread: str) -> Session | None:
        return self._copies.recall(thread)

    def put(self, thread: str, session: Session) -> None:
        self._copies.put(thread, session)
        if len(self._unwritten) < self._most:
            self._unwritten[thread] = session
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def aclose(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._redis.aclose()

    async def _write(self) -> None:
        """Sends what is there, until nothing is."""
        while self._unwritten:
            batch = dict(self._unwritten)
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for thread, session in batch.items():
                        pipe.set(_PREFIX + thread, dumps(session), px=int(self._ttl * 1000))
                    await pipe.execute()
            except (RedisError, OSError, TimeoutError) as error:
                self._rest(error)
            for thread, session in batch.items():
                if self._unwritten.get(thread) is session:
                    del self._unwritten[thread]

    def _rest(self, error: Exception) -> None:
        if self._now() >= self._rests_until:
            logger.warning(
                "sessions: Redis does not answer (%s); this process goes by its own memory",
                type(error).__name__,
            )
        self._rests_until = self._now() + REST_S


def dumps(session: Session) -> bytes:
    """A session as it is stored."""
    return orjson.dumps(
        {
            "model": session.model,
            "provider": session.provider,
            "weight": session.weight,
            "prompt_tokens": session.prompt_tokens,
            "growth": session.growth,
            "mixed": session.mixed,
            "forgone_nanos": session.forgone_nanos,
            "caches": {name: [c.tokens, c.until] for name, c in session.caches.items()},
        }
    )


def loads(data: bytes | str) -> Session:
    """A stored session. Raises ValueError where it is none of this version."""
    try:
        fields = orjson.loads(data)
        caches = {name: Cached(*cached) for name, cached in fields.pop("caches").items()}
        return Session(**fields, caches=caches)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a session: {error}") from None
