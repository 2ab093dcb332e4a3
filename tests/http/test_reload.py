"""A running server takes another config: nothing is dropped, and a faulty one changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.http.processes import eventually, process
from tests.http.serving import Served
from tests.support.command import Result, mmrouter
from tests.support.configs import config_for
from tests.support.upstream import Upstream, chat


def write(folder: Path, upstream: Upstream, model: str, **changes: Any) -> None:
    config = config_for({model: upstream.base_url}, **{"server": {"drain_seconds": 10}, **changes})
    folder.mkdir(exist_ok=True)
    (folder / "c.json").write_text(config.model_dump_json(exclude_defaults=True))


def reload(folder: Path, *options: str) -> Result:
    environment = {"XDG_RUNTIME_DIR": str(folder)}
    return mmrouter("config", "reload", *options, cwd=folder, env=environment)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_request_is_dropped_and_each_ends_by_the_config_it_began_with(
    upstream: Upstream, tmp_path: Path, workers: str
) -> None:
    held, going = threading.Event(), threading.Event()

    async def slow_m(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["model"] == "up-m" and not held.is_set():
            going.set()
            await asyncio.to_thread(held.wait, 60)
        return await chat(request, body)

    upstream.handler = slow_m
    with process(upstream, tmp_path, "--workers", workers) as (_, port):
        server = Served(port, f"sqlite:///{tmp_path}/b.db")
        with ThreadPoolExecutor(80) as pool:
            before = [pool.submit(server.chat, stream=n % 2 == 0) for n in range(40)]
            assert going.wait(20)
            eventually(lambda: len(upstream.seen) >= 20)
            write(tmp_path, upstream, "n")
            done = reload(tmp_path)
            assert done.code == 0, done.err
            assert "is in force" in done.out
            after = [pool.submit(server.chat) for _ in range(40)]
            assert {a.result().headers["x-mmrouter-model"] for a in after} == {"n"}
            held.set()
            answers = [a.result() for a in before]
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-mmrouter-model"] for answer in answers} <= {"m", "n"}
    assert sum(answer.headers["x-mmrouter-model"] == "m" for answer in answers) >= 20


def test_a_faulty_config_is_refused_by_line_and_the_old_one_stays(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.handler = None
    with process(upstream, tmp_path) as (child, port):
        server = Served(port, "")
        good = json.loads((tmp_path / "c.json").read_text())
        (tmp_path / "c.json").write_text(json.dumps(good | {"budgett": {}}, indent=1))
        refused = reload(tmp_path)
        assert refused.code == 1
        assert "c.json:" in refused.err
        assert "budgett" in refused.err
        os.kill(child.pid, signal.SIGHUP)  # whoever signals it himself finds the reason in the log
        eventually(lambda: "stays what it was" in (tmp_path / "log").read_text())
        write(tmp_path, upstream, "n", tracker={"url": "sqlite:///other.db"})
        moved = reload(tmp_path)
        assert moved.code == 1
        assert "'tracker' cannot change while the server runs: restart it" in moved.err
        assert server.chat().headers["x-mmrouter-model"] == "m"
        write(tmp_path, upstream, "n")
        assert reload(tmp_path, "--port", str(port)).code == 0
        assert server.chat().headers["x-mmrouter-model"] == "n"


def test_keys_and_budgets_are_reloaded_and_counters_go_on(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.handler = None
    dollar = {"enabled": True, "daily_limit": 1.0, "hard_limit_action": "reject"}
    spent = {"enabled": True, "daily_limit": 0.00001, "hard_limit_action": "reject"}
    with process(upstream, tmp_path) as (_, port):
        server = Served(port, "")
        assert server.chat(max_tokens=3).status == 200, "18,000 nano-dollars, under no limit"
        write(tmp_path, upstream, "m", budget=dollar)
        assert reload(tmp_path).code == 0
        assert server.chat(max_tokens=3).status == 200
        write(tmp_path, upstream, "m")  # none again: what is spent now must count later
        assert reload(tmp_path).code == 0
        assert server.chat(max_tokens=3).status == 200
        write(tmp_path, upstream, "m", budget=spent)
        assert reload(tmp_path).code == 0
        refused = server.chat(max_tokens=3)
        assert refused.status == 429
        audit = mmrouter("-c", "c.json", "budget", "status", "--json", "--db", "b.db", cwd=tmp_path)
        assert "0.000054" in audit.out or "54000" in audit.out, audit.out + audit.err


def test_a_running_server_notices_an_experiment_and_marks_its_answers(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.handler = None
    with process(upstream, tmp_path) as (_, port):
        server = Served(port, "")
        write(tmp_path / "other", upstream, "n")
        create = ["experiment", "create", "--name", "e", "--db", "b.db"]
        arms = ["--control", "c.json", "--treatment", "other/c.json"]
        assert mmrouter("-c", "c.json", *create, *arms, cwd=tmp_path).code == 0

        def marks() -> set[str | None]:
            asked = [[{"role": "user", "content": f"What is {n}+{n}?"}] for n in range(12)]
            return {server.chat(messages=m).headers.get("x-mmrouter-variant") for m in asked}

        eventually(lambda: marks() == {"e/control", "e/treatment"})


def test_there_must_be_a_server(tmp_path: Path) -> None:
    alone = reload(tmp_path)
    assert alone.code == 1
    assert "No server of yours runs" in alone.err
