"""schemathesis against /openapi.json: no 5xx, no hang, and answers that are as described."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mmrouter.config.schema import ServerConfig
from mmrouter.server.openapi import describe
from tests.http.serving import serving
from tests.support.configs import one_route, two_dialects
from tests.support.faults import healthy
from tests.support.upstream import running

schema = schemathesis.openapi.from_dict(describe(ServerConfig().max_messages))


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Servers whose description is `schema`, by the model that they route to.

    Two, so that each request passes through to an upstream of its own dialect.
    """
    folder = tmp_path_factory.mktemp("books")
    with ExitStack() as stack:
        upstream = stack.enter_context(running(healthy))
        found = {}
        for model in ("gpt", "claude"):
            config = two_dialects(upstream.base_url, routes=one_route(model))
            served = stack.enter_context(serving(config, f"sqlite:///{folder}/{model}.db"))
            assert served.ask("GET", "/openapi.json").json == schema.raw_schema
            found[model] = served.url
        yield found


@schema.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_whatever_is_sent_is_answered_as_described(
    urls: dict[str, str], case: schemathesis.Case
) -> None:
    model = "claude" if case.path.startswith("/v1/messages") else "gpt"
    response = case.call(base_url=urls[model], timeout=10)
    case.validate_response(
        response,
        checks=(
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ),
    )
    assert b"Traceback" not in response.content
    assert b"/src/" not in response.content
