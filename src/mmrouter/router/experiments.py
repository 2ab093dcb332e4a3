"""The running experiment, as the books had it a moment ago: who answers for which variant.

Every process reads the books for itself, in the background: an experiment that was created or
stopped anywhere is noticed within `REFRESH_S` of the next request.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mmrouter.config.schema import Config
from mmrouter.decide.experiment import Unit, assign, breached, unit_id
from mmrouter.dialects.identity import thread
from mmrouter.dialects.opening import opening
from mmrouter.errors import MMRouterError, TrackerError
from mmrouter.router.policies import Policy
from mmrouter.tracker import experiments as book
from mmrouter.tracker.experiments import Arm, Experiment
from mmrouter.tracker.store import Store
from mmrouter.types import Request, Surface

logger = logging.getLogger(__name__)

REFRESH_S = 2.0

_WATCHED_EVERY_S = 10.0
_WATCH_SHARE = 0.05
"""The most of a core's time that looking at the guardrail may take."""

Make = Callable[[Config, Experiment, Arm], Policy]
"""Builds the policy of a variant beside a config. May raise an MMRouterError."""

Tell = Callable[[str, str], None]
"""Tells people of a halted variant: its label, and why."""


@dataclass(frozen=True, slots=True)
class _Running:
    """An experiment, with what answers for its variants."""

    experiment: Experiment
    policies: dict[str, Policy]


class RunningExperiment:
    """See `router.policies.Experiments`.

    Args:
        config: in force for all else.
        tell: of halted variants.
        monotonic: seconds.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        make: Make,
        tell: Tell,
        *,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._config = config
        self._store = store
        self._make = make
        self._tell = tell
        self._monotonic = monotonic
        self._running: _Running | None = None
        self._stale = False
        self._read_at = 0.0
        self._watch_at = 0.0
        self._reading = threading.Thread()  # not started: nothing is being read
        # at once, for a process that answers one request and ends
        self._refresh()

    def policy_for(self, request: Request) -> tuple[Policy, str] | None:
        now = self._monotonic()
        if now >= self._read_at and not self._reading.is_alive():
            # a plain thread: the library's blocking router asks from outside of its event loop
            self._reading = threading.Thread(target=self._refresh, daemon=True)
            self._reading.start()
        running = self._running
        if running is None or request.surface is Surface.QUALITY or not _routed(request):
            return None
        experiment = running.experiment
        unit = unit_id(experiment.name, _unit(experiment.unit, request))
        name = assign(unit, experiment.variants)
        if name in experiment.halted:
            name = experiment.control.name
        return running.policies[name], unit

    def configure(self, config: Config) -> None:
        self._config = config
        self._stale = True
        self._read_at = 0.0

    async def aclose(self) -> None:
        if self._reading.is_alive():
            await asyncio.to_thread(self._reading.join)
        if self._running is not None:
            for policy in self._running.policies.values():
                await policy.aclose()

    def _refresh(self) -> None:
        """Reads the books; in a thread of its own but for the first time."""
        self._read_at = self._monotonic() + REFRESH_S
        try:
            experiment = book.running(self._store)
            if experiment is not None and experiment.guardrail is not None:
                experiment = self._watched(experiment, experiment.guardrail)
        except TrackerError as error:
            logger.warning("the experiment stays what it was: %s", error)
            return
        before = self._running
        if experiment is None:
            self._running = None
        elif before is not None and before.experiment.name == experiment.name and not self._stale:
            self._running = _Running(experiment, before.policies)
        else:
            self._stale = False
            self._running = self._built(experiment)

    def _built(self, experiment: Experiment) -> _Running | None:
        try:
            policies = {
                arm.name: self._make(self._config, experiment, arm) for arm in experiment.arms
            }
        except MMRouterError as error:
            logger.error("experiment %s is passed over: %s", experiment.name, error)
            return None
        logger.info("experiment %s runs", experiment.name)
        return _Running(experiment, policies)

    def _watched(self, experiment: Experiment, most: float) -> Experiment:
        """The experiment, once variants that fail too often are halted."""
        began = self._monotonic()
        if began < self._watch_at:
            return experiment
        found = book.failures(self._store, experiment)
        self._watch_at = began + max(_WATCHED_EVERY_S, (self._monotonic() - began) / _WATCH_SHARE)
        changed = False
        for name, (requests, failed) in found.items():
            if name == experiment.control.name or name in experiment.halted:
                continue
            if breached(failed, requests, most=most):
                why = f"{failed} of {requests} requests failed, more than {most:.1%}"
                if book.halt(self._store, experiment.name, name, why):
                    label = experiment.label(name)
                    logger.warning("experiment %s is halted: %s", label, why)
                    self._tell(label, why)
                changed = True
        return (book.running(self._store) or experiment) if changed else experiment


def _routed(request: Request) -> bool:
    return request.model == "auto" or request.model.startswith("auto:")


def _unit(unit: Unit, request: Request) -> str:
    """What a variant is chosen by. A request without a key goes by its prompt."""
    if unit is Unit.KEY and request.key_name is not None:
        return request.key_name
    return thread(request) if unit is Unit.SESSION else opening(request)
