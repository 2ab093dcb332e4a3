"""The HTTP/1.1 client of the request path: POSTs whole bodies, streams answers, keeps connections.

It does what calls to model providers need and no more: no redirects, cookies or other methods, and
no retry but one. A kept connection that its server closed meanwhile is found out only by using it,
so a request that got not one byte back on such a connection is sent again on a new one.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from mmrouter.providers.connection import Connection, Response
from mmrouter.providers.dial import Origin, basic, dial, proxy_for, trust
from mmrouter.providers.wire_errors import ClosedError, TimedOutError

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "expect"}
    | {"te", "trailer", "upgrade", "proxy-authorization", "proxy-connection", "accept-encoding"}
)
"""Headers that frame a message or concern one connection: callers cannot set them."""


class UnsendableError(ValueError):
    """The request cannot be written as HTTP. The message names the header, never its value."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post and what goes with every request, ready to be sent.

    Attributes:
        names: headers that a single request cannot set, lower case.
    """

    origin: Origin
    head: bytes
    names: frozenset[str]


def endpoint(url: str, headers: Mapping[str, str]) -> Endpoint:
    """The endpoint of a URL; the proxy that the environment names for it included.

    Raises:
        UnsendableError: not an absolute http or https URL, a header that HTTP cannot carry, or a
            proxy of a kind that is not spoken here.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        tls = parts.scheme == "https"
        usual = 443 if tls else 80
        port = parts.port or usual
        origin = Origin(tls, host, port, proxy_for(parts.scheme, host, port))
    except ValueError as error:
        raise UnsendableError(str(error)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise UnsendableError("not an absolute http or https URL")
    own = {name.lower(): value for name, value in headers.items()}
    if parts.username is not None and "authorization" not in own:
        own["authorization"] = basic(unquote(parts.username), unquote(parts.password or ""))
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    authority = origin.authority if port != usual else origin.authority.rpartition(":")[0]
    fixed = {"host": authority, "accept": "*/*", "accept-encoding": "identity"}
    if origin.proxy is not None and not tls:
        path = f"http://{authority}{path}"
        if origin.proxy.credentials:
            fixed["proxy-authorization"] = origin.proxy.credentials
    head = f"POST {path} HTTP/1.1\r\n".encode("ascii") + _lines({**fixed, **own}.items())
    return Endpoint(origin, head, _OURS | own.keys())


class Client:
    """Safe for concurrent calls on one loop. Connections are not limited: whoever asks has that
    many calls in flight."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._idle: dict[Origin, dict[Connection, None]] = {}
        self._tls: ssl.SSLContext | None = None

    async def post(
        self, to: Endpoint, body: bytes, by: float, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Sends a request; its answer as soon as the headers are here. Close it.

        Args:
            by: loop time until which the headers must be here, a new connection included.
            headers: of this request alone; those that the endpoint sets are left out.

        Raises:
            ConnectError, ClosedError, ProtocolError, TimedOutError
            UnsendableError: a header that HTTP cannot carry.
        """
        request = to.head
        if headers:
            request += _lines((k, v) for k, v in headers.items() if k.lower() not in to.names)
        request += b"content-length: %d\r\n\r\n%b" % (len(body), body)
        kept = self._kept(to.origin)
        if kept is not None:
            try:
                return await kept.post(request, by)
            except ClosedError as error:
                if error.begun:
                    raise
        fresh = await self._connect(to.origin, by)
        return await fresh.post(request, by)

    async def aclose(self) -> None:
        """Closes every connection, also one in use."""
        going = [connection.closed for connection in self._open]
        for connection in list(self._open):
            connection.abort()
        if going:
            await asyncio.wait(going)

    def _kept(self, origin: Origin) -> Connection | None:
        """The connection that was used last: the others may then grow old and close."""
        idle = self._idle.get(origin)
        while idle:
            connection, _ = idle.popitem()
            if connection.usable():
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin, by: float) -> Connection:
        def released(connection: Connection) -> None:
            self._idle.setdefault(origin, {})[connection] = None

        def lost(connection: Connection) -> None:
            self._open.discard(connection)
            idle = self._idle.get(origin)
            if idle is not None:
                idle.pop(connection, None)
                if not idle:
                    del self._idle[origin]

        def made() -> Connection:
            return Connection(released, lost)

        try:
            async with asyncio.timeout_at(by):
                if origin.tls and self._tls is None:
                    # reads hundreds of certificates, which would stall the loop
                    self._tls = await asyncio.to_thread(trust)
                connection = await dial(origin, self._tls, made)
        except TimeoutError:
            raise TimedOutError("no connection in time") from None
        if not connection.closed.done():
            self._open.add(connection)
        return connection


def _lines(headers: Iterable[tuple[str, str]]) -> bytes:
    lines = ""
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise UnsendableError(f"header {name!r} cannot be sent")
        lines += f"{name}: {value}\r\n"
    return lines.encode("latin-1")
