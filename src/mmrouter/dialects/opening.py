"""The first user turn of a request, which every later turn of its conversation repeats."""

from __future__ import annotations

from hashlib import blake2b

from mmrouter.dialects import exact
from mmrouter.dialects.base import items
from mmrouter.types import Dialect, Request


def opening(request: Request) -> str:
    """A name for it, 32 hex digits: the same prompt has the same one, whoever sends it."""
    given = request.body.get("input" if request.dialect is Dialect.RESPONSES else "messages")
    if not isinstance(given, str):
        turns = (turn.get("content") for turn in items(given) if turn.get("role") == "user")
        given = next(turns, None)
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], dict):
        given = given[0].get("text", given)  # a text alone is the same in both its forms
    raw = exact.dumps(given, default=str)
    return blake2b(raw, digest_size=16).hexdigest()
