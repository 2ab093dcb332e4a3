"""A process that sends requests against a limit: `budget_child.py CONFIG DB REQUESTS SEED`.

Some fail upstream, some are cancelled on the way, some stream. Prints how each ended, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path

from mmrouter import AsyncRouter, Config
from mmrouter.errors import BudgetExceededError, ProviderError
from mmrouter.state import redis

WAYS = ("whole", "stream", "broken", "cut", "cancelled", "left")


async def one(router: AsyncRouter, way: str, delay: float) -> str:
    """Sends one request and says how it ended."""
    try:
        if way in ("stream", "cut", "left"):
            async for _ in router.stream(way, max_tokens=100):
                if way == "left":
                    return "left"
        elif way == "cancelled":
            async with asyncio.timeout(delay):
                await router.route(way, max_tokens=100)
        else:
            await router.route(way, max_tokens=100)
    except BudgetExceededError:
        return "refused"
    except (ProviderError, TimeoutError) as error:
        return type(error).__name__
    return "answered"


async def burst(
    config: Config, db: str, requests: int, seed: int, ways: tuple[str, ...]
) -> Counter[str]:
    """Sends all of them at once."""
    chance = random.Random(seed)
    async with AsyncRouter(config, db=db) as router:
        ended = await asyncio.gather(
            *(one(router, chance.choice(ways), chance.uniform(0, 0.3)) for _ in range(requests))
        )
    return Counter(ended)


if __name__ == "__main__":
    redis.LEASE_S = 3.0
    config = Config.model_validate_json(Path(sys.argv[1]).read_text())
    print(
        json.dumps(
            asyncio.run(burst(config, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), WAYS))
        )
    )
