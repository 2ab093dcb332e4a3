"""Who asks: API keys, compared in constant time and known only by their hashes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from mmrouter.config.schema import KeyRow
from mmrouter.server.refusals import UnauthorizedError

KEY_ENV = "MMROUTER_API_KEY"
"""Environment variable with a key that needs no row in config."""


@dataclass(frozen=True, slots=True)
class Client:
    """The owner of a key.

    Attributes:
        name: as in `server.keys`; None for the key of the environment, and where none is needed.
        admin: may see everybody's requests and steer the server: opens the dashboard.
        tags: added to each of its requests.
        requests_per_minute: None is no limit.
    """

    name: str | None = None
    tags: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    admin: bool = False


NOBODY = Client()
"""Who has shown no key."""

OWNER = Client(admin=True)
"""Who has the key of the environment; where no key is asked for, everybody on this machine."""


def hash_key(key: str) -> str:
    """A key as config keeps it: "sha256:" and 64 hex digits.

    A plain hash is enough: our keys are 256 random bits, which no dictionary holds.
    """
    return "sha256:" + hashlib.sha256(key.encode("latin-1", "replace")).hexdigest()


class Keys:
    """The keys that open this server.

    Args:
        rows: `server.keys` of config.
        own: the key of the environment, or empty.
    """

    def __init__(self, rows: Mapping[str, KeyRow], own: str) -> None:
        self._clients = [
            (row.hash, Client(name, row.tags, row.requests_per_minute, row.scope == "admin"))
            for name, row in rows.items()
        ]
        if own:
            self._clients.append((hash_key(own), OWNER))

    @property
    def required(self) -> bool:
        """A key is asked for."""
        return bool(self._clients)

    def client(self, headers: Mapping[bytes, bytes]) -> Client:
        """Who sent `Authorization: Bearer KEY` or `x-api-key: KEY`.

        Raises:
            UnauthorizedError
        """
        if not self._clients:
            return OWNER
        given = [key for key in (_bearer(headers), headers.get(b"x-api-key")) if key]
        for key in given:
            found = self._find(hash_key(key.decode("latin-1")))
            if found is not None:
                return found
        raise UnauthorizedError(
            "The API key is wrong"
            if given
            else "An API key is needed: send `Authorization: Bearer KEY` or `x-api-key: KEY`"
        )

    def _find(self, hashed: str) -> Client | None:
        found = None
        for known, client in self._clients:  # all of them, so that time tells nothing
            if hmac.compare_digest(known, hashed):
                found = client
        return found


def _bearer(headers: Mapping[bytes, bytes]) -> bytes | None:
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else None
