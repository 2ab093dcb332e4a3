"""The pages that the tests of this folder fill are as these saw it. Runs last."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tables import Page

_MEND = "run `pytest tests/http --write-pages`, and look at what changed"


@pytest.mark.parametrize("name", ["compatibility", "failures"])
def test_a_page_says_what_the_tests_saw(name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    if request.config.getoption("--write-pages", default=False):
        assert _all_ran(request.session), "run all of tests/http to write its pages"
        page.path.write_text(page.render())
    written = page.written()
    for cell, seen in page.cells.items():
        assert written.get(cell) == seen, f"{page.path.name}: {cell} is stale; {_MEND}"
    if _all_ran(request.session):
        assert page.path.read_text() == page.render(), f"{page.path.name} is stale; {_MEND}"


def _all_ran(session: pytest.Session) -> bool:
    """Every test of this folder stands in the session."""
    here = Path(__file__).parent
    options = session.config.option
    chosen = options.keyword or options.markexpr or any("::" in a for a in session.config.args)
    return not chosen and {item.path for item in session.items} >= set(here.glob("test_*.py"))
