"""A server tells people, and no request waits for that."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from aiohttp import web

from mmrouter.alerts.facts import last_open
from mmrouter.alerts.watch import WAITING, _put
from mmrouter.bootstrap import build
from mmrouter.config import Config
from mmrouter.server.app import App
from mmrouter.tracker.store import open_store
from tests.http.serving import CHAT, HELLO, Served, serving
from tests.support.configs import config_for
from tests.support.upstream import Upstream, failing

WAIT_S = 10


class Hook:
    """A webhook that says what it got.

    Attributes:
        hangs: it takes alerts and never answers.
        got: set when there is something new in `bodies`.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.got = threading.Event()
        self.hangs = False

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self.bodies.append(body)
        self.got.set()
        if self.hangs:
            await asyncio.Event().wait()
        return web.Response()

    def wait(self, kind: str) -> dict[str, Any]:
        """The next alert of a kind."""
        for _ in range(20):
            for body in self.bodies:
                if body["type"] == f"alert.{kind}":
                    self.bodies.remove(body)
                    return body["data"]  # type: ignore[no-any-return]
            assert self.got.wait(WAIT_S), "nobody was told"
            self.got.clear()
        raise AssertionError("nobody was told of that")


@pytest.fixture
def hook(second: Upstream) -> Hook:
    made = Hook()
    second.handler = made
    return made


def config(upstream: Upstream, second: Upstream, **alerts: Any) -> Config:
    keys = {
        "enabled": True,
        "webhook_url": second.base_url,
        "allow_private": True,
        "every_seconds": 1,
        "min_requests": 3,
        **alerts,
    }
    return config_for({"m": upstream.base_url}, alerts=keys)


def told(served: Served) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = served.ask("GET", "/dashboard/api/alerts/history").json["alerts"]
    return rows


def test_errors_are_told_once_and_so_is_their_end(
    upstream: Upstream, second: Upstream, hook: Hook, db: str
) -> None:
    made = config(upstream, second, rules=["error_rate"], window_seconds=2, recovery=True)
    upstream.handler = failing(500)
    with serving(made, db) as served:
        for _ in range(4):
            assert served.chat().status >= 500
        alert = hook.wait("raised")
        assert (alert["rule"], alert["text"].split(" in ")[0]) == ("error_rate", "4 of 4 requests")
        status = served.ask("GET", "/dashboard/api/alerts/status").json
        assert [(one["rule"], one["subject"]) for one in status["up"]] == [("error_rate", "")]
        assert hook.wait("recovered")["rule"] == "error_rate"
        assert [(row["kind"], row["rule"]) for row in told(served)] == [
            ("recovered", "error_rate"),
            ("raised", "error_rate"),
        ]


def test_a_breaker_that_opens_is_told_by_itself(
    upstream: Upstream, second: Upstream, hook: Hook, db: str
) -> None:
    """Before the rules are looked at again."""
    made = config(upstream, second, rules=["breaker_open"], every_seconds=3_600)
    upstream.handler = failing(500)
    with serving(made, db) as served:
        for _ in range(6):
            served.chat()
        alert = hook.wait("raised")
        assert (alert["rule"], alert["subject"]) == ("breaker_open", "m")
    # who looks from outside finds it in the books
    store = open_store(db)
    assert last_open(store, 0.0) == {"m"}
    store.close()


def test_a_provider_that_opens_is_told_beside_its_models_and_lasts(
    upstream: Upstream, second: Upstream, hook: Hook, db: str
) -> None:
    made = config(upstream, second, rules=["breaker_open"])
    models = dict.fromkeys(("m", "m2", "m3"), made.models["m"])
    rules = made.provider.model_copy(update={"circuit_breaker_threshold": 1})
    made = made.model_copy(update={"models": models, "provider": rules})
    upstream.handler = failing(500)
    with serving(made, db) as served:
        for model in ("m", "m2"):
            served.ask("POST", CHAT, {**HELLO, "model": model})
        whose = [hook.wait("raised")["subject"] for _ in range(3)]
        assert sorted(whose) == ["m", "m2", "provider at-m"]
        # a look finds them too, or it would say soon that they are over
        status = served.ask("GET", "/dashboard/api/alerts/status").json
        seen = [one["subject"] for one in status["rules"] if one["rule"] == "breaker_open"]
        assert seen == ["m", "m2", "provider at-m"]
    store = open_store(db)
    assert last_open(store, 0.0) == {"m", "m2", "provider at-m"}
    store.close()


def test_a_webhook_that_hangs_keeps_no_request_waiting(
    upstream: Upstream, second: Upstream, hook: Hook, db: str
) -> None:
    hook.hangs = True
    made = config(upstream, second, rules=["unknown_price"])
    priceless = made.models["m"].model_copy(update={"price": None, "upstream": "nobody-knows"})
    made = made.model_copy(update={"models": {"m": priceless}, "unpriced": "allow"})
    with serving(made, db) as served:
        assert served.chat().status == 200
        assert hook.wait("raised")["rule"] == "unknown_price"  # the hook has it, and hangs
        for _ in range(30):
            assert served.chat().status == 200
        assert second.gone == 0, "the webhook was given up before the requests were answered"
        assert told(served)[0]["delivered"] == {}


def test_a_trial_says_what_went_wrong(
    upstream: Upstream, second: Upstream, hook: Hook, db: str
) -> None:
    with serving(config(upstream, second), db) as served:
        sent = served.ask("POST", "/dashboard/api/alerts/test", {})
        assert sent.json == {"delivered": {"webhook": None}}
        assert hook.wait("test")["title"] == "mmrouter: test"
        assert told(served)[0]["delivered"] == {"webhook": None}
        assert served.ask("POST", "/dashboard/api/alerts/other", {}).status == 400
    with serving(config(upstream, second, allow_private=False), db) as served:
        sent = served.ask("POST", "/dashboard/api/alerts/test", {})
        assert "private" in sent.json["delivered"]["webhook"]
        settings = served.ask("GET", "/dashboard/api/alerts").raw.decode()
        assert second.base_url not in settings


def test_a_server_does_not_start_without_the_secret_that_it_is_to_sign_with(
    upstream: Upstream, second: Upstream, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    made = config(upstream, second, secret_env="HOOK_SECRET")
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(App(lambda: build(made, db=db))({"type": "lifespan"}, receive, send))
    assert said[0]["type"] == "lifespan.startup.failed"
    assert "HOOK_SECRET is empty" in said[0]["message"]


def test_too_many_alerts_drop_the_oldest_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    async def fill() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(WAITING)
        for number in range(WAITING + 2):
            _put(queue, number)
        return [queue.get_nowait() for _ in range(queue.qsize())]

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(fill()) == list(range(2, WAITING + 2))
    assert caplog.text.count("dropped") == 2
