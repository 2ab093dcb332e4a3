"""Errors in the shape that each SDK raises its own exceptions from.

`openai` and `anthropic` choose the class by the status, and show our message. Nothing else of the
inside goes out: no key, no path, no traceback.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import orjson

from mmrouter import errors
from mmrouter.errors import MMRouterError, ProviderError
from mmrouter.server.http import JSON, Exchange
from mmrouter.server.refusals import MethodNotAllowedError
from mmrouter.types import Dialect

logger = logging.getLogger(__name__)

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class InternalError(MMRouterError):
    """A fault of ours; the log has the rest, under the request's id."""

    def __init__(self) -> None:
        super().__init__("An internal error occurred; the server's log has it under this id")


async def fail(exchange: Exchange, error: MMRouterError) -> None:
    """Answers with the error, or ends a stream with it."""
    dialect = _dialect(exchange)
    body = error_body(error, dialect, exchange.id)
    if exchange.complete:
        return
    if exchange.status is None:
        await exchange.answer(error.status, orjson.dumps(body), _headers(exchange, error))
    else:
        await exchange.finish(error_event(body, dialect))


def error_body(error: MMRouterError, dialect: Dialect, request_id: str) -> dict[str, Any]:
    """The JSON of an error.

    What the provider said of it (`type`, `code`, `param`) is kept where it speaks the dialect.
    """
    said = _said(error, dialect)
    if dialect is Dialect.MESSAGES:
        kind = _ANTHROPIC_TYPES.get(
            error.status, "invalid_request_error" if error.status < 500 else "api_error"
        )
        inner = {"type": kind, "message": str(error), "attempts": error.attempts, **said}
        return {"type": "error", "error": inner, "request_id": request_id}
    kind = _OPENAI_TYPES.get(
        error.status, "invalid_request_error" if error.status < 500 else "server_error"
    )
    return {
        "error": {
            "message": str(error),
            "type": kind,
            "param": getattr(error, "param", None),
            "code": error.code,
            "request_id": request_id,
            "attempts": error.attempts,
            **said,
        }
    }


def error_event(body: Mapping[str, Any], dialect: Dialect) -> bytes:
    """The error as the last event of a stream that had begun well."""
    if dialect is Dialect.CHAT:
        return b"data: " + orjson.dumps(body) + b"\n\n"
    if dialect is Dialect.RESPONSES:
        # the API puts the fields on top; the SDK raises from `error`: both find theirs
        error = body["error"]
        top = {key: error[key] for key in ("code", "message", "param")}
        body = {"type": "error", **top, "error": error}
    return b"event: error\ndata: " + orjson.dumps(body) + b"\n\n"


def _dialect(exchange: Exchange) -> Dialect:
    if exchange.path == "/v1/responses":
        return Dialect.RESPONSES
    if exchange.path in ("/v1/chat/completions", "/v1/embeddings"):
        return Dialect.CHAT
    of_anthropic = exchange.path.startswith("/v1/messages")
    if of_anthropic or b"anthropic-version" in exchange.headers:
        return Dialect.MESSAGES
    return Dialect.CHAT


def _said(error: MMRouterError, dialect: Dialect) -> dict[str, Any]:
    """The provider's own fields of its error, if it speaks the client's dialect."""
    if not isinstance(error, ProviderError) or not isinstance(error.body, Mapping):
        return {}
    inner = error.body.get("error")
    anthropic = error.body.get("type") == "error"
    if not isinstance(inner, Mapping) or anthropic is not (dialect is Dialect.MESSAGES):
        return {}
    keys = ("type",) if anthropic else ("type", "code", "param")
    return {key: inner[key] for key in keys if isinstance(inner.get(key), str)}


def _headers(exchange: Exchange, error: MMRouterError) -> list[tuple[bytes, bytes]]:
    id = exchange.id.encode()
    headers = [
        JSON,
        (b"x-request-id", id),
        (b"request-id", id),
        (b"x-mmrouter-request-id", id),
        (b"x-mmrouter-attempts", b"%d" % error.attempts),
    ]
    retry_after = getattr(error, "retry_after_s", None)
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(retry_after))))
    if isinstance(error, errors.BudgetExceededError):
        headers.append((b"x-should-retry", b"false"))  # the SDKs would ask again at once
    if isinstance(error, MethodNotAllowedError):
        headers.append((b"allow", error.allowed.encode()))
    if error.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body will not be read
    return headers
