"""A body and its headers as a `Request` of the router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmrouter.dialects.identity import named
from mmrouter.errors import InvalidRequestError
from mmrouter.server.headers import controls
from mmrouter.server.http import Exchange
from mmrouter.types import Dialect, Request, Surface

_OURS = (
    *("api_base", "api_key", "api_type", "api_version", "base_url", "organization", "proxy"),
    *("custom_llm_provider", "model_list", "deployment_id", "extra_headers", "extra_query"),
    *("mock_response", "use_in_pass_through", "callbacks", "success_callback", "failure_callback"),
)
_OUR_PREFIXES = ("aws_", "azure_", "litellm_", "s3_", "sagemaker_", "vertex_", "watsonx_")


def request_of(
    exchange: Exchange,
    body: dict[str, Any],
    surface: Surface,
    dialect: Dialect,
    *,
    forward: tuple[bytes, ...] = (),
) -> Request:
    """The request that a body asks for.

    Args:
        forward: headers that the upstream must see.

    Raises:
        InvalidRequestError: what every surface refuses.
    """
    _refuse_settings(body)
    asked = controls(exchange.headers)
    client = exchange.client
    return Request(
        id=exchange.id,
        surface=surface,
        dialect=dialect,
        model=_model(body),
        body=body,
        stream=_stream(body),
        session=asked.session or named(dialect, body),
        key_name=client.name,
        tags=tuple(dict.fromkeys(client.tags + asked.tags)) if asked.tags else client.tags,
        max_cost_nanos=asked.max_cost_nanos,
        dry_run=asked.dry_run,
        forward_headers=_forwarded(exchange.headers, forward),
    )


def listed(body: Mapping[str, Any], key: str, most: int, *, required: bool = True) -> None:
    """Refuses a body whose `key` is not a list of one to `most` objects.

    Raises:
        InvalidRequestError
    """
    value = body.get(key)
    if value is None and not required:
        return
    if not isinstance(value, list) or not value:
        raise InvalidRequestError(f"'{key}' must be a list with at least one item", param=key)
    if len(value) > most:
        raise InvalidRequestError(f"'{key}' has more than {most} items", param=key)
    for item in value:
        if type(item) is not dict:
            raise InvalidRequestError(f"'{key}' must hold objects only", param=key)


def _refuse_settings(body: Mapping[str, Any]) -> None:
    """Where a request goes and with whose key is config's to say, never a client's.

    Other unknown fields pass through to the upstream as they came.
    """
    for key in body:
        if key in _OURS or key.startswith(_OUR_PREFIXES):
            raise InvalidRequestError(f"'{key}' is set by this server's config only", param=key)


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model", "auto")
    if not isinstance(model, str) or not model:
        raise InvalidRequestError("'model' must be a string: 'auto', or a name", param="model")
    if len(model) > 256:
        raise InvalidRequestError("'model' is too long", param="model")
    return model


def _stream(body: Mapping[str, Any]) -> bool:
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequestError("'stream' must be true or false", param="stream")
    return bool(stream)


def _forwarded(headers: Mapping[bytes, bytes], names: tuple[bytes, ...]) -> dict[str, str]:
    return {n.decode(): headers[n].decode("latin-1") for n in names if n in headers}
