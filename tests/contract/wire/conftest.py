"""Every test here runs on both event loops, and must leave neither task nor socket behind."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import uvloop

from mmrouter.providers.wire import Client


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
async def _nothing_is_left(_no_proxies: None) -> AsyncIterator[None]:
    before = _sockets()
    yield
    for _ in range(400):
        left = _sockets() - before, asyncio.all_tasks() - {asyncio.current_task()}
        if not any(left):
            break
        await asyncio.sleep(0.005)
    else:
        pytest.fail(f"left behind: sockets and tasks {left}")


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_collected() -> Iterator[None]:
    yield
    gc.collect()  # a forgotten transport warns when it is collected, and warnings are errors here


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    client = Client()
    yield client
    await client.aclose()


def _sockets() -> set[int]:
    """The inodes of this process's TCP sockets."""
    found = set()
    for entry in os.listdir("/dev/fd"):
        try:
            kind = os.fstat(int(entry))
            if stat.S_ISSOCK(kind.st_mode):
                with socket.socket(fileno=os.dup(int(entry))) as sock:
                    if sock.family in (socket.AF_INET, socket.AF_INET6):
                        found.add(kind.st_ino)
        except OSError:
            continue  # the folder's own descriptor, closed meanwhile
    return found
