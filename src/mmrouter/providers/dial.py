"""From a host's name to an open socket: addresses, a proxy on the way, TLS."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from mmrouter.providers.connection import Connection
from mmrouter.providers.wire_errors import ConnectError

_HEAD_START_S = 0.25
"""How long an address is tried alone before the next joins in (RFC 8305, section 5)."""

_MAX_PROXY_HEAD_BYTES = 16 * 1024
_PROXY_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")

_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. `credentials`: the value of `Proxy-Authorization`, or None."""

    host: str
    port: int
    credentials: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections lead; those to equal origins are interchangeable.

    Attributes:
        host: ASCII, without brackets.
        proxy: it is reached through this one.
    """

    tls: bool
    host: str
    port: int
    proxy: Proxy | None

    @property
    def authority(self) -> str:
        """Host and port, as CONNECT names them."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name for a host.

    Where none of them is set, macOS and Windows are asked. This machine is never reached through a
    proxy.

    Raises:
        ValueError: the proxy is of a kind that is not spoken here.
    """
    proxies = getproxies()
    url = proxies.get(scheme) or proxies.get("all")
    if not url or _is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{scheme.upper()}_PROXY names no http:// proxy")
    credentials = None
    if parts.username is not None:
        credentials = basic(unquote(parts.username), unquote(parts.password or ""))
    return Proxy(parts.hostname, parts.port or 80, credentials)


def basic(user: str, password: str) -> str:
    """Credentials as RFC 7617 has them."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def trust() -> ssl.SSLContext:
    """The system's certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(
    origin: Origin, tls: ssl.SSLContext | None, make: Callable[[], Connection]
) -> Connection:
    """Connects to an origin.

    Args:
        tls: needed where the origin is.

    Raises:
        ConnectError
    """
    loop = asyncio.get_running_loop()
    try:
        if origin.proxy is None:
            sock = await _connect(origin.host, origin.port)
        else:
            sock = await _connect(origin.proxy.host, origin.proxy.port)
            if origin.tls:
                await _tunnel(sock, origin, origin.proxy)
        name = origin.host.rstrip(".") if origin.tls else None
        _, connection = await loop.create_connection(
            make, sock=sock, ssl=tls if origin.tls else None, server_hostname=name
        )
    except ssl.SSLCertVerificationError as error:
        raise ConnectError(f"its certificate is not trusted: {error.verify_message}") from None
    except OSError as error:
        raise ConnectError(type(error).__name__) from None
    return connection


async def _connect(host: str, port: int) -> socket.socket:
    """A socket to the first address that answers, IPv6 and IPv4 in turn (RFC 8305)."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    attempts: set[asyncio.Task[socket.socket]] = set()
    error: BaseException = OSError("no address")
    try:
        for address in chain(_interleaved(found), [None]):
            if address is not None:
                attempts.add(loop.create_task(_attempt(address)))
            while attempts:
                wait_s = None if address is None else _HEAD_START_S
                done, _ = await asyncio.wait(
                    attempts, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
                )
                for attempt in done:
                    attempts.discard(attempt)
                    if (failure := attempt.exception()) is None:
                        attempts |= done - {attempt}
                        return attempt.result()
                    error = failure
                if address is not None:
                    break
        raise error
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_drop)


async def _attempt(address: _Address) -> socket.socket:
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        # a request in two pieces would otherwise wait for the first one's ACK
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


def _drop(attempt: asyncio.Task[socket.socket]) -> None:
    """Closes what an attempt that came too late has opened."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _interleaved(found: Iterable[_Address]) -> list[_Address]:
    """The addresses in the resolver's order, but with the families in turn."""
    families: dict[int, list[_Address]] = {}
    for address in found:
        families.setdefault(address[0], []).append(address)
    return [a for turn in zip_longest(*families.values()) for a in turn if a is not None]


async def _tunnel(sock: socket.socket, origin: Origin, proxy: Proxy) -> None:
    """Has the proxy connect this socket with the origin (RFC 9110, 9.3.6)."""
    loop = asyncio.get_running_loop()
    request = f"CONNECT {origin.authority} HTTP/1.1\r\nhost: {origin.authority}\r\n"
    if proxy.credentials:
        request += f"proxy-authorization: {proxy.credentials}\r\n"
    try:
        await loop.sock_sendall(sock, f"{request}\r\n".encode("ascii"))
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await loop.sock_recv(sock, 4096)
            head += piece
            if not piece or len(head) > _MAX_PROXY_HEAD_BYTES:
                raise ConnectError("the proxy did not answer")
        status = _PROXY_STATUS.match(head)
        if status is None:
            raise ConnectError("the proxy did not answer in HTTP")
        if status[1] != b"200":
            raise ConnectError(f"the proxy answered {status[1].decode()}")
        if not head.endswith(b"\r\n\r\n"):
            raise ConnectError("the proxy sent more than its answer")
    except BaseException:
        sock.close()
        raise


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
