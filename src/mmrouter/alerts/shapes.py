"""An alert as the body of a webhook, and its signature."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from mmrouter.alerts.base import Alert

_SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks marks secrets


def is_slack(url: str) -> bool:
    """The URL is one of Slack's incoming webhooks."""
    return urlsplit(url).hostname == "hooks.slack.com"


def slack(alert: Alert) -> bytes:
    """The body of a Slack incoming webhook."""
    text = f"*{_escaped(alert.title)}*\n{_escaped(alert.text)}"
    return json.dumps({"text": text}).encode()


def _escaped(text: str) -> str:
    """Slack reads these three as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def generic(alert: Alert) -> bytes:
    """The body for a program to read."""
    return json.dumps(
        {
            "type": f"alert.{alert.kind}",
            "timestamp": alert.at,
            "data": {
                "id": alert.id,
                "rule": alert.rule,
                "subject": alert.subject,
                "title": alert.title,
                "text": alert.text,
            },
        }
    ).encode()


def signed(body: bytes, *, id: str, now: float, secret: str) -> Mapping[str, str]:
    """The headers of Standard Webhooks (standardwebhooks.com), whose libraries check them.

    Args:
        id: the same for every attempt to deliver one alert.
        now: of this attempt, Unix seconds.
        secret: "whsec_" and base64, or any text.
    """
    content = f"{id}.{int(now)}.".encode() + body
    mark = base64.b64encode(hmac.new(_key(secret), content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": f"v1,{mark}",
    }


def _key(secret: str) -> bytes:
    if secret.startswith(_SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
        except binascii.Error:
            pass  # only looks like it
    return secret.encode()
