"""A real Chromium: the system's, or the one that `make setup` in dashboard/ brought."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

DASHBOARD = Path(__file__).parents[2] / "dashboard"

_SYSTEM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = ("--headless=shell", "--no-sandbox", "--no-zygote", "--disable-gpu")


def chromium() -> tuple[str, dict[str, str]]:
    """Where it is, and what its environment must have.

    Raises:
        RuntimeError: there is none.
    """
    for name in _SYSTEM:
        found = shutil.which(name)
        if found is not None:
            return found, {}
    if not (DASHBOARD / "node_modules" / "@sparticuz").is_dir():
        raise RuntimeError("No Chromium: `make setup` brings one where there is Node 20")
    told = subprocess.run(
        ["node", "chromium.mjs"], cwd=DASHBOARD, check=True, capture_output=True, timeout=120
    )
    found_here = json.loads(told.stdout)
    return found_here["path"], found_here["env"]


@contextmanager
def browsing() -> Iterator[Browser]:
    """A running browser."""
    path, env = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=_ARGUMENTS, env={**os.environ, **env}
        )
        try:
            yield browser
        finally:
            browser.close()
