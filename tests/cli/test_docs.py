"""What README and the docs say is true: their `bash` and `python` blocks run, pages are fresh.

Blocks marked `sh` are not run: they install things, need a key, or describe another machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import COMMAND, clean_environment

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(kind, code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (kind, code) in enumerate(_BLOCK.findall(page.read_text("utf-8")), start=1)
]


@pytest.mark.parametrize(("kind", "code"), BLOCKS)
def test_a_block_runs_in_an_empty_folder_without_a_key(
    kind: str, code: str, tmp_path: Path
) -> None:
    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-euc", code] if kind == "bash" else [sys.executable, "-c", code]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**clean_environment(), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        code_of_end = process.wait(100)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # servers that a block left in the background
    out, _ = process.communicate(timeout=20)
    assert code_of_end == 0, out.decode()


def test_the_configuration_page_is_the_schemas() -> None:
    script = ROOT / "docs" / "scripts" / "configuration.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False)
    assert done.returncode == 0, f"run: python {script.relative_to(ROOT)}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
