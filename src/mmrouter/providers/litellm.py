"""Everything that LiteLLM can reach, and the translation between dialects. Only file to import it.

LiteLLM is used as a translator and nothing more: retries, timeouts, prices and logs are ours.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import logging
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

from mmrouter import errors
from mmrouter.providers import carry, litellm_answers, litellm_failures
from mmrouter.providers.base import Answer, Call, ProviderBase
from mmrouter.providers.cache_control import annotate_chat
from mmrouter.providers.http import key_of
from mmrouter.types import Dialect, Target

_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else its import fetches a price list
    "LITELLM_MODE": "PRODUCTION",  # else its import reads .env into the environment
    "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB": "0",  # else a client's URL is fetched from this machine
}

_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")

_LATE = (
    "litellm.proxy.openai_files_endpoints.common_utils",
    "litellm.responses.mcp.litellm_proxy_mcp_handler",
    "openai.resources",
)
"""Imported by LiteLLM only in the first call of some kind, each with hundreds of others. First
calls that come together would do so in several threads, and one would see modules half made."""

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

_GRACE_S = 5
"""LiteLLM's own timeout stands behind ours."""


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
                yield litellm_answers.whole(answer, call)
                return
            async with aclosing(litellm_answers.pieces(answer, call, deadline, secret)) as pieces:
                async for piece in pieces:
                    yield piece
        except errors.MMRouterError:
            raise
        except TimeoutError:
            raise errors.ProviderTimeoutError(
                f"{who} gave no answer within {call.timeout_s:g} s"
            ) from None
        except Exception as error:  # noqa: BLE001 - LiteLLM raises of every kind; all are mapped
            raise litellm_failures.mapped(error, self._library, who, secret) from None

    async def aclose(self) -> None:
        if self._library is not None:
            await self._library.close_litellm_async_clients()


def _load() -> Any:
    """LiteLLM, without its network calls, files, prints and logs."""
    os.environ.update(_ENVIRONMENT)
    warnings.filterwarnings("ignore", "Item '.*' on TypedDict class", UserWarning)  # of its types
    import litellm

    for name in _LATE:
        with suppress(ImportError):  # another version of LiteLLM
            importlib.import_module(name)
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
        arguments.pop("encoding_format", None)  # `litellm_answers` encodes
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
