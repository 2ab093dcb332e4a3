"""The built wheel carries all that the commands need: presets, eval data, weights."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mmrouter.config import preset_names
from tests.support.command import clean_environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which only the wheel is installed, and that wins over the editable install."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("mmrouter-*.whl")
    target = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys, mmrouter; from pathlib import Path\n"
        f"assert Path(mmrouter.__file__).is_relative_to({str(installed)!r}), mmrouter.__file__\n"
        f"sys.argv = ['mmrouter', *{arguments!r}]\n"
        "from mmrouter.cli.main import main; main()\n"
    )
    environment = {**clean_environment(), "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_preset_is_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    for name in preset_names():
        done = run(installed, tmp_path, "config", "check", f"configs/{name}.yaml")
        assert done.returncode == 0, done.stderr


def test_the_main_job_works_from_the_wheel_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    done = run(installed, tmp_path, "route", "What is the capital of France?")
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert sorted(os.listdir(tmp_path))[0] == "mmrouter.db"


def test_the_documented_commands_work_from_the_wheel_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    """One folder, in this order: what the first leaves is what the others read."""
    for command in (
        ("route", "What is the capital of France?"),
        ("classify", "Explain quantum entanglement"),
        ("stats", "--detailed"),
        ("eval", "--classifier", "rules"),
        ("compare",),
        ("budget", "status"),
        ("db", "verify"),
    ):
        done = run(installed, tmp_path, *command)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout.strip(), command


def test_no_stray_file_is_in_the_wheel(installed: Path) -> None:
    (wheel,) = installed.parent.glob("mmrouter-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [n for n in names if n.endswith((".db", ".pyc", ".orig", ".log", ".gguf"))]
    assert "mmrouter/py.typed" in names
