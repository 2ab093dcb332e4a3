"""Experiments: what they have shown, and how they are started and stopped."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from mmrouter.config.load import parse_config
from mmrouter.config.schema import Config
from mmrouter.dashboard.question import Question
from mmrouter.decide.experiment import CONTROL, Unit
from mmrouter.errors import ConfigError, InvalidRequestError, MMRouterError
from mmrouter.eval.experiments import report
from mmrouter.providers.registry import Registry
from mmrouter.tracker import experiments as book
from mmrouter.tracker.experiments import Arm, Experiment
from mmrouter.tracker.store import Store

Json = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_TEXT = 1_000_000
_NOT_HERE = ("providers", "models", "unpriced")


def reports(store: Store) -> Json:
    """Every experiment with what it has shown, newest first."""
    found = book.listed(store)
    return {"experiments": [report(one, book.measured(store, one)) for one in found]}


async def create(store: Store, current: Config, question: Question) -> Json:
    """Starts one against the config in force.

    Body: `name`; `treatment`, a config as YAML; `share` of the treatment; `unit`; `guardrail`, a
    share of failed requests, or null.

    Raises:
        InvalidRequestError
    """
    name = question.text("name", 64)
    if not _NAME.fullmatch(name):
        raise InvalidRequestError("'name' takes letters, digits, '.', '_' and '-'", param="name")
    share = _share(question, "share")
    guardrail = None if question.body.get("guardrail") is None else _share(question, "guardrail")
    unit = question.body.get("unit", Unit.PROMPT)
    if unit not in list(Unit):
        raise InvalidRequestError(f"'unit' is one of: {', '.join(Unit)}", param="unit")
    treatment = _beside(current, _checked(question.text("treatment", _MOST_TEXT)))
    made = Experiment(
        name=name,
        created=time.time(),
        unit=Unit(unit),
        guardrail=guardrail,
        arms=(
            _arm(CONTROL, 1 - share, "the config in force", current),
            _arm("treatment", share, "written in the dashboard", treatment),
        ),
        halted={},
    )
    await asyncio.to_thread(book.create, store, made)
    return {"name": name}


async def stop(store: Store, name: str) -> Json:
    """Ends the running one.

    Raises:
        InvalidRequestError: it does not run.
    """
    now = time.time()
    if not await asyncio.to_thread(
        book.stop, store, name, now=now, reason="stopped in the dashboard"
    ):
        raise InvalidRequestError(f"No experiment '{name}' runs", param="name")
    return {"name": name}


def _arm(name: str, share: float, source: str, config: Config) -> Arm:
    return Arm(name=name, share=share, source=source, config=config.model_dump_json())


def _share(question: Question, name: str) -> float:
    value = question.body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InvalidRequestError(f"'{name}' must be a number between 0 and 1", param=name)
    return float(value)


def _beside(current: Config, edited: Config) -> Config:
    """The config in force with the edited one's decisions.

    A key that travels through browsers must not move others: where requests and keys are sent, and
    at what price they count, is for those who can write the server's files.
    """
    for section in _NOT_HERE:
        if getattr(edited, section) != getattr(current, section):
            raise InvalidRequestError(
                f"'{section}' cannot be changed here: use `mmrouter experiment create`",
                param="treatment",
            )
    classifier = edited.classifier.model_copy(
        update={"trained_model": current.classifier.trained_model}
    )
    decides = {"routes": edited.routes, "cascade": edited.cascade, "classifier": classifier}
    return current.model_copy(update=decides)


def _checked(text: str) -> Config:
    """The config, all of whose models are known and have a price."""
    try:
        config = parse_config(text, "the treatment")
        registry = Registry(config)
        for name in config.called_names():
            registry.priced(name)
    except ConfigError as error:
        raise InvalidRequestError(str(error), param="treatment") from error
    except MMRouterError as error:
        raise InvalidRequestError(f"the treatment: {error}", param="treatment") from error
    return config
