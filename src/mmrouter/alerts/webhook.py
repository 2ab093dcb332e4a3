"""Posts alerts to a URL."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

from mmrouter.alerts.addresses import public_socket
from mmrouter.alerts.base import Alert, DeliveryError
from mmrouter.alerts.shapes import generic, is_slack, signed, slack

TIMEOUT_S = 5.0

_JSON = {"content-type": "application/json", "user-agent": "mmrouter"}
_AGAIN = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may succeed later."""


class Webhook:
    """See `alerts.base.Channel`. Redirects are not followed, and no proxy is asked.

    Args:
        secret: signs generic bodies; None leaves them unsigned.
        allow_private: the URL may lead to a private or loopback address.
        now: Unix seconds.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        *,
        form: Literal["auto", "slack", "generic"] = "auto",
        secret: str | None = None,
        allow_private: bool = False,
        timeout_s: float = TIMEOUT_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._slack = is_slack(url) if form == "auto" else form == "slack"
        self._secret = secret
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._now = now

    async def send(self, alert: Alert) -> None:
        """Raises DeliveryError."""
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await self._post(alert)
        except TimeoutError:
            raise DeliveryError(
                f"{self._place} did not answer in {self._timeout_s:g} s", retryable=True
            ) from None
        if not 200 <= status < 300:
            retryable = status >= 500 or status in _AGAIN
            raise DeliveryError(f"{self._place} answered {status}", retryable=retryable)

    @property
    def _place(self) -> str:
        """The host alone: paths of webhooks are secrets."""
        return urlsplit(self._url).hostname or "the webhook"

    async def _post(self, alert: Alert) -> int:
        # half a second of work when it is first needed, which no request should wait for
        aiohttp = await asyncio.to_thread(importlib.import_module, "aiohttp")
        body = slack(alert) if self._slack else generic(alert)
        headers = dict(_JSON)
        if self._secret is not None and not self._slack:
            id = f"alert_{alert.id}"
            headers |= signed(body, id=id, now=self._now(), secret=self._secret)
        connector = aiohttp.TCPConnector(
            force_close=True,
            use_dns_cache=False,
            socket_factory=None if self._allow_private else public_socket,
        )
        try:
            async with (
                aiohttp.ClientSession(connector=connector, trust_env=False) as session,
                session.post(
                    self._url, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                status: int = answer.status
                return status
        except aiohttp.ClientError as error:
            # its message may show the URL
            kind = type(error).__name__
            raise DeliveryError(
                f"{self._place} cannot be reached ({kind})", retryable=True
            ) from None
        except (ValueError, OSError) as error:
            raise DeliveryError(
                f"{self._place} cannot be reached ({type(error).__name__})", retryable=False
            ) from None
