"""Fixtures of the suites that speak HTTP to the server, and the pages that they fill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.serving import serving
from tests.support.configs import two_dialects
from tests.support.tables import Page
from tests.support.upstream import Upstream, running

_DOCS = Path(__file__).parents[2] / "docs"

_FILLED = """
The tests in `tests/http` fill these tables: `pytest tests/http --write-pages` writes this page, and
a test fails when it is stale.
"""

_COMPATIBILITY = f"""
# Compatibility

What the official `openai` and `anthropic` Python SDKs can do through mmrouter. The SDKs talk to the
server over a real socket; behind it stands an upstream that records what arrives and replays
answers of the real shape. ✓: the upstream got every parameter as the client gave it, and the client
got every field of the answer as the upstream gave it, unknown ones included. –: does not apply.
Where a request is translated for a model of the other kind, ✓ says that the meaning arrived.
{_FILLED}"""

_FAILURES = f"""
# Failures

What a client sees when an upstream misbehaves: the status and code of the error, or how the answer
ends. *Alone*: the failing model is the only one. *Healthy behind*: the next model of the route
works; as long as nothing has been sent to the client, it gets that one's answer and never learns of
the failure but from `X-MMRouter-Fallback`. `upstream_code` is what the upstream itself gave as the
code of its error. In the library a failure is an exception of `mmrouter.errors`, at the command
line one line on standard error.
{_FILLED}"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-pages", action="store_true", help="Write docs/ from what tests see.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The pages are compared when all that fills them has run."""
    pages = Path(__file__).with_name("test_pages.py")
    items.sort(key=lambda item: item.path == pages)


@pytest.fixture(scope="session")
def compatibility() -> Page:
    """docs/compatibility.md."""
    return Page(_DOCS / "compatibility.md", _COMPATIBILITY, "Feature")


@pytest.fixture(scope="session")
def failures() -> Page:
    """docs/failures.md."""
    return Page(_DOCS / "failures.md", _FAILURES, "Fault")


@pytest.fixture(scope="module")
def _module_recorder() -> Iterator[Upstream]:
    with running() as upstream:
        yield upstream


@pytest.fixture
def recorder(_module_recorder: Upstream) -> Upstream:
    """The upstream of `server`, which has seen nothing yet and answers plausibly."""
    _module_recorder.seen.clear()
    _module_recorder.gone = 0
    _module_recorder.handler = None
    return _module_recorder


@pytest.fixture(scope="module")
def server(_module_recorder: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with the models `gpt` and `claude`; one for the tests of a module."""
    books = tmp_path_factory.mktemp("books") / "books.db"
    with serving(two_dialects(_module_recorder.base_url), f"sqlite:///{books}") as served:
        yield served.url
