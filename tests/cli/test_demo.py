"""`mmrouter demo` and `mmrouter dashboard`, as users run them."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mmrouter.tracker.store import Filter, open_store
from tests.support.command import COMMAND, clean_environment, mmrouter


def test_the_demo_fills_books_that_balance(tmp_path: Path) -> None:
    asked = ("--requests", "60", "--local", "0", "--no-serve", "--db", "demo.db")
    done = mmrouter("demo", *asked, cwd=tmp_path)
    assert done.code == 0, done.err
    store = open_store(f"sqlite:///{tmp_path / 'demo.db'}")
    try:
        rows = list(store.rows(Filter()))
        assert store.verify() == []
    finally:
        store.close()
    assert len(rows) == 60
    assert {row["provider"] for row in rows} <= {"simulated-cloud", "simulated-rival", None}
    assert len({row["answered_model"] for row in rows}) > 2
    assert any(row["stream"] for row in rows)
    assert rows[-1]["started"] - rows[0]["started"] > 12 * 3600
    assert not (tmp_path / "mmrouter.db").exists()


def test_the_dashboard_alone_shows_and_spends_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "dashboard", "--port", "8193", "--db", "books.db"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "http://127.0.0.1:8193/dashboard" in process.stdout.readline()
        page = _fetched(process, "http://127.0.0.1:8193/")
        assert b'<div id="root">' in page
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen("http://127.0.0.1:8193/v1/chat/completions", b"{}")
    finally:
        process.terminate()
        process.wait(10)


def _fetched(process: subprocess.Popen[str], url: str) -> bytes:
    """The page, once the server is up."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                data: bytes = answer.read()
                return data
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
    raise AssertionError("the dashboard did not start")
