"""Keeps other people's web pages away from a server without a key.

A page that somebody opens in a browser can post to 127.0.0.1 (its `Origin` gives it away), and can
point a name of its own at 127.0.0.1 (DNS rebinding; its `Host` gives it away). No CORS header is
ever sent, so that a page of another origin can read nothing either.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from mmrouter.server.refusals import ForbiddenError


def is_loopback(host: str) -> bool:
    """The name or address, without port, means this machine only."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Origins:
    """Whose requests are answered.

    Args:
        allowed: host names besides loopback (`server.allowed_hosts`).
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)
        self._known: set[bytes] = set()

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Looks at `Host` and `Origin`.

        Raises:
            ForbiddenError
        """
        host = headers.get(b"host", b"")
        if host not in self._known:
            self._check_host(host)
            if len(self._known) < 1000:
                self._known.add(host)
        if b"origin" in headers:
            self._check_origin(headers[b"origin"], host)

    def _check_host(self, host: bytes) -> None:
        name = _host_of(b"http://" + host)
        if not (is_loopback(name) or name in self._allowed):
            raise ForbiddenError(
                "This Host is not served: list it in server.allowed_hosts, or set an API key"
            )

    def _check_origin(self, origin: bytes, host: bytes) -> None:
        same = origin in (b"http://" + host, b"https://" + host)
        if not same and _host_of(origin) not in self._allowed:
            raise ForbiddenError(
                "Pages of another origin are not served: list its host in server.allowed_hosts, "
                "or set an API key"
            )


def _host_of(url: bytes) -> str:
    """The host name in a URL, lower case; empty where there is none."""
    try:
        return (urlsplit(url.decode("latin-1")).hostname or "").lower()
    except ValueError:
        return ""
