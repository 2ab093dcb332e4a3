"""Everything that LiteLLM can reach, and the translation between dialects. Only file to import it.

LiteLLM is used as a translator and nothing more: retries, timeouts, prices and logs are ours.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import logging
import os
import re
import warnings
from array import array
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp
import orjson

from mmrouter import errors
from mmrouter.dialects import DIALECTS, Reader
from mmrouter.dialects.base import mapping
from mmrouter.providers import carry, failures
from mmrouter.providers.base import Answer, Call, Chunk, Finish, ProviderBase
from mmrouter.providers.cache_control import annotate_chat
from mmrouter.providers.http import key_of
from mmrouter.providers.sse import SseParser
from mmrouter.types import Dialect, Target

_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else its import fetches a price list
    "LITELLM_MODE": "PRODUCTION",  # else its import reads .env into the environment
    "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB": "0",  # else a client's URL is fetched from this machine
}

_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")

_NO_KEY = "none"
"""For a target without a key. Were it empty, LiteLLM would send the key of the real OpenAI."""

_CALLERS = {
    Dialect.CHAT: "acompletion",
    Dialect.MESSAGES: "anthropic_messages",
    Dialect.RESPONSES: "aresponses",
    Dialect.EMBEDDINGS: "aembedding",
}

_CARRIERS: Mapping[Dialect, Callable[[Mapping[str, Any], carry.Route], dict[str, Any]]] = {
    Dialect.CHAT: carry.chat,
    Dialect.MESSAGES: carry.messages,
    Dialect.RESPONSES: carry.responses,
    Dialect.EMBEDDINGS: carry.embeddings,
}

_RATE_LIMITS = ("x-ratelimit-", "anthropic-ratelimit-")

_GRACE_S = 5
"""LiteLLM's own timeout stands behind ours."""

_PREFIX = re.compile(r"^\s*(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)\b[\s:.-]*)+", re.I)
_SUFFIX = re.compile(
    r"\.?\s*(?:Handle with `litellm|Original exception:|Traceback \(most|This looks like a)"
)


class LiteLLMProvider(ProviderBase):
    """Calls through LiteLLM, which is imported at the first call."""

    def __init__(self) -> None:
        self._library: Any = None

    async def stream(self, call: Call) -> Answer:
        if self._library is None:
            self._library = await asyncio.to_thread(_load)
        who, secret = call.target.provider, key_of(call.target)
        deadline = asyncio.get_running_loop().time() + call.timeout_s
        arguments = _arguments(self._library, call, secret)
        try:
            async with asyncio.timeout_at(deadline):
                answer = await getattr(self._library, _CALLERS[call.dialect])(**arguments)
            if not call.stream:
                yield _whole(answer, call)
                return
            async with aclosing(_pieces(answer, call, deadline, secret)) as pieces:
                async for piece in pieces:
                    yield piece
        except errors.MMRouterError:
            raise
        except TimeoutError:
            raise errors.ProviderTimeoutError(
                f"{who} gave no answer within {call.timeout_s:g} s"
            ) from None
        except Exception as error:  # noqa: BLE001 - LiteLLM raises of every kind; all are mapped
            raise _mapped(error, self._library, who, secret) from None

    async def aclose(self) -> None:
        if self._library is not None:
            await self._library.close_litellm_async_clients()


def _load() -> Any:
    """LiteLLM, without its network calls, files, prints and logs."""
    os.environ.update(_ENVIRONMENT)
    warnings.filterwarnings("ignore", "Item '.*' on TypedDict class", UserWarning)  # of its types
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = False
    litellm.modify_params = False
    litellm.disable_streaming_logging = True
    # OpenAI-compatible servers have chat completions; few have OpenAI's newer endpoint
    litellm.use_chat_completions_url_for_anthropic_messages = True
    for name in _LOGGERS:
        logging.getLogger(name).disabled = True
    return litellm


def _arguments(library: Any, call: Call, secret: str | None) -> dict[str, Any]:
    """The call's keyword arguments.

    Raises:
        InvalidRequestError: a field cannot be carried, or nobody has embeddings there.
    """
    target = call.target
    if call.dialect is Dialect.EMBEDDINGS and target.kind == "anthropic":
        raise errors.InvalidRequestError(f"{target.provider} has no embeddings", param="model")
    model = target.upstream if target.kind == "litellm" else f"{target.kind}/{target.upstream}"
    route = _route(library, model, target)
    body = copy.deepcopy(dict(call.body))  # LiteLLM changes what it is given
    if target.prompt_caching and call.dialect is Dialect.CHAT:
        body = annotate_chat(body)
    arguments = _CARRIERS[call.dialect](body, route)
    if call.dialect is not Dialect.EMBEDDINGS:
        arguments["stream"] = call.stream
    if call.dialect is Dialect.CHAT and call.stream:
        arguments["stream_options"] = {"include_usage": True}
    if call.dialect is Dialect.EMBEDDINGS and not route.openai_like:
        arguments.pop("encoding_format", None)  # `_whole` encodes
    if call.dialect is Dialect.MESSAGES:
        arguments |= _for_messages(call, route)
    if target.base_url is not None:
        arguments["api_base"] = _api_base(target)
    if secret is not None or target.kind != "litellm":
        arguments["api_key"] = secret or _NO_KEY
    return arguments | {
        "model": model,
        "timeout": max(call.timeout_s, call.stall_s) + _GRACE_S,
        "num_retries": 0,
        "max_retries": 0,
        "drop_params": False,
    }


def _for_messages(call: Call, route: carry.Route) -> dict[str, Any]:
    beta = call.forward_headers.get("anthropic-beta")
    if route.speaks_messages:
        return {"extra_headers": {"anthropic-beta": beta}} if beta else {}
    # False stands for its proxy's router; without one it tries to import the whole proxy
    added: dict[str, Any] = {"litellm_router": False}
    if route.openai_like:
        added["allowed_openai_params"] = ["reasoning_effort", "user", "parallel_tool_calls"]
    return added


def _api_base(target: Target) -> str:
    """LiteLLM adds `/v1/messages` to an Anthropic root unless that is there already."""
    root = target.base_url or ""
    if target.kind != "anthropic":
        return root
    if not root.endswith("/v1"):
        raise errors.ConfigError(
            f"providers.{target.provider}.base_url: '{root}' must end in /v1 to answer requests "
            "in OpenAI's dialects"
        )
    return f"{root}/messages"


def _route(library: Any, model: str, target: Target) -> carry.Route:
    try:
        name, provider, _, _ = library.get_llm_provider(model=model, api_base=target.base_url)
    except library.BadRequestError:
        raise errors.InvalidRequestError(
            f"LiteLLM knows no provider for '{model}': write it as 'provider/model'",
            param="model",
        ) from None
    native = library.ProviderConfigManager.get_provider_anthropic_messages_config(
        model=name, provider=library.LlmProviders(provider)
    )
    return carry.Route(
        who=target.provider,
        provider=provider,
        openai_like=provider in ("openai", "azure", *library.openai_compatible_providers),
        speaks_messages=native is not None,
        supported=frozenset(
            library.get_supported_openai_params(model=name, custom_llm_provider=provider) or ()
        ),
    )


def _whole(answer: Any, call: Call) -> Finish:
    body = _plain(answer)
    if call.dialect is Dialect.EMBEDDINGS and call.body.get("encoding_format") == "base64":
        for row in body.get("data", []):
            if isinstance(row.get("embedding"), list):
                row["embedding"] = base64.b64encode(array("f", row["embedding"])).decode()
    if call.dialect is Dialect.CHAT:
        for choice in body["choices"]:
            choice["message"].setdefault("content", None)
    reader = DIALECTS[call.dialect].reader(call.body)
    fragment = reader.whole(body)
    return Finish(
        data=orjson.dumps(body),
        text=fragment.text,
        usage=reader.usage,
        finish_reason=reader.finish_reason,
        upstream_id=reader.upstream_id,
        rate_limits=_rate_limits(answer),
    )


async def _pieces(
    answer: Any, call: Call, deadline: float, secret: str | None
) -> AsyncGenerator[Chunk | Finish, None]:
    who = call.target.provider
    reader = DIALECTS[call.dialect].reader(call.body)
    events = _Events(call.dialect)
    begun = False
    stream = aiter(answer)
    try:
        while True:
            wait = asyncio.timeout(call.stall_s) if begun else asyncio.timeout_at(deadline)
            try:
                async with wait:
                    item = await anext(stream, None)
            except TimeoutError:
                waited = call.stall_s if begun else call.timeout_s
                raise errors.ProviderTimeoutError(f"{who} sent nothing for {waited:g} s") from None
            if item is None:
                break
            begun = True
            data, text, end = bytearray(), "", None
            for raw, payload in events.of(item):
                fragment = reader.feed(payload)
                if fragment.error is not None:
                    raise _in_stream(fragment.error, who, secret)
                text += fragment.text
                if fragment.last:
                    end = raw
                    break
                if not fragment.hidden:
                    data += raw
            if data or text:
                yield Chunk(bytes(data), text, reader.usage)
            if end is not None:
                yield _finish(end, reader, answer)
                return
    finally:
        await answer.aclose()
    if not reader.finished:
        raise errors.ProviderProtocolError(f"{who} cut its stream off before the end")
    last = b"data: [DONE]\n\n" if call.dialect is Dialect.CHAT else b""
    yield _finish(last, reader, answer)


class _Events:
    """What LiteLLM yields, as server-sent events: (bytes for the client, payload to read)."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._parser = SseParser()
        self._number = 0

    def of(self, item: Any) -> Iterator[tuple[bytes, bytes]]:
        if self._dialect is Dialect.MESSAGES:
            for event in self._parser.feed(item if isinstance(item, bytes) else item.encode()):
                if event.data:
                    yield event.raw, event.data
            return
        body = _plain(item)
        if self._dialect is Dialect.RESPONSES:
            body["sequence_number"] = self._number
            self._number += 1
            payload = orjson.dumps(body)
            yield b"event: %b\ndata: %b\n\n" % (str(body["type"]).encode(), payload), payload
            return
        for choice in body["choices"]:
            choice.setdefault("finish_reason", None)
            if "tool_calls" in choice["delta"] and not choice["delta"].get("content"):
                choice["delta"].pop("content", None)  # an empty text beside a call is LiteLLM's own
        payload = orjson.dumps(body)
        yield b"data: %b\n\n" % payload, payload


def _plain(answer: Any) -> dict[str, Any]:
    """LiteLLM's object as JSON, without the price that it guesses."""
    body: dict[str, Any]
    body = (
        dict(answer)
        if isinstance(answer, Mapping)
        else answer.model_dump(mode="json", exclude_none=True)
    )
    for holder in (body, mapping(body.get("response"))):
        usage = holder.get("usage")
        if isinstance(usage, dict):
            usage.pop("cost", None)
    return body


def _finish(data: bytes, reader: Reader, answer: Any) -> Finish:
    return Finish(
        data=data,
        usage=reader.usage,
        finish_reason=reader.finish_reason,
        upstream_id=reader.upstream_id,
        rate_limits=_rate_limits(answer),
    )


def _rate_limits(answer: Any) -> dict[str, str]:
    hidden = mapping(getattr(answer, "_hidden_params", None))
    headers = {
        str(name).removeprefix("llm_provider-").lower(): str(value)
        for name, value in mapping(hidden.get("additional_headers")).items()
    }
    return {n: v for n, v in headers.items() if n.startswith(_RATE_LIMITS)}


def _mapped(
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
        return _in_stream({"message": words}, who, secret)
    if any("Timeout" in type(cause).__name__ for cause in chain):
        return errors.ProviderTimeoutError(f"{who} gave no answer in time")
    if any(_of_transport(cause) for cause in chain):
        return errors.ProviderConnectionError(f"{who} cannot be reached")
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and 400 <= status < 500:
        return failures.from_status(status, words.encode(), {}, who=who, secret=secret)
    return errors.ProviderProtocolError(f"{who}'s answer cannot be translated: {words}")


def _in_stream(error: Mapping[str, Any], who: str, secret: str | None) -> errors.ProviderError:
    """The error for a failure inside a stream, LiteLLM's names taken off."""
    told = dict(mapping(error.get("error")) or error)
    told["message"] = _words(str(told.get("message", "")))
    if "before a finish_reason" in told["message"]:
        return errors.ProviderProtocolError(f"{who} cut its stream off before the end")
    return failures.from_event({**error, "error": told}, who=who, secret=secret)


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
