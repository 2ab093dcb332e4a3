"""Fixtures of all suites."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.upstream import Upstream, running

# a shell that runs the suite in the background has SIGINT ignored, and every command under test
# would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ("tests.support.databases",)


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a real key, or read the developer's own config."""
    for name in ("ANTHROPIC", "OPENAI", "GOOGLE", "MMROUTER"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    monkeypatch.delenv("MMROUTER_CONFIG", raising=False)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A recording upstream that answers plausibly."""
    with running() as up:
        yield up


@pytest.fixture
def second() -> Iterator[Upstream]:
    """Another one."""
    with running() as up:
        yield up


@pytest.fixture
def db(tmp_path: Path) -> str:
    """URL of an empty database."""
    return f"sqlite:///{tmp_path / 'books.db'}"
