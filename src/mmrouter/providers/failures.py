"""Foreign failures turned into our error tree: status first, the provider's own words second."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import orjson

from mmrouter import errors
from mmrouter.errors import ProviderError
from mmrouter.providers.rate_limits import exhausted_for

_MOST_WORDS = 500
_LONGEST_WISH_S = 86_400.0
_CONTEXT = re.compile(
    r"context.{0,20}(length|window|size)|maximum context|prompt is too long|too many tokens", re.I
)
_FILTER = re.compile(r"content_(filter|policy)|safety system|responsible ai", re.I)


def from_status(
    status: int,
    raw: bytes,
    headers: Mapping[str, str],
    *,
    who: str,
    secret: str | None,
) -> ProviderError:
    """The error for an answer with an error status.

    Args:
        raw: the body, of any type.
        headers: the answer's, lower case or case-insensitive.
        who: the provider, for the message.
        secret: the key that was sent; it never appears in the message.
    """
    body = _json(raw)
    words = redact(_words(body, raw), secret)
    message = f"{who} answered {status}" + (f": {words}" if words else "")
    kind = _kind(status, words + " " + str(_code(body)))
    return kind(
        message,
        upstream_status=status,
        retry_after_s=_wish(status, headers),
        body=_redacted(body, secret) if body else None,
    )


def from_event(error: Mapping[str, Any], *, who: str, secret: str | None) -> ProviderError:
    """The error for a failure that the provider reports inside a stream.

    Args:
        error: `{"error": {...}}`, or flat as in OpenAI's Responses.
    """
    if "error" not in error:
        error = {"error": {k: v for k, v in error.items() if k != "type"}}
    words = redact(_words(error, b""), secret)
    code = str(_code(error))
    kind = _kind(503, words + " " + code)
    if "rate_limit" in code:
        kind = errors.RateLimitedError
    return kind(f"{who} reported an error in its stream: {words}", body=_redacted(error, secret))


def _redacted(body: Mapping[str, Any], secret: str | None) -> object:
    return orjson.loads(redact(orjson.dumps(body).decode(), secret))


def _kind(status: int, words: str) -> type[ProviderError]:
    if status in (400, 413, 422) and _CONTEXT.search(words):
        return errors.ContextLengthError
    if status in (400, 403) and _FILTER.search(words):
        return errors.ContentFilterError
    if status in (401, 402, 403):
        return errors.ProviderAuthError
    if status == 404:
        return errors.UpstreamModelError
    if status in (408, 504):
        return errors.ProviderTimeoutError
    if status == 413:
        return errors.ContextLengthError
    if status == 429:
        return errors.RateLimitedError
    if status >= 500:
        return errors.ProviderServerError
    if status >= 400:
        return errors.BadUpstreamRequestError
    return errors.ProviderProtocolError


def redact(text: str, secret: str | None) -> str:
    """The text without the key, also where a provider echoes it back."""
    return text.replace(secret, "[key]") if secret else text


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (RFC 9110, 10.2.3), at most a day."""
    value = headers.get("retry-after", "")
    for text, unit in ((headers.get("retry-after-ms", ""), 1000), (value, 1)):
        try:
            seconds = float(text) / unit
        except ValueError:
            continue
        if seconds >= 0:  # nor NaN
            return min(seconds, _LONGEST_WISH_S)
    try:
        when = email.utils.parsedate_to_datetime(value)
        if when.tzinfo is None:  # "-0000", or a form without a zone: HTTP knows only UTC
            when = when.replace(tzinfo=UTC)
        return min(max(0.0, when.timestamp() - time.time()), _LONGEST_WISH_S)
    except (ValueError, OverflowError):
        return None


def _wish(status: int, headers: Mapping[str, str]) -> float | None:
    """When the provider wants to be asked again; a 429 may say so by its limits' resets alone."""
    wish = retry_after(headers)
    return exhausted_for(headers, time.time()) if wish is None and status == 429 else wish


def _json(raw: bytes) -> Mapping[str, Any] | None:
    try:
        body = orjson.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _words(body: Mapping[str, Any] | None, raw: bytes) -> str:
    error = (body or {}).get("error", body)
    words = error.get("message") if isinstance(error, dict) else error
    if not isinstance(words, str):
        words = "" if body else raw.decode("utf-8", "replace")
    words = " ".join(words.split())
    return words if len(words) <= _MOST_WORDS else words[:_MOST_WORDS] + "…"


def _code(body: Mapping[str, Any] | None) -> object:
    error = (body or {}).get("error")
    if not isinstance(error, dict):
        return ""
    return f"{error.get('code', '')} {error.get('type', '')}"
