"""Replay: what an edited config would have decided for the requests in view, and cost."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice
from typing import Any

import yaml

from mmrouter.config.load import parse_config
from mmrouter.config.schema import Config
from mmrouter.dashboard.question import Question
from mmrouter.errors import ConfigError, InvalidRequestError
from mmrouter.eval.replay.replayer import Settings
from mmrouter.eval.replay.report import Report, plain
from mmrouter.eval.replay.run import CHUNK, replay
from mmrouter.eval.replay.sums import results
from mmrouter.providers.registry import Registry
from mmrouter.tracker.records import Row
from mmrouter.tracker.store import Filter, Store

MOST_REQUESTS = 2_000
"""Of the view, its oldest: the server has others to serve."""

_MOST_TEXT = 200_000
_EDITABLE = {"routes", "classifier", "cascade", "models", "providers", "baseline", "unpriced"}


def editable(config: Config) -> str:
    """What decides, as YAML to edit; nothing secret is in it."""
    shown = config.model_dump(mode="json", include=_EDITABLE, exclude_defaults=True)
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def rehearse(store: Store, config: Config, question: Question) -> dict[str, Any]:
    """Replays the requests of `{"config": "YAML", "filter": {...}}` by the config in force and by
    the edited one; nobody is called.

    Raises:
        InvalidRequestError: what is wrong in the edited config, by line; or that there is nothing
            to replay.
    """
    try:
        edited = parse_config(question.text("config", _MOST_TEXT), "the edited config")
    except ConfigError as error:
        raise InvalidRequestError(str(error), param="config") from None
    picked = question.body.get("filter", {})
    if not isinstance(picked, dict):
        raise InvalidRequestError("'filter' must be an object", param="filter")
    view = Question(query={str(name): str(value) for name, value in picked.items()}).filter
    settings = Settings((config.model_dump_json(), edited.model_dump_json()), config.baseline_model)
    sums = replay(settings, _chunks(store, view), workers=1, advance=lambda size: None)
    if sums.requests == 0:
        why = ", ".join(f"{count} {reason}" for reason, count in sums.skipped.most_common())
        raise InvalidRequestError(f"Nothing to replay in this view: {why or 'no requests'}")
    report = Report(
        source="this view",
        names=("in force", "edited"),
        baseline=config.baseline_model,
        sums=sums,
        results=results(sums, Registry(config).resolve(config.baseline_model).upstream),
        cascades=config.cascade.enabled or edited.cascade.enabled,
    )
    return plain(report) | {"most": MOST_REQUESTS, "cascades": report.cascades}


def _chunks(
    store: Store, view: Filter
) -> Generator[tuple[int, list[bytes | Row], int], None, None]:
    rows = islice(store.rows(view), MOST_REQUESTS)
    number = 1
    while chunk := list(islice(rows, CHUNK)):
        yield number, list(chunk), len(chunk)
        number += len(chunk)
