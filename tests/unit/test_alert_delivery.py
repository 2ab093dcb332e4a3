"""How an alert leaves the house: shape, signature, and where it may not go."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mmrouter.alerts.addresses import is_public
from mmrouter.alerts.base import Alert, DeliveryError, Kind
from mmrouter.alerts.channels import open_channels
from mmrouter.alerts.notify import Notify
from mmrouter.alerts.webhook import Webhook
from mmrouter.config.schema import AlertsConfig
from mmrouter.errors import ConfigError
from tests.support.upstream import Upstream, failing

ALERT = Alert(7, 1e9, "error_rate", "<b>&", Kind.RAISED, "half fail")


@pytest.fixture
def hook(upstream: Upstream) -> Upstream:
    """A webhook that takes everything."""

    async def take(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response()

    upstream.handler = take
    return upstream


async def test_a_generic_webhook_is_signed_as_standard_webhooks_are(hook: Upstream) -> None:
    key = b"\x00\x01 any bytes"
    secret = "whsec_" + base64.b64encode(key).decode()
    sent = Webhook(hook.base_url, secret=secret, allow_private=True, now=lambda: 1_700_000_000.9)
    await sent.send(ALERT)
    seen = hook.seen[0]
    assert seen.body["type"] == "alert.raised"
    assert seen.body["data"] == {
        "id": 7,
        "rule": "error_rate",
        "subject": "<b>&",
        "title": "mmrouter: error_rate (<b>&)",
        "text": "half fail",
    }
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("alert_7", "1700000000")
    mark = hmac.new(key, b"alert_7.1700000000." + seen.raw, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(mark).decode()}"


async def test_the_documented_check_tells_genuine_from_forged(hook: Upstream) -> None:
    await Webhook(hook.base_url, secret="shared", allow_private=True).send(ALERT)
    seen = hook.seen[0]
    headers = {name.lower(): value for name, value in seen.headers.items()}
    page = Path(__file__).parents[2] / "docs" / "alerts.md"
    documented: dict[str, Any] = {}
    exec(page.read_text().split("```python\n")[1].split("```")[0], documented)
    assert documented["is_genuine"](b"shared", headers, seen.raw)
    assert not documented["is_genuine"](b"shared", headers, seen.raw + b" ")
    assert not documented["is_genuine"](b"other", headers, seen.raw)
    assert not documented["is_genuine"](b"shared", {**headers, "webhook-timestamp": "1"}, seen.raw)


async def test_slack_gets_its_own_shape_and_no_markup(hook: Upstream) -> None:
    await Webhook(hook.base_url, form="slack", secret="s", allow_private=True).send(ALERT)
    seen = hook.seen[0]
    text = "*mmrouter: error_rate (&lt;b&gt;&amp;)*\nhalf fail"
    assert seen.body == {"text": text}
    assert "webhook-signature" not in {name.lower() for name in seen.headers}


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1"),
        *("::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "2001:db8::1"),
        *("64:ff9b::a00:1", "2002:7f00:1::", "::ffff:169.254.169.254"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "127.1"]
)
async def test_no_spelling_of_loopback_is_reached(hook: Upstream, host: str) -> None:
    port = hook.base_url.rpartition(":")[2]
    with pytest.raises(DeliveryError) as refused:
        await Webhook(f"http://{host}:{port}").send(ALERT)
    assert not refused.value.retryable or "Url" in str(refused.value)
    assert hook.seen == []


async def test_a_name_that_changes_its_answer_is_not_followed(
    hook: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it is looked up first, loopback when it is connected to."""
    answers = ["1.1.1.1", "127.0.0.1"]
    loop = asyncio.get_running_loop()
    port = int(re.findall(r":(\d+)", hook.base_url)[0])

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        address = answers[0] if len(answers) == 1 else answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    await loop.getaddrinfo("rebind.example", port)
    with pytest.raises(DeliveryError, match="private"):
        await Webhook(f"http://rebind.example:{port}/").send(ALERT)
    assert hook.seen == []


async def test_redirects_are_not_followed(upstream: Upstream, second: Upstream) -> None:
    async def elsewhere(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(second.base_url)

    upstream.handler = elsewhere
    with pytest.raises(DeliveryError, match="307"):
        await Webhook(upstream.base_url, allow_private=True).send(ALERT)
    assert second.seen == []


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (404, False), (429, True), (503, True)]
)
async def test_what_is_worth_another_try(upstream: Upstream, status: int, again: bool) -> None:
    upstream.handler = failing(status)
    with pytest.raises(DeliveryError) as refused:
        await Webhook(upstream.base_url + "/secret-path", allow_private=True).send(ALERT)
    assert refused.value.retryable is again
    assert "secret-path" not in str(refused.value)


async def test_a_webhook_that_never_answers_is_given_up(upstream: Upstream) -> None:
    async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    upstream.handler = hang
    with pytest.raises(DeliveryError, match="did not answer"):
        await Webhook(upstream.base_url, allow_private=True, timeout_s=0.1).send(ALERT)


async def test_apprise_reaches_a_service(hook: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    where = hook.base_url.removeprefix("http://")
    monkeypatch.setenv("ALERT_URLS", f"json://{where}/a json://{where}/b")
    (notify,) = open_channels(AlertsConfig(notify_env="ALERT_URLS"))
    await notify.send(ALERT)
    assert sorted(seen.path for seen in hook.seen) == ["/v1/a", "/v1/b"]
    assert hook.seen[0].body["message"] == "half fail"
    monkeypatch.setenv("ALERT_URLS", "nothing://secret")
    with pytest.raises(ConfigError) as wrong:
        open_channels(AlertsConfig(notify_env="ALERT_URLS"))
    assert "secret" not in str(wrong.value)


async def test_a_service_that_hangs_is_given_up_and_piles_nothing_up(upstream: Upstream) -> None:
    async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    upstream.handler = hang
    where = upstream.base_url.removeprefix("http://")
    notify = Notify(f"json://{where}/?rto=1", timeout_s=0.3)
    with pytest.raises(DeliveryError, match="no end"):
        await notify.send(ALERT)
    with pytest.raises(DeliveryError, match="busy") as second:
        await notify.send(ALERT)
    assert second.value.retryable
    assert len(upstream.seen) == 1


def test_an_empty_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    with pytest.raises(ConfigError, match=r"alerts\.webhook_url_env.*HOOK is empty"):
        open_channels(AlertsConfig(webhook_url_env="HOOK"))
    monkeypatch.setenv("HOOK", "https://hooks.slack.com/services/T/B/x")
    (channel,) = open_channels(AlertsConfig(webhook_url_env="HOOK"))
    assert channel.name == "webhook"


@pytest.mark.parametrize("url", ["http://[::1", "https://:443/x", "http://h:port/", "https://"])
def test_a_url_that_leads_nowhere_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HOOK", url)
    with pytest.raises(ConfigError, match=r"alerts\.webhook_url_env: expected") as refused:
        open_channels(AlertsConfig(webhook_url_env="HOOK"))
    assert url not in str(refused.value)
    with pytest.raises(ConfigError, match=r"alerts\.webhook_url: expected"):
        open_channels(AlertsConfig.model_construct(webhook_url=url))
