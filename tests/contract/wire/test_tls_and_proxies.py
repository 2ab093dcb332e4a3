"""TLS with an authority made for the test, and proxies that the environment names."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from mmrouter.providers.wire import Client, UnsendableError, endpoint
from mmrouter.providers.wire_errors import ConnectError, TimedOutError, TruncatedError
from tests.contract.wire.scripted import (
    CHUNKED,
    HELLO,
    LAST,
    Peer,
    Script,
    answering,
    ask,
    body_of,
    ok,
    post,
    serving,
    soon,
)

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]

Tls = Callable[..., ssl.SSLContext]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tls:
    """A server's context for these names; the client trusts whom `SSL_CERT_FILE` names."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    def context(*names: str) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(made)
        made.set_alpn_protocols(["h2", "http/1.1"])
        return made

    return context


async def test_calls_over_tls_share_a_connection(client: Client, tls: Tls) -> None:
    chosen: list[str | None] = []

    async def script(peer: Peer) -> None:
        chosen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        while True:
            await peer.request()
            await peer.send(*(bytes([b]) for b in CHUNKED + HELLO + LAST))

    async with serving(script, tls=tls()) as server:
        for _ in range(3):
            assert await ask(client, server.url) == (200, b"hello")
        assert (server.connections, chosen) == (1, ["http/1.1"])


async def test_the_server_learns_the_name_that_was_asked_for(client: Client, tls: Tls) -> None:
    names: list[str | None] = []
    context = tls()
    context.sni_callback = lambda _, name, __: names.append(name)
    async with serving(answering(ok(b"hello")), tls=context) as server:
        assert await ask(client, server.url.replace("127.0.0.1", "localhost")) == (200, b"hello")
        assert names == ["localhost"]


async def test_another_authority_is_not_trusted(client: Client, tls: Tls) -> None:
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(stranger)
    async with serving(answering(ok()), tls=stranger) as server:
        with pytest.raises(ConnectError, match="certificate is not trusted"):
            await ask(client, server.url)
        assert not server.requests


async def test_another_name_is_not_trusted(client: Client, tls: Tls) -> None:
    async with serving(answering(ok()), tls=tls("other.test")) as server:
        with pytest.raises(ConnectError, match="certificate is not trusted"):
            await ask(client, server.url)
        assert not server.requests


async def test_a_server_without_tls_is_an_error_of_connecting(client: Client, tls: Tls) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.until_gone()

    async with serving(script) as server:
        with pytest.raises(ConnectError, match="SSLError"):
            await ask(client, server.url.replace("http:", "https:"))


@pytest.mark.parametrize("how", ["time", "cancel"])
async def test_a_handshake_that_hangs_ends_when_it_should(
    client: Client, tls: Tls, how: str
) -> None:
    async with serving(Peer.until_gone) as server:
        task = asyncio.create_task(ask(client, server.url.replace("http:", "https:"), within=0.5))
        if how == "cancel":
            await asyncio.sleep(0.3)
            task.cancel()
        with pytest.raises(asyncio.CancelledError if how == "cancel" else TimedOutError):
            await task
        await asyncio.wait_for(server.gone.wait(), 1)


async def test_who_is_cancelled_over_tls_hangs_up_at_once(client: Client, tls: Tls) -> None:
    script = answering(CHUNKED + HELLO, then=Peer.until_gone)
    async with serving(script, tls=tls()) as server:
        begun = asyncio.Event()

        async def reading() -> None:
            with await post(client, server.url) as response:
                assert await response.read(soon()) == b"hello"
                begun.set()
                await response.read(soon())

        task = asyncio.create_task(reading())
        await begun.wait()
        task.cancel()
        await asyncio.wait_for(server.gone.wait(), 1)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_large_bodies_go_both_ways_and_a_slow_reader_slows_the_sender(
    client: Client, tls: Tls
) -> None:
    size, sent = 20_000_000, 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        request = await peer.request()
        assert request.endswith(b"y" * 3_000_000)
        await peer.send(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
        while sent < size:
            await peer.send(b"x" * 50_000)
            sent += 50_000

    async with serving(script, tls=tls()) as server:
        with await post(client, server.url, b"y" * 3_000_000) as response:
            before = -1
            while before < sent:
                before = sent
                await asyncio.sleep(0.05)
            assert sent < size / 2
            assert len(await body_of(response)) == size


async def test_a_body_cut_off_under_tls_is_not_whole(client: Client, tls: Tls) -> None:
    async def abort(peer: Peer) -> None:
        peer.writer.transport.abort()

    async with serving(answering(CHUNKED + HELLO, then=abort), tls=tls()) as server:
        with pytest.raises(TruncatedError):
            await ask(client, server.url)


NAME = "upstream.test"
"""Known to the proxy alone: whoever reaches it went through the proxy."""


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


def proxying(heads: list[bytes], port: int) -> Script:
    """A CONNECT proxy for one port of this machine, whatever name it is asked for."""

    async def script(peer: Peer) -> None:
        heads.append(await peer.reader.readuntil(b"\r\n\r\n"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.send(b"HTTP/1.1 200 Connection established\r\nvia: a\r\n\r\n")
        ways = [
            asyncio.ensure_future(_pumped(peer.reader, writer)),
            asyncio.ensure_future(_pumped(reader, peer.writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            writer.transport.abort()

    return script


async def test_a_proxy_carries_plain_http(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(ok(b"hello"))) as proxy:
        monkeypatch.setenv("http_proxy", f"http://us:p%40ss@127.0.0.1:{proxy.port}")
        for _ in range(2):
            assert await ask(client, f"http://{NAME}:8080/v1?a=b") == (200, b"hello")
        assert proxy.connections == 1
        head = proxy.requests[0]
        assert head.startswith(b"POST http://upstream.test:8080/v1?a=b HTTP/1.1\r\n")
        assert b"\r\nhost: upstream.test:8080\r\n" in head
        assert b"\r\nproxy-authorization: Basic dXM6cEBzcw==\r\n" in head


async def test_a_proxy_carries_tls_without_seeing_into_it(
    client: Client, tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []
    async with (
        serving(answering(ok(b"hello")), tls=tls(NAME)) as server,
        serving(proxying(heads, server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"us:pw@127.0.0.1:{proxy.port}")
        for _ in range(2):
            assert await ask(client, f"https://{NAME}/v1") == (200, b"hello")
        assert (proxy.connections, server.connections) == (1, 1)
        assert heads == [
            b"CONNECT upstream.test:443 HTTP/1.1\r\nhost: upstream.test:443\r\n"
            b"proxy-authorization: Basic dXM6cHc=\r\n\r\n"
        ]
        assert b"proxy-authorization" not in server.requests[0]
        await client.aclose()


REFUSING = {
    "status": b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno",
    "not HTTP": b"\x05\x00\r\n\r\n",
    "nothing": b"",
    "half": b"HTTP/1.1 200 OK\r\n",
    "endless": b"HTTP/1.1 200 OK\r\na: " + b"x" * 100_000,
    "more": b"HTTP/1.1 200 OK\r\n\r\nHTTP",
}


@pytest.mark.parametrize("name", REFUSING)
async def test_a_proxy_that_will_not_is_an_error_of_connecting(
    client: Client, tls: Tls, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(REFUSING[name])

    async with serving(script) as proxy:
        monkeypatch.setenv("https_proxy", f"http://us:secret@127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectError) as caught:
            await ask(client, f"https://{NAME}/v1")
        assert ("407" in str(caught.value)) == (name == "status")
        assert not re.search(r"secret|127\.0", str(caught.value))


@pytest.mark.parametrize("how", ["time", "cancel"])
async def test_a_proxy_that_hangs_is_left_in_time(
    client: Client, tls: Tls, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async with serving(Peer.until_gone) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        task = asyncio.create_task(ask(client, f"https://{NAME}/", within=0.5))
        if how == "cancel":
            await asyncio.sleep(0.3)
            task.cancel()
        with pytest.raises(asyncio.CancelledError if how == "cancel" else TimedOutError):
            await task
        await asyncio.wait_for(proxy.gone.wait(), 1)


@pytest.mark.parametrize(
    ("url", "proxied"),
    [
        ("https://upstream.test/", True),
        ("http://upstream.test/", True),
        ("https://api.corp.test/", False),
        ("https://corp.test:8443/", False),
        ("https://notcorp.test/", True),
        ("http://localhost:8000/", False),
        ("http://127.0.0.1:11434/", False),
        ("http://[::1]:8000/", False),
        ("http://10.0.0.7:8000/", True),
    ],
)
def test_some_hosts_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch, url: str, proxied: bool
) -> None:
    monkeypatch.setenv("all_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "corp.test, .corp.test")
    assert (endpoint(url, {}).origin.proxy is not None) == proxied


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "https://127.0.0.1:3128"])
def test_another_kind_of_proxy_is_named_not_ignored(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("https_proxy", url)
    with pytest.raises(UnsendableError, match="HTTPS_PROXY"):
        endpoint("https://upstream.test/", {})
