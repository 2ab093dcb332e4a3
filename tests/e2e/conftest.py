"""A server with some traffic, and a browser that reports whatever goes wrong in a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from mmrouter.config import Config
from tests.http.serving import Served, serving
from tests.support.browser import browsing
from tests.support.configs import config_for
from tests.support.upstream import failing, running

KEY = "mm-e2e-key"
CLIENT_KEY = "mm-e2e-client-key"


@dataclass
class Traffic:
    """A server, and the ids of what was sent to it."""

    served: Served
    ok: list[str]
    failed: list[str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsing() as running_browser:
        yield running_browser


@pytest.fixture(scope="session")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    """Twenty requests that were answered, two that were not."""
    db = f"sqlite:///{tmp_path_factory.mktemp('e2e') / 'books.db'}"
    with running() as upstream, pytest.MonkeyPatch.context() as patch:
        patch.delenv("MMROUTER_API_KEY", raising=False)
        with serving(_config(upstream.base_url), db) as served:
            ok = [_send(served, n, 200) for n in range(20)]
            upstream.handler = failing(400, "no such thing")
            failed = [_send(served, n, 400) for n in range(20, 22)]
            upstream.handler = None
            yield Traffic(served, ok, failed)


def _send(served: Served, number: int, status: int) -> str:
    """Asks, and returns the request's id."""
    answer = served.chat(
        {"x-mmrouter-tags": f"team-{number % 2}", "x-mmrouter-session": f"chat-{number // 5}"},
        messages=[{"role": "user", "content": f"What is {number} times {number}?"}],
        stream=number % 3 == 0,
        max_tokens=100,  # a limit needs a bound
    )
    assert answer.status == status
    return answer.headers["x-mmrouter-request-id"]


def _config(base_url: str) -> Config:
    return config_for(
        {"cheap": base_url, "dear": base_url},
        budget={"enabled": True, "daily_limit": 5, "monthly_limit": 50},
        tracker={"store_prompts": True},
        adaptive={"enabled": True, "min_feedback_count": 3},
    )


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages; whatever the browser complains of fails the test, a forbidden style as well as
    an exception."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one(url: str, width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            timezone_id="Asia/Kathmandu",
            locale="en-US",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    refused = "Failed to load resource: the server responded with a status of 4"
    assert [c for c in complaints if not c.startswith(refused)] == []


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source."""
    path = Path(__file__).parents[2] / "dashboard/node_modules/axe-core/axe.min.js"
    return path.read_text("utf-8")
