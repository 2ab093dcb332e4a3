"""The commands, as a person at a terminal meets them. Answers come from the real local model."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from mmrouter.config import preset_names
from tests.support.command import COMMAND, clean_environment, mmrouter
from tests.support.configs import PRICE, one_route
from tests.support.upstream import Upstream

PARIS = "What is the capital of France?"


def test_route_without_a_key_is_answered_by_the_local_model_and_says_so(tmp_path: Path) -> None:
    done = mmrouter("route", PARIS, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "Paris" in done.out
    assert "[simple/factual] model=smollm2-135m cost=$0.000000 latency=" in done.out
    assert "no ANTHROPIC_API_KEY is set: a small local model answered" in done.out
    assert "goes to claude-" in done.out
    listed = json.loads(mmrouter("stats", "--detailed", "--json", cwd=tmp_path).out)
    assert listed["requests"] == 1
    assert listed["savings"]["saved_usd"] == 0, "a stand-in saves nothing"


def test_route_verbose_and_json_carry_all_that_the_examples_show(tmp_path: Path) -> None:
    block = mmrouter("route", "-v", PARIS, cwd=tmp_path).out
    for name in (
        "Model:",
        "Complexity:",
        "Category:",
        "Confidence:",
        "Tokens:",
        "Cost:",
        "Latency:",
    ):
        assert name in block
    plain = json.loads(mmrouter("route", "--json", PARIS, cwd=tmp_path).out)
    assert "Paris" in plain["content"]
    assert plain["would_route_to"].startswith("claude-")
    assert plain["would_have_cost_usd"] > 0
    assert plain["cost_usd"] == 0


def test_a_session_is_gone_on_with_by_the_next_command(tmp_path: Path, upstream: Upstream) -> None:
    levels = {"simple": "small", "medium": "big", "complex": "big"}
    config = {
        "routes": {level: one_route(model)[level] for level, model in levels.items()},
        "providers": {"corp": {"base_url": upstream.base_url}},
        "models": {
            "small": {"provider": "corp", "price": PRICE},
            "big": {"provider": "corp", "price": {"input": 9, "output": 18}},
        },
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))

    def route(prompt: str, session: str) -> list[str]:
        command = ("-c", "c.yaml", "route", "--json", "--session", session, prompt)
        done = mmrouter(*command, cwd=tmp_path)
        assert done.code == 0, done.err
        reasons: list[str] = json.loads(done.out)["reasons"]
        return reasons

    hard = "Prove step by step that the scheduler cannot deadlock, and derive its latency bound."
    route(hard, "s1")
    assert any("switches: small" in reason for reason in route(PARIS, "s1"))
    assert not any("switches" in reason for reason in route(PARIS, "s2"))


def test_with_a_key_the_configured_model_is_called(tmp_path: Path, upstream: Upstream) -> None:
    config = {
        "routes": one_route("m"),
        "providers": {"corp": {"base_url": upstream.base_url, "api_key_env": "CORP_API_KEY"}},
        "models": {"m": {"provider": "corp", "price": PRICE}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    command = ("-c", "c.yaml", "route", "--json", PARIS)
    done = mmrouter(*command, cwd=tmp_path, env={"CORP_API_KEY": "sk-1"})
    plain = json.loads(done.out)
    assert (plain["model"], plain["content"]) == ("m", "Paris.")
    assert plain["cost_usd"] == pytest.approx((12 * 1 + 3 * 2) / 1e6)
    assert upstream.seen[0].headers["Authorization"] == "Bearer sk-1"


def test_a_prompt_can_be_piped_in(tmp_path: Path) -> None:
    assert "Paris" in mmrouter("route", cwd=tmp_path, stdin=PARIS).out
    assert "Paris" in mmrouter("route", "-", cwd=tmp_path, stdin=PARIS).out


@pytest.mark.parametrize(
    ("arguments", "stdin", "expected"),
    [
        (("route",), b"\xff\xfe", "not UTF-8"),
        (("route", "  "), b"", "empty"),
        (("route", "hi", "--model", "gpt-nope-9/x"), b"", "Unknown model"),
        (("route", "hi", "--model", "auto:fast"), b"", "auto:cheap"),
        (("route", "hi", "--model", "gpt-4o"), b"", "export OPENAI_API_KEY=your-key"),
        (("-c", "nowhere.yaml", "route", "hi"), b"", "mmrouter init"),
        (("rout", "hi"), b"", "Did you mean 'route'?"),
        (("feedback", "req_0", "up"), b"", "No request 'req_0'"),
        (("feedback", "req_0"), b"", "up"),
        (("stats", "--since", "yesterdayish"), b"", "neither an age"),
        (("route", "hi", "--db", "/proc/nope/x.db"), b"", "/proc/nope"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], stdin: bytes, expected: str
) -> None:
    done = mmrouter(*arguments, cwd=tmp_path, stdin=stdin)
    assert done.code != 0
    assert expected in done.err
    assert "Traceback" not in done.err


def test_classify_prints_labels_and_sends_nothing(tmp_path: Path) -> None:
    plain = json.loads(mmrouter("classify", PARIS, cwd=tmp_path).out)
    assert (plain["complexity"], plain["category"]) == ("simple", "factual")
    assert 0 <= plain["confidence"] <= 1
    assert 0 <= plain["difficulty"] <= 1
    assert not list(tmp_path.iterdir()), "classify leaves nothing behind"


def test_classify_batch_answers_every_line_in_order(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "prompt": PARIS},
        {"id": "b", "messages": [{"role": "user", "content": "Prove Fermat's last theorem"}]},
        {"prompt": "你好"},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    done = mmrouter("classify", "--batch", "p.jsonl", cwd=tmp_path)
    labels = [json.loads(line) for line in done.out.splitlines()]
    assert [label["id"] for label in labels] == ["a", "b", 3]
    assert set(labels[0]) == {"id", "complexity", "category", "confidence", "difficulty"}


def test_classify_batch_names_the_bad_line(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "hi"}\n{"prompt": 3}\n')
    done = mmrouter("classify", "--batch", "p.jsonl", cwd=tmp_path)
    assert done.code == 1
    assert "line 2" in done.err


def test_help_and_classify_import_nothing_heavy(tmp_path: Path) -> None:
    for arguments in (["--help"], ["classify", "hi"]):
        code = (
            f"import sys; sys.argv = ['mmrouter', *{arguments}]\n"
            "from mmrouter.cli.main import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "heavy = {'litellm', 'onnxruntime', 'torch', 'sqlalchemy', 'aiohttp', 'sklearn'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        )
        python = COMMAND.with_name("python")
        subprocess.run([python, "-c", code], cwd=tmp_path, check=True, env=clean_environment())


def test_init_writes_a_config_that_works(tmp_path: Path) -> None:
    done = mmrouter("init", "--provider", "local", cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "configs" / "default.yaml").is_file()
    assert mmrouter("config", "check", cwd=tmp_path).code == 0
    plain = json.loads(mmrouter("route", "--json", PARIS, cwd=tmp_path).out)
    assert (plain["model"], plain["would_route_to"]) == ("smollm2-135m", None)


def test_init_does_not_overwrite_without_being_told(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    mine = tmp_path / "configs" / "default.yaml"
    mine.write_text("mine")
    assert mmrouter("init", "--provider", "openai", cwd=tmp_path, stdin="n\n").code != 0
    assert mine.read_text() == "mine"
    assert mmrouter("init", "--provider", "openai", "--force", cwd=tmp_path).code == 0
    assert "gpt-" in mine.read_text()


def test_init_never_writes_or_prints_the_key(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "sk-very-secret"}
    done = mmrouter("init", "--provider", "openai", "--offline", cwd=tmp_path, env=env)
    written = (tmp_path / "configs" / "default.yaml").read_text()
    assert "OPENAI_API_KEY is set" in done.out
    assert "sk-very-secret" not in done.out + done.err + written


@pytest.mark.parametrize("preset", preset_names())
def test_config_show_prints_a_config_that_checks(tmp_path: Path, preset: str) -> None:
    shown = mmrouter("config", "show", preset, cwd=tmp_path)
    (tmp_path / "shown.yaml").write_text(shown.out)
    assert mmrouter("config", "check", "shown.yaml", cwd=tmp_path).code == 0


def test_config_check_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("routes:\n  simpel: {}\n")
    done = mmrouter("config", "check", "c.yaml", cwd=tmp_path)
    assert done.code == 1
    assert "c.yaml:2: unknown key 'routes.simpel'; did you mean 'simple'?" in done.err


def test_config_schema_is_a_json_schema(tmp_path: Path) -> None:
    schema = json.loads(mmrouter("config", "schema", cwd=tmp_path).out)
    assert "routes" in schema["properties"]


def test_feedback_is_kept_with_its_request(tmp_path: Path) -> None:
    request = json.loads(mmrouter("route", "--json", PARIS, cwd=tmp_path).out)["request_id"]
    done = mmrouter("feedback", request, "down", "--comment", "wrong", cwd=tmp_path)
    assert done.code == 0, done.err
    assert request in done.out
    known = json.loads(mmrouter("stats", "--feedback", "--json", cwd=tmp_path).out)
    said = [row for row in known["beliefs"] if row["count"]]
    assert [(row["count"], row["mean"] < 0.5) for row in said] == [(1, True)]
    assert "not in the route" in mmrouter("stats", "--feedback", cwd=tmp_path).out


def test_stats_of_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    done = mmrouter("stats", cwd=tmp_path)
    assert done.code == 0
    assert "mmrouter route" in done.out


def test_ctrl_c_ends_quietly_and_the_request_is_in_the_books(
    tmp_path: Path, upstream: Upstream
) -> None:
    import asyncio
    import threading
    from typing import Any

    from aiohttp import web

    arrived = threading.Event()

    async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    upstream.handler = hang
    config = {
        "routes": one_route("m"),
        "providers": {"corp": {"base_url": upstream.base_url}},
        "models": {"m": {"provider": "corp", "price": PRICE}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        [COMMAND, "-c", "c.yaml", "route", "hi"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a background job's children ignore it, and the tests may run as one
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert arrived.wait(30)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err
    listed = json.loads(mmrouter("-c", "c.yaml", "stats", "--json", cwd=tmp_path).out)
    assert listed["requests"] == 1
    assert listed["cost_usd"] > 0


def test_sigkill_right_after_an_answer_leaves_its_row(tmp_path: Path) -> None:
    """The answer's last byte is not shown before its row is durable."""
    code = (
        "import os, signal\n"
        "from mmrouter import Router\n"
        "router = Router('local')\n"
        "result = router.route('What is the capital of France?')\n"
        "print(result.request_id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    python = COMMAND.with_name("python")
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=clean_environment(),
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    request = done.stdout.strip()
    assert request.startswith("req_")
    assert mmrouter("feedback", request, "up", cwd=tmp_path).code == 0
