"""`mmrouter alerts`, as people run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.command import mmrouter
from tests.support.configs import config_for
from tests.support.upstream import Upstream


@pytest.fixture
def folder(tmp_path: Path, upstream: Upstream) -> Path:
    """A folder with a config whose webhook is the upstream."""

    async def take(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response()

    upstream.handler = take
    alerts = {"enabled": True, "webhook_url": upstream.base_url + "/secret", "allow_private": True}
    budget = {"enabled": True, "daily_limit": 1.0}
    config = config_for({"m": upstream.base_url}, alerts=alerts, budget=budget)
    (tmp_path / "c.yaml").write_text(config.model_dump_json(exclude_defaults=True))
    return tmp_path


def test_a_trial_arrives_and_is_in_the_history(folder: Path, upstream: Upstream) -> None:
    done = mmrouter("-c", "c.yaml", "alerts", "test", cwd=folder)
    assert (done.code, done.out) == (0, "webhook: delivered\n"), done.err
    assert upstream.seen[0].body["type"] == "alert.test"
    told = json.loads(mmrouter("-c", "c.yaml", "alerts", "history", "--json", cwd=folder).out)
    assert [(row["kind"], row["delivered"]) for row in told["alerts"]] == [
        ("test", {"webhook": None})
    ]
    shown = mmrouter("-c", "c.yaml", "alerts", "history", "--since", "1h", cwd=folder).out
    assert "A trial" in shown


def test_a_trial_that_does_not_arrive_says_why_and_shows_no_path(folder: Path) -> None:
    done = mmrouter("alerts", "test", "--webhook-url", "http://localhost:9/secret", cwd=folder)
    assert done.code == 1
    assert "private" in done.err
    assert "secret" not in done.err + done.out
    wrong = mmrouter("alerts", "test", "--webhook-url", "hooks.slack.com/x", cwd=folder)
    assert (wrong.code, "http" in wrong.err) == (2, True)


def test_status_shows_every_rule_against_its_threshold(folder: Path) -> None:
    found = json.loads(mmrouter("-c", "c.yaml", "alerts", "status", "--json", cwd=folder).out)
    rules = {row["rule"]: row for row in found["rules"]}
    assert list(rules) == [
        *("cost_spike", "error_rate", "budget_warning", "latency", "breaker_open"),
        *("unknown_price", "drift"),
    ]
    budget = rules["budget_warning"]
    assert (budget["value"], budget["threshold"], budget["firing"]) == (0.0, 0.75, False)
    assert (rules["drift"]["value"], rules["drift"]["on"]) == (0.0, False)
    assert found["channels"] == ["log", "webhook"]
    assert "daily limit" in mmrouter("-c", "c.yaml", "alerts", "status", cwd=folder).out
