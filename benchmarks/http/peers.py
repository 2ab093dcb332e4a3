"""What can be measured: a row says how to start it and how to ask it.

`{port}`, `{upstream}`, `{python}`, `{here}`, `{folder}` are filled in. A new peer is a new row, or
`run.py --peer 'name=command with {port} and {upstream}'`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
FOLDER: Final = Path(os.environ.get("MMROUTER_BENCH_DIR", "/tmp/mmbench"))
PATH: Final = "/v1/chat/completions"
INSTALL_SECONDS: Final = 900
LITELLM_KEY: Final = f"sk-{secrets.token_hex(32)}"  # its proxy does not start without one


@dataclass(frozen=True)
class Peer:
    """One gateway to measure."""

    name: str
    command: str
    """Split at blanks, then filled in. Must listen on 127.0.0.1 only."""
    model: str = "mock"
    """The model name that the load asks for."""
    headers: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Name in the folder, text: written, filled in, before each start."""
    start_seconds: float = 30.0
    install: tuple[str, ...] = ()
    """Commands for `--install-peers`, each in a venv or npm prefix of its own."""
    needs: str = ""
    """A file that is there once it is installed."""

    @property
    def ready(self) -> bool:
        return not self.needs or Path(fill(self.needs)).exists()


def fill(text: str, port: int = 0, upstream: str = "") -> str:
    values = {"port": port, "upstream": upstream, "python": sys.executable, "here": HERE}
    for key, value in (values | {"folder": FOLDER}).items():
        text = text.replace("{" + key + "}", str(value))
    return text


def variant(name: str, options: str = "") -> Peer:
    start = "{python} {here}/variants.py --port {port} --upstream {upstream} "
    return Peer(name, start + options)


def _routes() -> str:
    """A route for every complexity and category of the seed."""
    lines = ["routes:"]
    for complexity in ("simple", "medium", "complex"):
        lines.append(f"  {complexity}:")
        for category in ("factual", "reasoning", "creative", "code"):
            lines.append(f"    {category}: {{model: mock}}")
    return "\n".join(lines) + "\n"


MMROUTER_YAML: Final = (
    _routes()
    + """\
classifier: {strategy: rules}
providers:
  corp: {kind: openai, base_url: "{upstream}", api_key_env: MMBENCH_KEY}
models:
  mock: {provider: corp, upstream: mock, price: {input: 0.15, output: 0.60}}
tracker: {url: "sqlite:///{folder}/mmrouter.db"}
"""
)

LITELLM_YAML: Final = """\
model_list:
  - model_name: mock
    litellm_params: {model: openai/mock, api_base: "{upstream}", api_key: sk-mock}
litellm_settings: {telemetry: false}
"""

# Portkey's gateway takes no host to listen on: this keeps it on the loopback.
LOOPBACK_JS: Final = """\
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (first, ...rest) {
  if (typeof first === "number") return listen.call(this, first, "127.0.0.1",
    ...rest.filter((x) => typeof x === "function"));
  if (first && typeof first === "object" && first.port) first.host = "127.0.0.1";
  return listen.call(this, first, ...rest);
};
"""

BASE: Final = "{python} {here}/bare.py --port {port} --upstream {upstream}"
_ROWS: Final = (
    Peer("direct", ""),
    Peer("bare", BASE),
    variant("uvicorn+aiohttp"),
    variant("uvicorn+httpx", "--client httpx"),
    variant("uvicorn+streams", "--client streams"),
    variant("uvicorn+protocol", "--client protocol"),
    variant("uvicorn+starlette", "--framework starlette"),
    variant("granian+aiohttp", "--server granian"),
    variant("granian+protocol", "--server granian --client protocol"),
    variant("hypercorn+aiohttp", "--server hypercorn"),
    variant("raw+aiohttp", "--server raw"),
    variant("raw+protocol", "--server raw --client protocol"),
    variant("starlette+protocol", "--framework starlette --client protocol"),
    variant("loop-normal", "--durable loop-normal"),
    variant("loop-off", "--durable loop-off"),
    variant("group-normal", "--durable group-normal"),
    variant("group-off", "--durable group-off"),
    variant("thread-hop", "--durable thread-hop"),
    variant("thread-normal", "--durable thread-normal"),
    variant("thread-off", "--durable thread-off"),
    variant("journal", "--durable journal"),
    variant("protocol+group-normal", "--client protocol --durable group-normal"),
    variant("protocol+thread-normal", "--client protocol --durable thread-normal"),
    Peer(
        "mmrouter",
        os.environ.get("MMROUTER", "{python} -m mmrouter")
        + " -c {folder}/mmrouter.yaml serve --host 127.0.0.1 --port {port}",
        model="auto",
        env={"MMBENCH_KEY": "sk-mock"},
        files={"mmrouter.yaml": MMROUTER_YAML},
    ),
    Peer(
        "litellm",
        "{folder}/litellm/bin/litellm --config {folder}/litellm.yaml --host 127.0.0.1"
        " --port {port} --num_workers 1 --telemetry False",
        headers={"authorization": f"Bearer {LITELLM_KEY}"},
        env={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MASTER_KEY": LITELLM_KEY,
        },
        files={"litellm.yaml": LITELLM_YAML},
        start_seconds=90,
        install=(
            "{python} -m venv {folder}/litellm",
            "{folder}/litellm/bin/pip install --quiet litellm[proxy]",
        ),
        needs="{folder}/litellm/bin/litellm",
    ),
    Peer(
        "portkey",
        "node --require {folder}/loopback.cjs"
        " {folder}/portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
        " --port={port} --headless",
        headers={
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": "{upstream}",
            "authorization": "Bearer sk-mock",
        },
        env={"NODE_ENV": "production"},
        files={"loopback.cjs": LOOPBACK_JS},
        install=("npm install --no-audit --no-fund --prefix {folder}/portkey @portkey-ai/gateway",),
        needs="{folder}/portkey/node_modules/@portkey-ai/gateway/build/start-server.js",
    ),
)
PEERS: Final = {peer.name: peer for peer in _ROWS}


def install(names: list[str]) -> None:
    """Install those of `names` that are not there yet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        peer = PEERS[name]
        for command in () if peer.ready else peer.install:
            words = [fill(word) for word in command.split()]
            if not shutil.which(words[0]):
                print(f"{name}: no {words[0]} here, left out", file=sys.stderr)
                break
            subprocess.run(words, check=True, timeout=INSTALL_SECONDS)
