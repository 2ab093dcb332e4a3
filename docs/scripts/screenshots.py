"""Pictures of every page of the dashboard, in both themes and on a phone, from a real run of
`mmrouter demo`.

python docs/scripts/screenshots.py      # writes docs/img/dashboard-*.png
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "img"
PORT = 8196

PAGES = ("overview", "requests", "models", "routing", "experiments", "budgets", "alerts")
SHOWN = (*PAGES, "story", "rating")
PATHS = {
    "overview": "",
    "story": "requests?model=sim-rival",
    "rating": "requests?model=sim-large&complexity=complex",
}


@contextmanager
def demo() -> Iterator[str]:
    """The demo, served; the dashboard's URL."""
    command = [sys.executable, "-c", "from mmrouter.cli.main import main; main()", "demo"]
    process = subprocess.Popen([*command, "--port", str(PORT), "--no-open"])  # noqa: S603
    url = f"http://127.0.0.1:{PORT}/dashboard"
    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(url)
                break
            except OSError:
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def show(page: Page, url: str, name: str) -> None:
    """Opens a page as it is to be seen."""
    page.goto(f"{url}/{PATHS.get(name, name)}")
    page.get_by_role("heading", level=1).wait_for()
    page.get_by_text("Live", exact=True).wait_for()
    if name == "story":
        page.locator(".to-story").first.click()
        page.get_by_role("heading", name="What it cost").wait_for()
    elif name == "rating":
        page.locator(".to-story").first.click()
        page.get_by_role("button", name="Bad").click()
        page.locator(".change").scroll_into_view_if_needed()
    elif name == "routing":
        page.get_by_label("Prompt", exact=True).fill(
            "Prove that the square root of 2 is irrational, and say where the proof fails for 4."
        )
        page.get_by_role("button", name="Decide").click()
        page.locator(".decision").wait_for()
        page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(1_500)  # the slower of the page's questions


def main() -> None:
    """Takes them all."""
    sys.path.insert(0, str(ROOT))
    from tests.support.browser import browsing

    OUT.mkdir(exist_ok=True)
    with demo() as url, browsing() as browser:
        for theme in ("light", "dark"):
            page = browser.new_page(color_scheme=theme, viewport={"width": 1200, "height": 780})  # type: ignore[arg-type]
            for name in SHOWN:
                show(page, url, name)
                page.screenshot(path=OUT / f"dashboard-{name}-{theme}.png")
            page.close()
        phone = browser.new_page(viewport={"width": 375, "height": 740})
        for name in SHOWN:
            show(phone, url, name)
            phone.screenshot(path=OUT / f"dashboard-{name}-phone.png")


if __name__ == "__main__":
    main()
