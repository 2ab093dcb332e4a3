"""Email, chat and a hundred other services, through Apprise: the only file that imports it."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

from mmrouter.alerts.base import Alert, DeliveryError, Kind
from mmrouter.errors import ConfigError, MissingDependencyError

TIMEOUT_S = 30.0
"""Mail servers are slow; Apprise has deadlines of its own for each step."""


class Notify:
    """See `alerts.base.Channel`.

    Args:
        urls: Apprise URLs, split by spaces or lines. They hold secrets, and are shown nowhere.

    Raises:
        ConfigError: a URL is of no service that Apprise knows.
        MissingDependencyError: the extra `notify` is not installed.
    """

    name = "notify"

    def __init__(self, urls: str) -> None:
        apprise = _apprise()
        self._apprise = apprise
        self._services = apprise.Apprise()
        for place, url in enumerate(urls.split(), 1):
            if not self._services.add(url):
                raise ConfigError(
                    f"alerts.notify_env: URL {place} is of no service that Apprise knows"
                )
        # not the event loop's threads: a mail server that hangs must not use them up
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mmrouter-notify")

    async def send(self, alert: Alert) -> None:
        """Raises DeliveryError."""
        types = self._apprise.NotifyType
        kind = types.WARNING if alert.kind is Kind.RAISED else types.INFO

        def notify() -> bool:
            done: bool | None = self._services.notify(
                body=alert.text, title=alert.title, notify_type=kind
            )
            return bool(done)

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                delivered = await loop.run_in_executor(self._thread, notify)
        except TimeoutError:
            raise DeliveryError(f"no end after {TIMEOUT_S:g} s", retryable=False) from None
        if not delivered:
            raise DeliveryError("a service did not take it", retryable=True)


def _apprise() -> ModuleType:
    try:
        import apprise
    except ImportError:
        raise MissingDependencyError("apprise", 'pip install "mmrouter[notify]"') from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines may show URLs
    module: ModuleType = apprise
    return module
