"""`mmrouter replay`, as users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.command import COMMAND, clean_environment, mmrouter
from tests.support.configs import PRICE, config_for
from tests.support.upstream import Upstream


def test_the_sample_shows_costs_savings_and_writes_a_page(tmp_path: Path) -> None:
    done = mmrouter("replay", "sample", "--html", "report.html", cwd=tmp_path)
    assert done.code == 0
    assert "Projected cost:" in done.out
    assert "Saved against it:" in done.out
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "What would I have saved?" in page


def test_a_comparison_gates_a_change_of_config(tmp_path: Path) -> None:
    cheap, dear = ({"input": 1, "output": 1}, {"input": 2, "output": 2})
    for name, price in (("old", cheap), ("new", dear)):
        config = config_for(
            {name: "http://127.0.0.1:9/v1"},
            models={name: {"provider": f"at-{name}", "price": price}},
        )
        (tmp_path / f"{name}.json").write_text(config.model_dump_json())
    command = (
        "replay",
        "sample",
        "--compare",
        "old.json",
        "new.json",
        "--baseline",
        "old",
        "--json",
    )
    done = mmrouter(*command, "--max-cost-increase", "200%", "--max-flips", "1.0", cwd=tmp_path)
    assert done.code == 0, done.err
    found = json.loads(done.out)["comparison"]
    assert (found["cost_increase"], found["flips"]) == (1.0, 1.0)
    done = mmrouter(*command, "--max-cost-increase", "99%", cwd=tmp_path)
    assert done.code == 3
    assert "cost increase: 100.00% is more than 99.00%" in done.err
    assert json.loads(done.out), "the report is there all the same"
    done = mmrouter(*command, "--max-flips", "0.5", cwd=tmp_path)
    assert done.code == 3
    assert "flips" in done.err


def test_our_own_books_are_a_log(tmp_path: Path, upstream: Upstream) -> None:
    model = {"a": {"provider": "at-a", "price": PRICE}}
    config = config_for({"a": upstream.base_url}, models=model)
    (tmp_path / "c.json").write_text(config.model_dump_json())
    for _ in range(2):
        assert mmrouter("-c", "c.json", "route", "What is 2+2?", cwd=tmp_path).code == 0
    done = mmrouter("-c", "c.json", "replay", "mmrouter.db", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["log"] == "mmrouter.db"
    assert found["requests"] == 2
    assert found["configs"][0]["moved"] == 0
    assert found["logged_cost_usd"] == found["configs"][0]["cost_usd"]["value"] == 0.000036


def _workers_of(pid: int) -> list[int]:
    """Its processes that replay."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.parametrize(
    ("ending", "code", "says"),
    [
        ("Ctrl-C", 130, "Aborted"),
        ("a worker is killed", 1, "has died (SIGKILL)"),
    ],
)
def test_an_early_end_is_clear_and_leaves_nothing(
    tmp_path: Path, ending: str, code: int, says: str
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text((files("mmrouter") / "eval/data/sample-log.jsonl").read_text() * 500)
    command = [COMMAND, "replay", "log.jsonl", "--workers", "2", "--html", "report.html"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=clean_environment(),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        until = time.monotonic() + 60
        while len(workers := _workers_of(running.pid)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        if ending == "Ctrl-C":
            os.killpg(running.pid, signal.SIGINT)
        else:
            os.kill(workers[0], signal.SIGKILL)
        _, told = running.communicate(timeout=60)
    assert running.returncode == code
    assert says in told
    assert "Traceback" not in told
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nowhere.jsonl",), 1, "No such log"),
        (("nowhere.db",), 1, "No such log"),
        (("empty.jsonl",), 1, "it is empty"),
        (("odd.jsonl",), 1, "not JSON (2)"),
        (("sample", "--max-flips", "5%"), 2, "--compare"),
        (("sample", "--compare", "default", "budget", "--max-flips", "many"), 2, "no share"),
        (("sample", "--baseline", "nobody"), 1, "Unknown model"),
    ],
)
def test_mistakes_end_with_one_clear_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "odd.jsonl").write_text("nonsense\nmore\n")
    done = mmrouter("replay", *arguments, cwd=tmp_path)
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "nowhere.db").exists()


def test_a_large_log_is_classified_at_first_sight_unless_told_otherwise(tmp_path: Path) -> None:
    line = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]})
    (tmp_path / "small.jsonl").write_text(line + "\n")
    (tmp_path / "large.jsonl").write_bytes(line.encode() + b"\n" + b" " * 41_000_000 + b"\n")
    for log, options, looked in (
        ("small.jsonl", (), True),
        ("large.jsonl", (), False),
        ("large.jsonl", ("--second-look",), True),
    ):
        done = mmrouter("replay", log, "--json", "--workers", "1", *options, cwd=tmp_path)
        assert json.loads(done.out)["second_look"] is looked, done.err
    assert "labels at first sight" in mmrouter("replay", "large.jsonl", cwd=tmp_path).out
