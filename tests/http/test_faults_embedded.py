"""The faults of `test_faults` where no server stands between: the library, the command line."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmrouter import AsyncRouter
from mmrouter.cli.main import main
from mmrouter.errors import MMRouterError
from tests.http.test_faults import REFUSED, faulty_first
from tests.support.faults import FAULTS, faulty, healthy
from tests.support.tables import Page
from tests.support.upstream import running

_KEY = "sk-secret-0123456789"
_ANSWER = "the answer"
_TEXT = "12 °C."
_BEGINNING = "its beginning, then "
_NOWHERE = "http://127.0.0.1:9/v1"


@dataclass(frozen=True)
class Cell:
    """One request."""

    fault: str
    stream: bool
    behind: bool

    @property
    def column(self) -> str:
        """As in the table."""
        how = "streamed" if self.stream else "whole"
        return f"{how}, {'healthy behind' if self.behind else 'alone'}"


CELLS = [
    Cell(fault, stream, behind)
    for fault in (*FAULTS, REFUSED)
    for stream in (False, True)
    for behind in (False, True)
]

_PROTOCOL, _TIMEOUT = "ProviderProtocolError", "ProviderTimeoutError"

RAISED = {
    "400": "BadUpstreamRequestError",
    "401, quoting the key": "ProviderAuthError",
    "404": "UpstreamModelError",
    "429": "RateLimitedError",
    "429 with Retry-After": "RateLimitedError",
    "500": "ProviderServerError",
    "503": "ProviderServerError",
    "slow": None,
    "hang": _TIMEOUT,
    "hang after the head": _TIMEOUT,
    "reset": "ProviderConnectionError",
    REFUSED: "ProviderConnectionError",
    "stall inside": _TIMEOUT,
    "never-ending": _TIMEOUT,
    "comments without end": _TIMEOUT,
    "error reported inside": "ProviderServerError",
}
"""What is raised; of all others, a ProviderProtocolError."""

BEGUN = {
    "reset inside the body",
    "fewer bytes than promised",
    "cut inside",
    "stall inside",
    "malformed inside",
    "huge",
    "never-ending",
    "error reported inside",
}
"""Streams break off after their first words."""


@pytest.fixture(scope="module")
def urls() -> Iterator[tuple[str, str]]:
    """The faulty upstream, and the healthy one."""
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("FAULTS_KEY", _KEY)
        yield (
            stack.enter_context(running(faulty)).base_url,
            stack.enter_context(running(healthy)).base_url,
        )


@pytest.fixture(scope="module")
def raised(urls: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[Cell, str]:
    """What the library gives, of all cells."""
    folder = tmp_path_factory.mktemp("books")
    bad, well = urls

    async def observe_all() -> dict[Cell, str]:
        seen = {}
        for server, url in (("", bad), ("429", bad), (REFUSED, _NOWHERE)):
            config = faulty_first("openai", url, well)
            cells = [cell for cell in CELLS if _server(cell.fault) == server]
            some = asyncio.Semaphore(8)
            async with AsyncRouter(config, db=f"sqlite:///{folder}/{server}.db") as router:
                texts = await asyncio.gather(*(_library(router, cell, some) for cell in cells))
            seen |= dict(zip(cells, texts, strict=True))
        return seen

    return asyncio.run(observe_all())


def _server(fault: str) -> str:
    return "429" if fault.startswith("429") else REFUSED if fault == REFUSED else ""


async def _library(router: AsyncRouter, cell: Cell, some: asyncio.Semaphore) -> str:
    model = "auto" if cell.behind else "bad"
    text, failure = "", None
    async with some:
        try:
            if cell.stream:
                stream = router.stream("Hi", model=model, metadata={"fault": cell.fault})
                async for piece in stream:
                    text += piece
            else:
                result = await router.route("Hi", model=model, metadata={"fault": cell.fault})
                text = result.content
        except MMRouterError as error:
            failure = error
    if failure is not None:
        assert _KEY not in str(failure)
        return f"{_BEGINNING if text else ''}`{type(failure).__name__}`"
    return _ANSWER if text == _TEXT else f"something else: {text!r}"


def expected(cell: Cell) -> str | None:
    """The error's class; None is the answer."""
    begun = cell.stream and cell.fault in BEGUN
    if cell.behind and not begun:
        return None
    if cell.stream and cell.fault == "never-ending":
        return "TotalTimeoutError"
    return RAISED.get(cell.fault, _PROTOCOL)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.fault}-{cell.column}")
def test_a_fault_in_the_library(cell: Cell, raised: dict[Cell, str], failures: Page) -> None:
    error = expected(cell)
    begun = _BEGINNING if cell.stream and cell.fault in BEGUN else ""
    assert raised[cell] == (_ANSWER if error is None else f"{begun}`{error}`")
    failures.note("Library", cell.fault, cell.column, raised[cell])


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.fault}-{cell.column}")
def test_a_fault_at_the_command_line(
    cell: Cell,
    urls: tuple[str, str],
    failures: Page,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = _NOWHERE if cell.fault == REFUSED else urls[0]
    patience = {"timeout_ms": 600, "stall_timeout_ms": 300, "total_timeout_ms": 900}
    config = faulty_first("openai", bad, urls[1], **patience)
    (tmp_path / "c.json").write_text(config.model_dump_json(exclude_defaults=True))
    command = ["mmrouter", "-c", f"{tmp_path}/c.json", "route", "--db", f"{tmp_path}/books.db"]
    command += [] if cell.stream else ["--json"]
    command += ["--model", "auto" if cell.behind else "bad", cell.fault]  # the prompt is the fault
    monkeypatch.setattr(sys, "argv", command)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    assert _KEY not in out.getvalue() + err.getvalue()
    seen = _shown(cell, code, out.getvalue(), err.getvalue())
    failed = expected(cell) is not None
    begun = _BEGINNING if cell.stream and cell.fault in BEGUN else ""
    assert seen == (f"{begun}exit code 1 and `Error: …`" if failed else _ANSWER)
    failures.note("Command line", cell.fault, cell.column, seen)


def _shown(cell: Cell, code: int, out: str, err: str) -> str:
    """What a person sees."""
    if code:
        assert err.startswith("Error: ")
        assert err.count("\n") == 1
        assert "bad" in err or "longer than" in err or "total timeout" in err
        return f"{_BEGINNING if out else ''}exit code {code} and `Error: …`"
    assert err == ""
    text = out.partition("\n\n")[0] if cell.stream else json.loads(out)["content"]
    return _ANSWER if text == _TEXT else f"something else: {text!r}"
