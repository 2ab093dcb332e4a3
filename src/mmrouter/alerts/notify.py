"""Email, chat and a hundred other services, through Apprise: the only file that imports it."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
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

    def __init__(self, urls: str, *, timeout_s: float = TIMEOUT_S) -> None:
        apprise = _apprise()
        self._types = apprise.NotifyType
        self._services = apprise.Apprise()
        self._timeout_s = timeout_s
        self._thread: threading.Thread | None = None
        for place, url in enumerate(urls.split(), 1):
            if not self._services.add(url):
                raise ConfigError(
                    f"alerts.notify_env: URL {place} is of no service that Apprise knows"
                )

    async def send(self, alert: Alert) -> None:
        """Raises DeliveryError."""
        if self._thread is not None and self._thread.is_alive():
            raise DeliveryError("still busy with the alert before", retryable=True)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def end(delivered: bool) -> None:
            if not done.done():
                done.set_result(delivered)

        def work() -> None:
            delivered = self._notify(alert)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, delivered)

        # one that a mail server may hang without using up the event loop's own threads, or keeping
        # the process from its end
        self._thread = threading.Thread(target=work, name="mmrouter-notify", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(self._timeout_s):
                delivered = await done
        except TimeoutError:
            raise DeliveryError(f"no end after {self._timeout_s:g} s", retryable=False) from None
        if not delivered:
            raise DeliveryError("a service did not take it", retryable=True)

    def _notify(self, alert: Alert) -> bool:
        kind = self._types.WARNING if alert.kind is Kind.RAISED else self._types.INFO
        try:
            return bool(self._services.notify(body=alert.text, title=alert.title, notify_type=kind))
        except Exception:  # noqa: BLE001 - what it raises may hold a URL
            return False


def _apprise() -> ModuleType:
    try:
        import apprise
    except ImportError:
        raise MissingDependencyError("apprise", 'pip install "mmrouter[notify]"') from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines may show URLs
    module: ModuleType = apprise
    return module
