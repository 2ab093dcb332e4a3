"""Which addresses a webhook may reach: public ones.

The check stands where the socket is made, so that what is checked is what is connected to: no name
that changes its answer (DNS rebinding), no odd spelling of a number and no proxy comes in between.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from mmrouter.alerts.base import DeliveryError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(text: str) -> bool:
    """The address is on the public internet, and so is the IPv4 address that it may stand for."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return all(one.is_global and not one.is_multicast for one in (address, *_inner(address)))


def _inner(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address] = []
    if address.ipv4_mapped is not None:
        found.append(address.ipv4_mapped)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found += address.teredo
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(address.packed[-4:]))
    return found


def public_socket(info: tuple[Any, ...]) -> socket.socket:
    """A socket for one result of `getaddrinfo` (see aiohttp's `socket_factory`).

    Raises:
        DeliveryError: the address is not public.
    """
    family, kind, protocol, _, place = info
    if not is_public(place[0]):
        raise DeliveryError(
            "the webhook's address is private; alerts.allow_private: true allows that",
            retryable=False,
        )
    return socket.socket(family, kind, protocol)
