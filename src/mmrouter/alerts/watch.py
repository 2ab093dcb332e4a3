"""Looks at the rules from time to time, and tells people what they say."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar, get_args

from mmrouter.alerts.base import Alert, Channel, DeliveryError, Kind, Reading
from mmrouter.alerts.rules import Facts, read
from mmrouter.config.schema import AlertRule, AlertsConfig, Config
from mmrouter.errors import MMRouterError
from mmrouter.tracker import alerts as book
from mmrouter.tracker.store import Store

logger = logging.getLogger(__name__)

WAITING = 100
"""Events, and alerts to deliver, that may wait; the oldest is dropped when there are more."""

PAUSES_S = (1.0, 5.0)
"""Before an alert that did not arrive is sent again."""

_UNSEEN = 2.5
"""Looks after which what no process finds firing any more is over."""


T = TypeVar("T")

Event = tuple[str, str, str]
"""Rule, subject, text."""


class Gather(Protocol):
    """Reads what the rules look at; see `alerts.facts.Look`."""

    def __call__(self, *, audit: bool) -> Awaitable[Facts]: ...


class Alerts:
    """The rules of a config, and the channels to its people.

    Requests meet none of this: rules read the books in the background, and `raise_now` only puts
    an event into a bounded queue.

    Args:
        gather: what a config's rules look at.
        channels: opens the channels that config names; may raise ConfigError or
            MissingDependencyError.
        now: Unix seconds.
        pauses_s: before each further try to deliver.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        gather: Callable[[Config], Gather],
        channels: Callable[[AlertsConfig], Sequence[Channel]],
        now: Callable[[], float] = time.time,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._config = config.alerts
        self._budget = config.budget
        self._store = store
        self._gather_of = gather
        self._gather = gather(config)
        self._open_channels = channels
        self._started = False
        self._now = now
        self._pauses_s = pauses_s
        self._channels: Sequence[Channel] = ()
        self._events: asyncio.Queue[Event] = asyncio.Queue(WAITING)
        self._due: asyncio.Queue[Alert] = asyncio.Queue(WAITING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to look and to deliver, in the running event loop; nothing where config says so.

        Raises:
            ConfigError, MissingDependencyError: a channel cannot be opened.
        """
        self._started = True
        if not self._config.enabled:
            return
        self._channels = self._open_channels(self._config)
        self._loop = asyncio.get_running_loop()
        works = (self._watch(), self._hear(), self._deliver())
        self._tasks = [asyncio.create_task(work) for work in works]

    async def configure(self, config: Config) -> None:
        """Goes on by another config's rules and channels.

        Raises:
            ConfigError, MissingDependencyError: a channel cannot be opened; nothing has changed.
        """
        if config.alerts.enabled:
            self._open_channels(config.alerts)
        started = self._started
        await self.aclose()
        self._config, self._budget = config.alerts, config.budget
        self._gather, self._channels = self._gather_of(config), ()
        if started:
            self.start()

    async def aclose(self) -> None:
        """Gives up what is not delivered."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks, self._loop, self._started = [], None, False

    def raise_now(self, rule: str, subject: str, text: str) -> None:
        """Tells people of an event, unless they were told of the same less than the cooldown ago.
        From any thread; never waits and never raises. Does nothing before `start`.

        Args:
            rule: one of config's, which must be on; or another name, which always is.
            subject: of what: a model, an experiment; empty for all of it.
        """
        told = rule in self._config.rules or rule not in get_args(AlertRule)
        if self._loop is not None and told:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(_put, self._events, (rule, subject, text))

    async def read(self, *, audit: bool = True) -> list[Reading]:
        """What every rule says now, those that config leaves out included.

        Args:
            audit: for `drift`: add the books up anew; takes seconds.

        Raises:
            TrackerError, StateError
        """
        return read(await self._gather(audit=audit), self._config, self._budget)

    async def test(self) -> dict[str, str | None]:
        """Sends a trial through every channel: channel -> None, or why it failed.

        Raises:
            ConfigError, MissingDependencyError: a channel cannot be opened.
            TrackerError
        """
        channels = self._channels or self._open_channels(self._config)
        now, text = self._now(), "A trial of mmrouter's alerts: nothing is wrong."
        number = await asyncio.to_thread(book.note_test, self._store, text, now=now)
        return await self._send(Alert(number, now, "test", "", Kind.TEST, text), channels)

    async def look(self) -> None:
        """Reads the rules once, and hands what they say to delivery.

        Raises:
            TrackerError, StateError
        """
        rules = self._config.rules
        for reading in await self.read(audit="drift" in rules):
            if reading.firing and reading.rule in rules:
                await self._raise((reading.rule, reading.subject, reading.text))
        unseen_s = _UNSEEN * self._config.every_seconds
        now = self._now()
        over = await asyncio.to_thread(book.recover, self._store, now=now, unseen_s=unseen_s)
        for number, rule, subject in over:
            alert = Alert(number, now, rule, subject, Kind.RECOVERED, "It is over.")
            logger.warning("%s", alert.title)
            if self._config.recovery:
                _put(self._due, alert)

    async def _watch(self) -> None:
        while True:
            await _survive(self.look())
            await asyncio.sleep(self._config.every_seconds)

    async def _hear(self) -> None:
        while True:
            await _survive(self._raise(await self._events.get()))

    async def _deliver(self) -> None:
        while True:
            await _survive(self._tell(await self._due.get()))

    async def _tell(self, alert: Alert) -> None:
        sent = await self._send(alert, self._channels)
        for name, fault in sent.items():
            if fault is not None:
                logger.warning("alert %d was not delivered: %s: %s", alert.id, name, fault)

    async def _raise(self, event: Event) -> None:
        """Tells people, where this process is the one to do it, and now."""
        rule, subject, text = event
        now = self._now()
        number = await asyncio.to_thread(
            book.raise_one,
            self._store,
            rule,
            subject,
            text,
            now=now,
            cooldown_s=self._config.cooldown_seconds,
            remind_s=self._config.remind_seconds,
            lasts=rule in self._config.rules,
        )
        if number is not None:
            alert = Alert(number, now, rule, subject, Kind.RAISED, text)
            logger.warning("%s: %s", alert.title, text)
            _put(self._due, alert)

    async def _send(self, alert: Alert, channels: Sequence[Channel]) -> dict[str, str | None]:
        sent = await asyncio.gather(*(self._through(channel, alert) for channel in channels))
        found = {c.name: fault for c, fault in zip(channels, sent, strict=True)}
        await asyncio.to_thread(book.delivered, self._store, alert.id, found)
        return found

    async def _through(self, channel: Channel, alert: Alert) -> str | None:
        """Why it was not delivered, or None."""
        for pause in (*self._pauses_s, None):
            try:
                await channel.send(alert)
            except DeliveryError as error:
                if not error.retryable or pause is None:
                    return str(error)
                await asyncio.sleep(pause)
            else:
                return None
        raise AssertionError("the last try returns")


async def _survive(work: Awaitable[object]) -> None:
    """Whatever goes wrong, the next alert must be told."""
    try:
        await work
    except MMRouterError as error:
        logger.warning("alerts: %s", error)
    except Exception:
        logger.exception("alerts: a fault of our own")


def _put(queue: asyncio.Queue[T], item: T) -> None:
    if queue.full():
        queue.get_nowait()
        logger.warning("alerts: the oldest of %d that wait was dropped", WAITING)
    queue.put_nowait(item)
