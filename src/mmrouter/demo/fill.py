"""Sends the made-up day through the real pipeline, at the times when it is said to have been."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from contextvars import ContextVar

from mmrouter.config.schema import Config
from mmrouter.decide.experiment import CONTROL, Unit
from mmrouter.demo.prompts import Asked
from mmrouter.errors import MMRouterError
from mmrouter.providers.base import Chunk
from mmrouter.router.ids import new_request_id
from mmrouter.router.parts import Parts
from mmrouter.router.pipeline import Done
from mmrouter.tracker.experiments import Arm, Experiment
from mmrouter.types import Dialect, Request, Surface

_AT_ONCE = 16
_GOODNESS = {"sim-small": 0.72, "sim-medium": 0.86, "sim-large": 0.93, "sim-rival": 0.6}
"""How often people like a model's answers."""

_shift: ContextVar[float] = ContextVar("shift", default=0.0)


def demo_now() -> float:
    """Unix seconds by the clock of the made-up request that asks, which stands in the past."""
    return time.time() - _shift.get()


def experiment(name: str, config: Config, other: Config, asked: Sequence[Asked]) -> Experiment:
    """One that has run for the whole day."""
    began = time.time() - max((asking.ago_s for asking in asked), default=0.0) - 1
    arms = (
        Arm(name=CONTROL, share=0.5, source="demo.yaml", config=config.model_dump_json()),
        Arm(name="thriftier", share=0.5, source="demo.yaml", config=other.model_dump_json()),
    )
    return Experiment(name=name, created=began, unit=Unit.PROMPT, arms=arms, halted={})


async def fill(parts: Parts, asked: Sequence[Asked], seed: int, step: Callable[[], None]) -> None:
    """Sends them in order, some at once, and notes what their users thought of the answers.

    Args:
        parts: of a router whose clock is `demo_now`.
        step: called after each.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
    for start in range(0, len(asked), _AT_ONCE):
        batch = asked[start : start + _AT_ONCE]

        async def one(asking: Asked) -> None:
            await _send(parts, asking, chance)
            step()

        await asyncio.gather(*(one(asking) for asking in batch))


async def _send(parts: Parts, asking: Asked, chance: random.Random) -> None:
    _shift.set(asking.ago_s)
    request = _request(asking)
    model: str | None = None
    with contextlib.suppress(MMRouterError):  # the books have it: failures are part of the day
        async with aclosing(parts.policies.run(request)) as events:
            async for event in events:
                if isinstance(event, Chunk) and asking.leaves:
                    return
                if isinstance(event, Done) and event.outcome.answered is not None:
                    model = event.outcome.answered.target.name
    if asking.likes is not None and model in _GOODNESS:
        score = float(asking.likes < _GOODNESS[model])
        await parts.feedback(request.id, score, None, "api")


def _request(asking: Asked) -> Request:
    messages = [{"role": "system", "content": "You are the assistant of a small company."}]
    for text in asking.earlier:
        messages.append({"role": "user", "content": text})
        messages.append({"role": "assistant", "content": "Simulated earlier answer. " * 40})
    messages.append({"role": "user", "content": asking.text})
    body = {"model": asking.model, "messages": messages, "max_tokens": 1024}
    if asking.stream:
        body["stream"] = True
    if asking.fault is not None:
        body["user"] = f"fault:{asking.fault}"
    return Request(
        id=new_request_id(),
        surface=Surface.CHAT,
        dialect=Dialect.CHAT,
        model=asking.model,
        body=body,
        stream=asking.stream,
        session=asking.session,
        key_name=asking.key,
        tags=asking.tags,
        max_cost_nanos=asking.max_cost_nanos,
    )
