"""Alerts as the command line and the dashboard show them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from mmrouter.alerts.base import Reading
from mmrouter.alerts.watch import Alerts
from mmrouter.config.schema import AlertsConfig
from mmrouter.tracker.alerts import up
from mmrouter.tracker.store import Store

Json = dict[str, Any]


async def status(alerts: Alerts, config: AlertsConfig, store: Store, *, audit: bool) -> Json:
    """What every rule says now, beside what people were told of and is not over.

    Args:
        audit: see `Alerts.read`.

    Raises:
        TrackerError, StateError
    """
    readings = await alerts.read(audit=audit)
    raised = await asyncio.to_thread(up, store)
    return {
        "enabled": config.enabled,
        "rules": [_row(reading, config) for reading in readings],
        "up": [{"rule": one.rule, "subject": one.subject, "told": one.told} for one in raised],
        "channels": _channels(config),
        "cooldown_s": config.cooldown_seconds,
        "remind_s": config.remind_seconds,
        "every_s": config.every_seconds,
    }


def _row(reading: Reading, config: AlertsConfig) -> Json:
    return {
        "rule": reading.rule,
        "on": reading.rule in config.rules,
        "subject": reading.subject,
        "value": reading.value,
        "threshold": reading.threshold,
        "unit": reading.unit,
        "firing": reading.firing,
        "text": reading.text,
    }


def _channels(config: AlertsConfig) -> Sequence[str]:
    """Their names: where they lead is a secret."""
    named = {
        "webhook": config.webhook_url or config.webhook_url_env,
        "notify": config.notify_env,
    }
    return ["log", *(name for name, where in named.items() if where)]
