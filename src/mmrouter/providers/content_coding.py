"""Compressed bodies, for upstreams that compress although `identity` was asked for."""

from __future__ import annotations

import zlib

from mmrouter.providers.wire_errors import ProtocolError

_MOST_AT_ONCE = 256 * 1024
"""A small body can unfold to gigabytes: no more than this many bytes are made of it at a time."""

_GZIP, _ZLIB, _RAW = 31, 15, -15


class Inflater:
    """Unfolds one gzip or deflate body (RFC 9110, 8.4.1).

    Args:
        coding: the value of `Content-Encoding`.

    Attributes:
        pending: `feed(b"")` may give more.

    Raises:
        ProtocolError: another coding, or more than one.
    """

    def __init__(self, coding: str) -> None:
        name = coding.strip().lower()
        if name not in ("gzip", "x-gzip", "deflate"):
            raise ProtocolError("a content encoding that was not asked for")
        self._gzip = name != "deflate"
        self._inflate: zlib._Decompress | None = None
        self.pending = False

    @property
    def finished(self) -> bool:
        """What came is whole; so is a body of no bytes at all."""
        return self._inflate is None or self._inflate.eof

    def feed(self, data: bytes) -> bytes:
        """The next bytes; may be empty though the body goes on.

        Raises:
            ProtocolError: not what the coding says.
        """
        if self._inflate is None:
            # "deflate" means zlib, but there are servers that send it raw
            plain = _ZLIB if data[0] & 0x0F == zlib.DEFLATED else _RAW
            self._inflate = zlib.decompressobj(_GZIP if self._gzip else plain)
        inflate = self._inflate
        try:
            piece = inflate.decompress(inflate.unconsumed_tail + data, _MOST_AT_ONCE)
        except zlib.error:
            raise ProtocolError("the compressed body is damaged") from None
        if inflate.unused_data:
            raise ProtocolError("more follows the end of the compressed body")
        self.pending = bool(inflate.unconsumed_tail) or len(piece) == _MOST_AT_ONCE
        return piece
