"""`mmrouter serve`, killed while clients read its answers."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, islice, product
from pathlib import Path

import aiohttp

from mmrouter.config import Config
from tests.support.openai_answers import Json
from tests.support.server import serving_process

_ASK = [{"role": "user", "content": "Which river runs through Rome?"}]
_ENDS = {"/v1/chat/completions": b"data: [DONE]", "/v1/messages": b'"message_stop"'}
_MODELS = {"/v1/chat/completions": "gpt", "/v1/messages": "claude"}


@dataclass
class Answers:
    """What clients got.

    Attributes:
        whole, streamed: ids of answers that came in full: to the end of the body, or up to the
            event that ends the stream.
        broken: requests under way at the kill.
    """

    whole: set[str] = field(default_factory=set)
    streamed: set[str] = field(default_factory=set)
    broken: int = 0

    @property
    def ids(self) -> set[str]:
        """Of all that came in full."""
        return self.whole | self.streamed


def killed_under_load(
    config: Config, folder: Path, db: str, *, clients: int, answers: int
) -> Answers:
    """Starts the server, asks it from so many clients, and kills it after so many answers.

    Args:
        config: has the models `gpt` and `claude`, as `configs.two_dialects`.
    """
    with serving_process(config, folder, db) as (url, pid):
        return asyncio.run(_load(url, pid, clients, answers))


async def _load(url: str, pid: int, clients: int, answers: int) -> Answers:
    got = Answers()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session, asyncio.timeout(60):

        async def client(number: int) -> None:
            for path, stream in islice(cycle(product(_ENDS, (False, True))), number % 4, None):
                try:
                    await _ask(session, path, stream, got)
                except (aiohttp.ClientError, ConnectionError):
                    got.broken += 1
                    return
                if len(got.ids) >= answers:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

        await asyncio.gather(*(client(number) for number in range(clients)))
    return got


async def _ask(session: aiohttp.ClientSession, path: str, stream: bool, got: Answers) -> None:
    body: Json = {"model": _MODELS[path], "messages": _ASK, "max_tokens": 100, "stream": stream}
    async with session.post(path, json=body) as response:
        assert response.status == 200, await response.text()
        id = response.headers["x-mmrouter-request-id"]
        if not stream:
            await response.read()
            got.whole.add(id)
            return
        async for line in response.content:
            if _ENDS[path] in line:
                got.streamed.add(id)  # also where the connection breaks off after it
