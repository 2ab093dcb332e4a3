"""Server-sent events, however they are cut, broken or oversized."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.providers.sse import MAX_EVENT_BYTES, EventTooLargeError, SseParser

_LINES = st.one_of(
    st.sampled_from(
        [b"data: [DONE]", b"data:", b"data", b": ping", b"id: 7", b"event: x", b"retry: 1", b""]
    ),
    st.binary(max_size=12).map(lambda payload: b"data: " + payload),
    st.text(max_size=8).map(lambda text: f"data:{text}".encode()),
    st.binary(max_size=6),
)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r"])
_STREAMS = st.lists(st.tuples(_LINES, _ENDS), max_size=12).map(
    lambda pairs: b"".join(line + end for line, end in pairs)
)


def _parse(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    """The payloads that are not empty, and all that came out."""
    parser = SseParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    events += parser.close()
    return [e.data for e in events if e.data], b"".join(e.raw for e in events)


def _by_the_book(stream: bytes) -> list[bytes]:
    """The payloads, read line by line as the standard says."""
    payloads: list[bytes] = []
    data: list[bytes] = []
    for line in [*re.split(rb"\r\n|\n|\r", stream), b""]:
        if not line:
            payloads.append(b"\n".join(data))
            data = []
        elif line.startswith(b"data:"):
            value = line[5:]
            data.append(value[1:] if value.startswith(b" ") else value)
    return [payload for payload in payloads if payload]


def _cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


@given(_STREAMS, st.lists(st.integers(min_value=0), max_size=6))
def test_any_stream_is_read_by_the_book_wherever_it_is_cut(
    stream: bytes, places: list[int]
) -> None:
    data, raw = _parse(_cut(stream, places))
    assert data == _by_the_book(stream)
    assert raw.startswith(stream.rstrip(b"\r\n")), "no byte is lost or changed"
    assert raw.strip(b"\r\n") == stream.strip(b"\r\n")


@given(_STREAMS)
def test_a_cut_at_every_byte_changes_nothing(stream: bytes) -> None:
    data, raw = _parse([stream[i : i + 1] for i in range(len(stream))])
    assert data == _by_the_book(stream)
    assert raw.strip(b"\r\n") == stream.strip(b"\r\n")


def test_a_real_stream_cut_at_every_place() -> None:
    stream = (
        'data: {"a":"é😀"}\r\n\r\n: ping\n\nevent: x\rdata: 1\rdata:2\r\rdata: [DONE]\n\n'.encode()
    )
    whole = _parse([stream])
    assert whole[0] == ['{"a":"é😀"}'.encode(), b"1\n2", b"[DONE]"]
    for place in range(len(stream)):
        assert _parse([stream[:place], stream[place:]])[0] == whole[0]


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=4))
def test_noise_never_raises_nor_vanishes(noise: bytes, places: list[int]) -> None:
    data, raw = _parse(_cut(noise, places))
    assert data == _by_the_book(noise)
    assert raw.strip() == noise.strip()


def test_an_event_just_under_the_limit_passes_and_one_over_it_is_refused() -> None:
    piece = b"x" * (1024 * 1024)
    parser = SseParser()
    assert list(parser.feed(b"data: ")) == []
    for _ in range(15):
        assert list(parser.feed(piece)) == []
    [event] = parser.feed(piece[:-8] + b"\n\n")
    assert len(event.raw) == MAX_EVENT_BYTES
    list(parser.feed(b"data: "))
    with pytest.raises(EventTooLargeError):
        for _ in range(17):
            list(parser.feed(piece))
    assert list(parser.close()) == [], "nothing of it is kept"
