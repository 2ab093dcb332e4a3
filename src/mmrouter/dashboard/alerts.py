"""Alerts: what the rules say, what people were told, and a trial."""

from __future__ import annotations

import asyncio
from typing import Any

from mmrouter.alerts import view
from mmrouter.config.schema import AlertsConfig
from mmrouter.dashboard.question import Question
from mmrouter.errors import InvalidRequestError
from mmrouter.router.parts import Parts
from mmrouter.tracker.alerts import history

Json = dict[str, Any]

_MOST = 500


def settings(config: AlertsConfig) -> Json:
    """What config says; where a webhook leads is a secret."""
    return {
        "enabled": config.enabled,
        "rules": list(config.rules),
        "cooldown_s": config.cooldown_seconds,
        "webhook": bool(config.webhook_url or config.webhook_url_env),
        "notify": config.notify_env is not None,
    }


async def status(parts: Parts) -> Json:
    """Every rule's value against its threshold, beside what is up; books are not added up anew."""
    return await view.status(parts.alerts, parts.config.alerts, parts.store, audit=False)


async def told(parts: Parts, question: Question) -> Json:
    """What people were told, newest first.

    Raises:
        InvalidRequestError
    """
    limit = int(question.number("limit") or 100)
    if not 0 < limit <= _MOST:
        raise InvalidRequestError(f"'limit' takes 1 to {_MOST}", param="limit")
    since = question.filter.since or 0.0
    rows = await asyncio.to_thread(history, parts.store, since=since, limit=limit)
    return {"alerts": rows}


async def trial(parts: Parts) -> Json:
    """Sends a trial through the config's channels: channel -> null, or why it failed."""
    return {"delivered": await parts.alerts.test()}
