"""Which conversation a request belongs to.

Clients that name it are believed. For the others, a conversation is known by how it begins: its
first system prompt and its first user turn, which every later request repeats.
"""

from __future__ import annotations

import re
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
    users = [word(body[field]) for field in _USERS if field in body]
    if "metadata" in body:
        users.append(word(mapping(body["metadata"]).get("user_id")))
    return _digest("prefix", request.key_name, own, *users, "", *_beginning(request))


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


def _beginning(request: Request) -> list[str]:
    """The texts by which a conversation is known."""
    body = request.body
    texts: list[str] = []
    for key in ("system", "instructions"):
        if key in body:
            _start(body[key], texts)
    given = body.get("input" if request.dialect is Dialect.RESPONSES else "messages")
    if isinstance(given, str):
        _ends(given, texts)
    for message in items(given):
        role = message.get("role")
        if role in ("system", "developer"):
            _start(message.get("content"), texts)
        elif role == "user":
            _said(message.get("content"), texts)
            break
    return texts


def _start(content: Any, texts: list[str]) -> None:
    """How a system prompt begins."""
    if isinstance(content, str):
        texts.append(content[:_SYSTEM_EDGE])
        return
    for part in items(content):
        text = part.get("text")
        if isinstance(text, str):
            texts.append(text[:_SYSTEM_EDGE])


def _said(content: Any, texts: list[str]) -> None:
    """Both ends of all that a user's turn holds."""
    if isinstance(content, str):
        _ends(content, texts)
        return
    for part in items(content):
        for key in ("text", "image_url", "source", "file_id"):
            value = part.get(key)
            if isinstance(value, str):
                _ends(value, texts)
            elif value is not None:
                for inner in mapping(value).values():
                    if isinstance(inner, str):
                        _ends(inner, texts)


def _ends(text: str, texts: list[str]) -> None:
    if len(text) > 2 * _EDGE:
        texts.append(str(len(text)))
        text = text[:_EDGE] + text[-_EDGE:]
    texts.append(text)


def _digest(*parts: str | None) -> str:
    # a tuple's repr tells any two apart, and is written in one go
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()
