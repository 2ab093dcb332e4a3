"""One exchange: how an answer may be framed, cut to pieces, malformed or broken off."""

from __future__ import annotations

import asyncio
import gc
import gzip
import itertools
import socket
import weakref
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrouter.providers.connection import HIGH_WATER_BYTES, MAX_HEAD_BYTES, Connection
from mmrouter.providers.wire import Client
from mmrouter.providers.wire_errors import (
    ClosedError,
    ProtocolError,
    TimedOutError,
    TruncatedError,
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
    body_of,
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

HEAD = b"HTTP/1.1 200 OK\r\n"


def _deflated(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


WHOLE: dict[str, tuple[bytes, int, bytes]] = {
    "content-length": (ok(b"hello"), 200, b"hello"),
    "no body": (ok(b""), 200, b""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "error": (b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno", 503, b"no"),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
    "chunked": (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, b"hello"),
    "chunk extensions": (CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n', 200, b"hello"),
    "trailers": (CHUNKED + HELLO + b"0\r\nA: b\r\nConnection: close\r\n\r\n", 200, b"hello"),
    "upper case size": (CHUNKED + b"0A\r\n" + b"x" * 10 + b"\r\n000\r\n\r\n", 200, b"x" * 10),
    "space after size": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 200, b"hello"),
    "bare LF": (b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello", 200, b"hello"),
    "leading CRLF": (b"\r\n" + ok(b"hello"), 200, b"hello"),
    "empty header": (HEAD + b"A:\r\nB: \r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + ok(b"hello"), 200, b"hello"),
    "hints": (b"HTTP/1.1 103 Hints\r\ncontent-length: 7\r\n\r\n" + ok(b"hello"), 200, b"hello"),
    "gzip": (ok(gzip.compress(b"hello"), "content-encoding: gzip"), 200, b"hello"),
    "x-gzip": (ok(gzip.compress(b"hello"), "content-encoding: X-GZIP"), 200, b"hello"),
    "deflate": (ok(_deflated(b"hello", 15), "content-encoding: deflate"), 200, b"hello"),
    "raw deflate": (ok(_deflated(b"hello", -15), "content-encoding: deflate"), 200, b"hello"),
    "empty gzip": (ok(b"", "content-encoding: gzip"), 200, b""),
    "identity": (ok(b"hello", "content-encoding: identity"), 200, b"hello"),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_is_the_same_however_it_is_cut(client: Client, name: str) -> None:
    raw, status, body = WHOLE[name]

    async def script(peer: Peer) -> None:
        for cut in range(1, len(raw) + 1):
            await peer.request()
            await peer.send(raw[:cut], raw[cut:])
        await peer.request()
        await peer.send(*(raw[i : i + 1] for i in range(len(raw))))
        await peer.until_gone()

    async with serving(script) as server:
        for _ in range(len(raw) + 1):
            assert await ask(client, server.url) == (status, body)
        assert server.connections == 1, "every one of them leaves a connection to use again"


UNTIL_CLOSE = {
    "1.1": (HEAD + b"\r\nhello", b"hello"),
    "1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
    "gzip": (HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"hello"), b"hello"),
}


@pytest.mark.parametrize("name", UNTIL_CLOSE)
async def test_a_body_may_end_with_the_connection(client: Client, name: str) -> None:
    raw, body = UNTIL_CLOSE[name]

    async def bytewise(peer: Peer) -> None:
        await peer.request()
        await peer.send(*(raw[i : i + 1] for i in range(len(raw))))

    for script in (bytewise, answering(raw, then=leave)):
        async with serving(script) as server:
            assert await ask(client, server.url) == (200, body)


@settings(max_examples=60, deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_any_chunks_cut_anywhere_come_out_whole(chunks: list[bytes], cuts: list[int]) -> None:
    raw = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + LAST
    edges = [0, *sorted(min(c, len(raw)) for c in cuts), len(raw)]

    async def scenario() -> bytes:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(lambda _: None, lambda _: None), sock=ours
        )
        asking = asyncio.create_task(connection.post(b"x", soon()))
        with theirs:
            for start, stop in itertools.pairwise(edges):
                theirs.sendall(raw[start:stop])
                await asyncio.sleep(0)
            with await asking as response:
                body = await body_of(response)
            connection.abort()
            await connection.closed
        return body

    assert asyncio.run(scenario()) == b"".join(chunks)


async def test_headers_are_found_in_lower_case_and_repeated_ones_are_joined(
    client: Client,
) -> None:
    raw = ok(b"", "X-RateLimit-Left: 7", "Via: a", "via: b")
    async with serving(answering(raw)) as server:
        with await post(client, server.url) as response:
            assert response.headers["x-ratelimit-left"] == "7"
            assert response.headers["via"] == "a, b"


MALFORMED: dict[str, bytes] = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x16",
    "status 101": b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    "status 042": b"HTTP/1.1 042 What\r\ncontent-length: 0\r\n\r\n",
    "status letters": b"HTTP/1.1 2xx OK\r\n\r\n",
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "length and chunks": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
    "negative length": HEAD + b"content-length: -1\r\n\r\n",
    "endless length": HEAD + b"content-length: 99999999999999999999999\r\n\r\n",
    "words for length": HEAD + b"content-length: two\r\n\r\nhi",
    "gzip transfer": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity transfer": HEAD + b"transfer-encoding: identity\r\n\r\nhi",
    "chunk size": CHUNKED + b"zz\r\n",
    "chunk size overflow": CHUNKED + b"fffffffffffffffff\r\n",
    "chunk longer than said": CHUNKED + b"2\r\nhello\r\n0\r\n\r\n",
    "NUL in header": HEAD + b"a: b\x00c\r\n\r\n",
    "space in name": HEAD + b"a b: c\r\n\r\n",
    "space before colon": HEAD + b"content-length : 2\r\n\r\nhi",
    "folded header": HEAD + b"a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
    "long header": HEAD + b"a: " + b"x" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "many headers": HEAD + b"a: bcdefghi\r\n" * 20_000 + b"content-length: 0\r\n\r\n",
    "brotli": ok(b"hello", "content-encoding: br"),
    "twice gzip": ok(b"hello", "content-encoding: gzip, gzip"),
    "damaged gzip": ok(b"hello", "content-encoding: gzip"),
    "two gzip members": ok(gzip.compress(b"a") + gzip.compress(b"b"), "content-encoding: gzip"),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_not_an_answer_is_refused(client: Client, name: str) -> None:
    async with serving(answering(MALFORMED[name], then=Peer.until_gone)) as server:
        with pytest.raises(ProtocolError):
            await ask(client, server.url)
        await asyncio.wait_for(server.gone.wait(), 1)
        assert server.connections == 1, "it is not asked again"


ENDLESS = {
    "status line": (b"", b"HTTP/1.1 200 " + b"x" * 1000),
    "one header": (HEAD + b"a: ", b"x" * 1000),
    "headers": (HEAD, b"a: " + b"x" * 1000 + b"\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
    "trailers": (CHUNKED + HELLO + b"0\r\n", b"a: " + b"x" * 1000 + b"\r\n"),
    "one trailer": (CHUNKED + HELLO + b"0\r\na: ", b"x" * 1000),
    "chunk extension": (CHUNKED + HELLO + b"2;", b"x" * 1000),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_never_ends_is_not_collected(client: Client, name: str) -> None:
    start, more = ENDLESS[name]
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(start)
        while not peer.reader.at_eof():
            await peer.send(more)
            sent += len(more)

    async with serving(script) as server:
        with pytest.raises(ProtocolError):
            await ask(client, server.url)
        assert sent < 4 * MAX_HEAD_BYTES + 2**20, "at most what the sockets hold besides"


async def _reset(peer: Peer) -> None:
    await asyncio.sleep(0.02)  # a RST would overtake what was not read yet
    peer.reset()


@pytest.mark.parametrize("ending", [leave, _reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("raw", [ok(b"hello"), CHUNKED + HELLO + LAST], ids=["length", "chunked"])
async def test_a_connection_that_ends_early_says_how_far_it_came(
    client: Client, raw: bytes, ending: Script
) -> None:
    head = raw.index(b"\r\n\r\n") + 4
    cut = 0

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(raw[:cut])
        await ending(peer)

    async with serving(script) as server:
        for cut in range(0, len(raw), 1 if ending is leave else 9):
            with pytest.raises(WireError) as caught:
                await ask(client, server.url)
            if cut < head:
                assert isinstance(caught.value, ClosedError)
                assert caught.value.begun == (cut > 0)
            else:
                assert type(caught.value) is TruncatedError
        assert len(server.requests) == server.connections, "nothing was sent twice"


async def test_what_came_before_the_cut_can_be_read(client: Client) -> None:
    async with serving(answering(CHUNKED + HELLO, then=leave)) as server:
        with await post(client, server.url) as response:
            assert await response.read(soon()) == b"hello"
            with pytest.raises(TruncatedError):
                await response.read(soon())


async def test_the_end_of_a_body_stays_the_end(client: Client) -> None:
    async with serving(answering(ok(b"hello"))) as server:
        with await post(client, server.url) as response:
            assert await body_of(response) == b"hello"
            assert await response.read(soon()) == b""


PACKED = gzip.compress(b"hello" * 99)[:-6]


@pytest.mark.parametrize(
    ("raw", "then"),
    [
        (HEAD + b"content-encoding: gzip\r\n\r\n" + PACKED, leave),
        (ok(PACKED, "content-encoding: gzip"), Peer.until_gone),
    ],
    ids=["until close", "length"],
)
async def test_a_cut_compressed_body_is_not_taken_for_whole(
    client: Client, raw: bytes, then: Script
) -> None:
    async with serving(answering(raw, then=then)) as server:
        with pytest.raises(TruncatedError):
            await ask(client, server.url)
        if then is not leave:
            await asyncio.wait_for(server.gone.wait(), 1)


SILENT = {
    "at once": b"",
    "in the headers": b"HTTP/1.1 200 OK\r\ncontent-le",
    "after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "in a body": HEAD + b"content-length: 9\r\n\r\nhello",
    "in a chunk": CHUNKED + b"9\r\nhello",
    "between chunks": CHUNKED + HELLO,
    "before the close": HEAD + b"\r\nhello",
}


@pytest.mark.parametrize("name", SILENT)
async def test_silence_ends_at_its_time_and_closes_the_socket(client: Client, name: str) -> None:
    async with serving(answering(SILENT[name], then=Peer.until_gone)) as server:
        start = soon(0)
        with pytest.raises(TimedOutError):
            await ask(client, server.url, within=0.1)
        assert 0.09 < soon(0) - start < 1
        await asyncio.wait_for(server.gone.wait(), 1)


async def test_a_slow_answer_comes_whole_while_each_piece_is_in_time(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for byte in CHUNKED + HELLO + LAST:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0.004)

    async with serving(script) as server:
        with await post(client, server.url, within=2) as response:
            assert await body_of(response, within=0.5) == b"hello"


async def test_a_reader_that_is_slow_slows_the_sender(client: Client) -> None:
    size, sent = 30_000_000, 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
        while sent < size:
            await peer.send(b"x" * 50_000)
            sent += 50_000

    async with serving(script) as server:
        with await post(client, server.url) as response:
            before = -1
            while before < sent:
                before = sent
                await asyncio.sleep(0.05)
            assert sent < size / 2, "the sockets' buffers are full, and nothing else"
            longest, total = 0, 0
            while part := await response.read(soon()):
                longest, total = max(longest, len(part)), total + len(part)
        assert total == size
        assert longest <= 3 * HIGH_WATER_BYTES


async def test_a_small_body_that_unfolds_to_much_is_given_in_small_pieces(client: Client) -> None:
    size = 20_000_000
    raw = ok(gzip.compress(bytes(size), 1), "content-encoding: gzip")
    async with serving(answering(raw)) as server:
        with await post(client, server.url) as response:
            longest, total = 0, 0
            while part := await response.read(soon()):
                longest, total = max(longest, len(part)), total + len(part)
    assert (total, longest <= 2**18) == (size, True)


async def test_no_answer_has_to_wait_for_the_garbage_collector(client: Client) -> None:
    async with serving(answering(ok())) as server:
        gc.disable()
        try:
            response = await post(client, server.url)
            await body_of(response)
            response.close()
            left = weakref.ref(response)
            del response
            assert left() is None
        finally:
            gc.enable()
