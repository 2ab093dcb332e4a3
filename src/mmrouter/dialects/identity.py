"""Which conversation a request belongs to.

Clients that name it are believed. For the others, a conversation is known by how it begins: its
first system prompt and its first user turn, which every later request repeats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import orjson

from mmrouter.dialects.base import Json, items, mapping, word
from mmrouter.types import Dialect, Request

_EDGE = 2_000
"""Characters of each end of a first turn that are looked at; its length counts too."""

_SYSTEM_EDGE = 500
"""Of a system prompt only how it begins: below, agents keep the date and their memory."""

_CLAUDE_CODE = re.compile(r"_session_([A-Za-z0-9-]{8,64})\Z")

_USERS = ("user", "safety_identifier", "prompt_cache_key")
"""OpenAI's fields that tell users or uses apart, and are no conversation: many share one."""


def named(dialect: Dialect, body: Json) -> str | None:
    """The conversation's own id, where the body has one.

    OpenAI's `conversation` and `metadata.session_id`; Anthropic's `metadata.user_id` where Claude
    Code has put its session in it.
    """
    if dialect is Dialect.RESPONSES:
        kept = body.get("conversation")
        own = word(kept) or word(mapping(kept).get("id"))
        if own is not None:
            return own
    metadata = body.get("metadata")
    if not metadata:
        return None
    given = word(mapping(metadata).get("session_id"))
    if given is None and dialect is Dialect.MESSAGES:
        given = _claude_code(word(mapping(metadata).get("user_id")))
    return None if given is None else given[:200]


def thread(request: Request) -> str:
    """A name for the request's conversation, the same on each of its turns: 32 hex digits that
    tell nothing of its content. Requests under different keys are never of one conversation.

    An id in the body may cover several threads (an agent and its helpers, a title that is made
    beside), so it counts together with how the conversation begins; where a provider keeps the
    history, or the client tells us the id itself, the id alone.
    """
    body, own = request.body, named(request.dialect, request.body)
    if request.session is not None and request.session != own:
        return _digest("session", request.key_name, request.session)
    if body.get("conversation") is not None and own is not None:
        return _digest("session", request.key_name, own)
    user = [word(body.get(field)) or "" for field in _USERS]
    user.append(word(mapping(body.get("metadata")).get("user_id")) or "")
    return _digest("prefix", request.key_name, own or "", *user, *_beginning(request))


def after(request: Request, answer: str) -> str:
    """A name for the conversation that continues an answer which its provider keeps."""
    return _digest("answer", request.key_name, answer)


def _claude_code(user: str | None) -> str | None:
    if user is None:
        return None
    found = _CLAUDE_CODE.search(user)
    if found:
        return found[1]
    if user.startswith("{"):  # newer versions write an object
        try:
            return word(mapping(orjson.loads(user)).get("session_id"))
        except orjson.JSONDecodeError:
            return None
    return None


def _beginning(request: Request) -> Iterator[str]:
    """The texts by which a conversation is known."""
    body = request.body
    given = body.get("input" if request.dialect is Dialect.RESPONSES else "messages")
    for key in ("system", "instructions"):
        if key in body:
            yield from _texts(body[key], _SYSTEM_EDGE)
    if isinstance(given, str):
        yield from _ends(given, _EDGE)
    for message in items(given):
        role = message.get("role")
        if role in ("system", "developer"):
            yield from _texts(message.get("content"), _SYSTEM_EDGE)
        elif role == "user":
            yield from _texts(message.get("content"), _EDGE)
            return


def _texts(content: Any, edge: int) -> Iterator[str]:
    if isinstance(content, str):
        yield from _ends(content, edge)
        return
    for part in items(content):
        for key in ("text", "image_url", "source", "file_id"):
            value = part.get(key)
            if isinstance(value, str):
                yield from _ends(value, edge)
            elif value is not None:
                for inner in mapping(value).values():
                    if isinstance(inner, str):
                        yield from _ends(inner, edge)


def _ends(text: str, edge: int) -> Iterator[str]:
    if edge == _SYSTEM_EDGE:
        yield text[:edge]
        return
    yield str(len(text))
    yield text if len(text) <= 2 * edge else text[:edge] + text[-edge:]


def _digest(*parts: str | None) -> str:
    whole = "".join("-;" if part is None else f"{len(part)};{part}" for part in parts)
    return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
