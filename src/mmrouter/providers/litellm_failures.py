"""LiteLLM's exceptions in our terms: what the provider answered, without LiteLLM's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp

from mmrouter import errors
from mmrouter.dialects.base import mapping
from mmrouter.providers import failures

_PREFIX = re.compile(r"^\s*(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)\b[\s:.-]*)+", re.I)
_SUFFIX = re.compile(
    r"\.?\s*(?:Handle with `litellm|Original exception:|Traceback \(most|This looks like a)"
)


def mapped(
    error: BaseException, library: Any, who: str, secret: str | None
) -> errors.MMRouterError:
    """LiteLLM's exception in our terms.

    Behind its own classes, whose status is at times made up, stands the provider's answer where
    there was one: that is what is read.
    """
    chain = list(_chain(error))
    words = failures.redact(_words(str(error)), secret)
    if isinstance(error, library.ImageFetchError):
        return errors.InvalidRequestError(
            f"{who} takes no image by this URL: send it as a data URL", param="messages"
        )
    if isinstance(error, library.UnsupportedParamsError):
        return errors.InvalidRequestError(f"The request cannot be carried to {who}: {words}")
    for cause in chain:
        found = _answer(cause)
        if found is not None:
            return failures.from_status(*found, who=who, secret=secret)
    if isinstance(error, library.exceptions.MidStreamFallbackError):
        return in_stream({"message": words}, who, secret)
    if any("Timeout" in type(cause).__name__ for cause in chain):
        return errors.ProviderTimeoutError(f"{who} gave no answer in time")
    if any(_of_transport(cause) for cause in chain):
        return errors.ProviderConnectionError(f"{who} cannot be reached")
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 400 <= status < 500:
        return failures.from_status(status, words.encode(), {}, who=who, secret=secret)
    return errors.ProviderProtocolError(f"{who}'s answer cannot be translated: {words}")


def in_stream(error: Mapping[str, Any], who: str, secret: str | None) -> errors.ProviderError:
    """The error for a failure inside a stream, LiteLLM's names taken off."""
    told = dict(mapping(error.get("error")) or error)
    told["message"] = _words(str(told.get("message", "")))
    if "before a finish_reason" in told["message"]:
        return cut(who)
    return failures.from_event({**error, "error": told}, who=who, secret=secret)


def cut(who: str) -> errors.ProviderProtocolError:
    """The error for a stream that ends before the answer does."""
    return errors.ProviderProtocolError(f"{who} cut its stream off before the end")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _answer(cause: BaseException) -> tuple[int, bytes, Mapping[str, str]] | None:
    """(status, body, headers) of the provider's answer that this exception holds, or None."""
    response = getattr(cause, "response", None)
    try:
        raw = response.content if response is not None else b""
    except RuntimeError:  # a stream that nobody read
        return None
    if not isinstance(raw, bytes) or not raw or response is None:
        return None
    return response.status_code, raw, response.headers


def _of_transport(cause: BaseException) -> bool:
    return isinstance(cause, OSError | aiohttp.ClientError) or type(cause).__module__ in (
        "httpx",
        "httpcore",
    )


def _words(text: str) -> str:
    return _PREFIX.sub("", _SUFFIX.split(text)[0])
