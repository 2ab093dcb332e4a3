"""Which connections are used again, which are not, and what is sent on them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from mmrouter.providers import connection as connection_module
from mmrouter.providers.wire import Client, UnsendableError, endpoint
from mmrouter.providers.wire_errors import (
    ClosedError,
    ConnectError,
    ProtocolError,
    TimedOutError,
    WireError,
)
from tests.contract.wire.scripted import (
    CHUNKED,
    HELLO,
    LAST,
    Peer,
    Script,
    answering,
    ask,
    leave,
    ok,
    post,
    serving,
    soon,
)

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


async def test_the_request_is_what_it_should_be(client: Client) -> None:
    async with serving(answering(ok())) as server:
        to = endpoint(server.url + "?a=b c", {"Authorization": "Bearer k", "X-Name": "J\xf6rg"})
        given = {"x-one": "1", "authorization": "other", "Content-Length": "7", "Host": "evil"}
        with await client.post(to, b'{"a": 1}', soon(), given) as response:
            assert response.status == 200
    assert server.requests == [
        (
            "POST /v1/chat?a=b%20c HTTP/1.1\r\n"
            f"host: 127.0.0.1:{server.port}\r\n"
            "accept: */*\r\naccept-encoding: identity\r\n"
            "authorization: Bearer k\r\nx-name: J\xf6rg\r\n"
            'x-one: 1\r\ncontent-length: 8\r\n\r\n{"a": 1}'
        ).encode("latin-1")
    ]


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\rb", "a\0b", "\x7f", "€"])
async def test_a_header_cannot_smuggle_another(client: Client, bad: str) -> None:
    async with serving(answering(ok())) as server:
        for name, value in (("x-key", f"secret{bad}"), (f"x{bad}", "secret")):
            with pytest.raises(UnsendableError) as caught:
                endpoint(server.url, {name: value})
            assert "secret" not in str(caught.value)
            with pytest.raises(UnsendableError):
                await post(client, server.url, headers={name: value})
        assert server.connections == 0


@pytest.mark.parametrize(
    ("url", "first", "host"),
    [
        ("http://a.test", "/", "a.test"),
        ("http://a.test:80/x", "/x", "a.test"),
        ("https://a.test:443/x", "/x", "a.test"),
        ("https://a.test:80/x", "/x", "a.test:80"),
        ("http://[::1]:8000/v1", "/v1", "[::1]:8000"),
        ("http://b\xfccher.test/\xe9?q=\xe9 x", "/%C3%A9?q=%C3%A9%20x", "xn--bcher-kva.test"),
        ("http://a.test/x%20y#part", "/x%20y", "a.test"),
        ("http://my_service:8000/", "/", "my_service:8000"),
    ],
)
def test_a_url_becomes_a_request_line_and_a_host(url: str, first: str, host: str) -> None:
    head = endpoint(url, {}).head
    assert head.startswith(f"POST {first} HTTP/1.1\r\nhost: {host}\r\n".encode())


def test_credentials_in_a_url_are_sent_as_a_header_unless_there_is_one() -> None:
    url = "http://us%3Aer:p%40ss@a.test/"
    assert b"authorization: Basic dXM6ZXI6cEBzcw==\r\n" in endpoint(url, {}).head
    assert b"Basic" not in endpoint(url, {"Authorization": "Bearer k"}).head
    assert b"host: a.test\r\n" in endpoint(url, {}).head


@pytest.mark.parametrize(
    "url",
    [
        "",
        "None/chat",
        "ftp://a.test/",
        "http:///x",
        "http://a.test:70000/",
        "http://a.test:x/",
        "http://[::1/",
        f"http://{'a' * 64}.test/",
    ],
)
def test_what_is_no_url_is_said_to_be_none(url: str) -> None:
    with pytest.raises(UnsendableError):
        endpoint(url, {})


async def test_a_connection_is_used_again_and_the_last_one_first(client: Client) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(ok(str(peer.number).encode()))

    async with serving(script) as server:
        first, second = await post(client, server.url), await post(client, server.url)
        second.close()
        first.close()
        for _ in range(5):
            assert await ask(client, server.url) == (200, b"0")
        assert server.connections == 2


async def test_origins_do_not_share_connections(client: Client) -> None:
    async with serving(answering(ok(b"a"))) as a, serving(answering(ok(b"b"))) as b:
        for _ in range(2):
            assert await ask(client, a.url) == (200, b"a")
            assert await ask(client, b.url) == (200, b"b")
        assert (a.connections, b.connections) == (1, 1)


ENDING = {
    "close": ok(b"hello", "Connection: close"),
    "Close among others": ok(b"hello", "Connection: foo, Close"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "no time": ok(b"hello", "Keep-Alive: timeout=1"),
    "more than the answer": ok(b"hello") + b"x",
    "another answer": ok(b"hello") + ok(b"evil"),
    "another's beginning": ok(b"hello") + b"H",
}


@pytest.mark.parametrize("name", ENDING)
async def test_a_connection_that_should_not_be_used_again_is_closed(
    client: Client, name: str
) -> None:
    async with serving(answering(ENDING[name], then=Peer.until_gone)) as server:
        for _ in range(2):
            assert await ask(client, server.url) == (200, b"hello")
            await asyncio.wait_for(server.gone.wait(), 1)
            server.gone.clear()
        assert server.connections == 2


@pytest.mark.parametrize("more", [ok(b"evil"), b"x", b"\r\n"])
@pytest.mark.parametrize("closed", [True, False], ids=["idle", "unclosed"])
async def test_what_comes_unasked_ends_a_connection(
    client: Client, more: bytes, closed: bool
) -> None:
    async def late(peer: Peer) -> None:
        await peer.server.signal.wait()
        await peer.send(more)
        await peer.until_gone()

    async with serving(answering(ok(b"hello"), then=late)) as server:
        for _ in range(2):
            response = await post(client, server.url)
            if closed:
                response.close()
            server.signal.set()
            await asyncio.sleep(0.02)
            response.close()
            await asyncio.wait_for(server.gone.wait(), 1)
            server.gone.clear()
            server.signal.clear()
        assert server.connections == 2


async def test_an_idle_connection_is_closed_in_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "IDLE_S", 0.1)
    async with serving(answering(ok(), then=Peer.until_gone)) as server:
        await ask(client, server.url)
        start = soon(0)
        await asyncio.wait_for(server.gone.wait(), 1)
        assert 0.08 < soon(0) - start < 1


async def test_a_kept_connection_may_wait_longer_for_an_answer_than_it_may_be_idle(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "IDLE_S", 0.1)

    async def slowly(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.2)
        await peer.send(ok(b"hello"))

    async with serving(answering(ok(), then=slowly)) as server:
        await ask(client, server.url)
        assert await ask(client, server.url) == (200, b"hello")
        assert server.connections == 1


async def test_a_connection_closed_while_idle_is_not_tried(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok())

    async with serving(script) as server:
        for _ in range(3):
            await ask(client, server.url)
            await asyncio.sleep(0.02)
        assert (server.connections, len(server.requests)) == (3, 3)


def _second(ending: Callable[[Peer], object], *said: bytes) -> Script:
    """Answers once; on the second request says this and ends. Other connections only answer."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"hello"))
        await peer.request()
        if peer.number == 0:
            await peer.send(*said)
            ending(peer)
        else:
            await peer.send(ok(b"hello"))

    return script


def _fin(peer: Peer) -> None:
    peer.writer.close()


@pytest.mark.parametrize("ending", [_fin, Peer.reset], ids=["FIN", "RST"])
async def test_a_stale_connection_costs_one_more_try(
    client: Client, ending: Callable[[Peer], object]
) -> None:
    async with serving(_second(ending)) as server:
        for _ in range(2):
            assert await ask(client, server.url, b"body") == (200, b"hello")
        assert (server.connections, len(server.requests)) == (2, 3)
        assert len(set(server.requests)) == 1, "the same request was sent again, whole"


async def test_one_byte_of_an_answer_forbids_another_try(client: Client) -> None:
    async with serving(_second(_fin, b"H")) as server:
        await ask(client, server.url)
        with pytest.raises(ClosedError):
            await ask(client, server.url)
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_there_is_no_third_try(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(ok())
            await peer.request()

    async with serving(script) as server:
        await ask(client, server.url)
        with pytest.raises(ClosedError):
            await ask(client, server.url)
        assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_new_connection_is_not_tried_twice(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as server:
        with pytest.raises(ClosedError):
            await ask(client, server.url)
        assert len(server.requests) == 1


async def _hang(peer: Peer) -> None:
    await peer.request()
    await peer.until_gone()


async def test_silence_on_a_kept_connection_is_not_staleness(client: Client) -> None:
    async with serving(answering(ok(), then=_hang)) as server:
        await ask(client, server.url)
        with pytest.raises(TimedOutError):
            await ask(client, server.url, within=0.1)
        assert server.connections == 1


@pytest.mark.parametrize("read", [False, True])
async def test_an_answer_left_early_ends_its_connection(client: Client, read: bool) -> None:
    async with serving(answering(CHUNKED + HELLO, then=Peer.until_gone)) as server:
        with await post(client, server.url) as response:
            if read:
                assert await response.read(soon()) == b"hello"
        await asyncio.wait_for(server.gone.wait(), 1)


async def test_the_end_may_come_after_the_reader_has_gone(client: Client) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(CHUNKED + HELLO)
            await peer.server.signal.wait()
            await peer.send(LAST)

    async with serving(script) as server:
        for _ in range(3):
            response = await post(client, server.url)
            assert await response.read(soon()) == b"hello"
            response.close(linger_s=1)
            server.signal.set()
            await asyncio.sleep(0.02)
            server.signal.clear()
        assert server.connections == 1


async def test_but_it_is_not_waited_for_long(client: Client) -> None:
    async with serving(answering(CHUNKED + HELLO, then=Peer.until_gone)) as server:
        response = await post(client, server.url)
        assert await response.read(soon()) == b"hello"
        response.close(linger_s=0.05)
        await asyncio.wait_for(server.gone.wait(), 1)


async def test_an_answer_that_does_not_wait_for_the_request_is_read(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await peer.server.signal.wait()
        await peer.until_gone()

    async with serving(script) as server:
        assert await ask(client, server.url, b"x" * 30_000_000) == (413, b"no")
        server.signal.set()
        await asyncio.wait_for(server.gone.wait(), 3)


async def test_large_bodies_arrive_whole(client: Client) -> None:
    async with serving(answering(ok())) as server:
        body = bytes(range(256)) * 40_000
        for _ in range(2):
            await ask(client, server.url, body)
        assert all(request.endswith(b"\r\n\r\n" + body) for request in server.requests)
        assert server.connections == 1


CANCELLED = {
    "waiting": b"",
    "in the headers": b"HTTP/1.1 200 OK\r\n",
    "in the body": CHUNKED + HELLO,
}


@pytest.mark.parametrize("name", CANCELLED)
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
async def test_who_is_cancelled_hangs_up_at_once(client: Client, name: str, kept: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CANCELLED[name])
        peer.server.signal.set()
        await peer.until_gone()

    async with serving(answering(ok(), then=script) if kept else script) as server:
        if kept:
            await ask(client, server.url)
        task = asyncio.create_task(ask(client, server.url))
        await server.signal.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait_for(server.gone.wait(), 1)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.connections == 1


async def test_five_hundred_at_once_each_get_their_own_answer(client: Client) -> None:
    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            body = request.rpartition(b"\r\n\r\n")[2]
            await peer.send(CHUNKED + b"%x\r\n%b\r\n" % (len(body), body), LAST)

    async with serving(script) as server:
        for _ in range(2):
            bodies = [f"number {n}".encode() for n in range(500)]
            got = await asyncio.gather(*(ask(client, server.url, b, within=20) for b in bodies))
            assert got == [(200, body) for body in bodies]
        assert server.connections <= 500
        await client.aclose()


async def test_closing_ends_idle_and_busy_connections(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + HELLO + (LAST if peer.number else b""))
        await peer.until_gone()
        gone.append(peer.number)

    gone: list[int] = []
    async with serving(script) as server:
        response = await post(client, server.url)
        assert await response.read(soon()) == b"hello"
        await ask(client, server.url)
        await client.aclose()
        with pytest.raises(WireError):
            await response.read(soon())
        await asyncio.sleep(0.05)
        assert sorted(gone) == [0, 1]


async def _nonsense(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"what?\r\n\r\n")
    await peer.until_gone()


async def test_an_error_ends_a_kept_connection(client: Client) -> None:
    async with serving(answering(ok(), then=_nonsense)) as server:
        await ask(client, server.url)
        with pytest.raises(ProtocolError):
            await ask(client, server.url)
        assert await ask(client, server.url) == (200, b"hello")
        assert server.connections == 2


async def test_a_refused_connection_is_an_error_of_its_own(client: Client) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(ConnectError, match="ConnectionRefusedError"):
            await ask(client, f"http://127.0.0.1:{sock.getsockname()[1]}/")


def _resolving(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Every name in .test now has these ports of this machine as its addresses, or none."""
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **kind: int) -> list[Any]:
        if not host.endswith(".test"):
            return await real(host, port, **kind)
        if not ports:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        tcp = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*tcp, ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


class _Deaf:
    """A port that answers no SYN: its queue is full."""

    def __enter__(self) -> int:
        self.sockets = [socket.socket()]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.sockets[0].listen(0)
        port: int = self.sockets[0].getsockname()[1]
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
            self.sockets.append(waiting)
        return port

    def __exit__(self, *_: object) -> None:
        for sock in self.sockets:
            sock.close()


async def test_an_address_that_does_not_answer_holds_up_the_next_only_briefly(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(ok(b"hello"), then=leave)) as server:
        with _Deaf() as deaf:
            _resolving(monkeypatch, deaf, server.port)
            start = soon(0)
            assert await ask(client, "http://both.test/") == (200, b"hello")
            assert 0.2 < soon(0) - start < 2
            await asyncio.sleep(0.02)
            assert asyncio.all_tasks() == {asyncio.current_task()}, "the other try has ended"


async def test_an_address_that_refuses_does_not_hold_up_the_next(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(ok(b"hello"))) as server:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            _resolving(monkeypatch, sock.getsockname()[1], server.port)
            start = soon(0)
            assert await ask(client, "http://both.test/") == (200, b"hello")
            assert soon(0) - start < 0.2


@pytest.mark.parametrize("how", ["time", "cancel"])
async def test_connecting_ends_when_it_should(
    client: Client, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with _Deaf() as one, _Deaf() as two:
        _resolving(monkeypatch, one, two)
        task = asyncio.create_task(ask(client, "http://deaf.test/", within=0.4))
        if how == "cancel":
            await asyncio.sleep(0.3)
            task.cancel()
        with pytest.raises(asyncio.CancelledError if how == "cancel" else TimedOutError):
            await task


async def test_a_name_without_an_address_is_an_error_of_its_own(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolving(monkeypatch)
    with pytest.raises(ConnectError, match="gaierror"):
        await ask(client, "http://nowhere.test/")
