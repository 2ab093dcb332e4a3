"""Server-sent events, read without losing a byte (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")

MAX_EVENT_BYTES = 16 * 1024 * 1024


class EventTooLargeError(ValueError):
    """One event is longer than `MAX_EVENT_BYTES`: nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event: `raw` is what arrived, its blank line included; `data` is the payload."""

    raw: bytes
    data: bytes


class SseParser:
    """Cuts a byte stream into events, wherever the chunks were split."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, chunk: bytes) -> Iterator[SseEvent]:
        """Events that this chunk completes.

        Raises:
            EventTooLargeError: an event exceeds `MAX_EVENT_BYTES`.
        """
        alone = chunk.endswith(b"\n\n") and chunk.count(b"\n\n") == 1 and b"\r" not in chunk
        if alone and not self._buffer:
            yield SseEvent(chunk, _data(chunk))  # by far the most frequent case
            return
        buffer = self._buffer
        buffer += chunk
        start = 0
        while (end := _BLANK_LINE.search(buffer, max(start, self._scanned))) is not None:
            raw = bytes(buffer[start : end.end()])
            start = self._scanned = end.end()
            yield SseEvent(raw, _data(raw))
        del buffer[:start]
        # a blank line is at most four bytes: one may begin in the last three that were seen
        self._scanned = max(0, len(buffer) - 3)
        if len(buffer) > MAX_EVENT_BYTES:
            buffer.clear()
            raise EventTooLargeError(f"an event is longer than {MAX_EVENT_BYTES} bytes")

    def close(self) -> Iterator[SseEvent]:
        """The stream ended: what stands after the last blank line is an event that it completes."""
        raw = bytes(self._buffer)
        self._buffer.clear()
        if raw.strip():
            yield SseEvent(raw + b"\n\n", _data(raw))


def _data(raw: bytes) -> bytes:
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
        return raw[6:-2]
    return b"\n".join(
        line[6:] if line[5:6] == b" " else line[5:]
        for line in _LINE_END.split(raw)
        if line.startswith(b"data:")
    )
