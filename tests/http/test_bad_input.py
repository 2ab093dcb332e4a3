"""Bodies that are wrong somewhere are answered with the upstream's answer or a 4xx in the dialect's
shape: never with a 5xx, and never at the cost of the provider's good name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.serving import CHAT, HELLO, Served, serving
from tests.support import anthropic_answers, openai_answers
from tests.support.broken import broken
from tests.support.configs import two_dialects
from tests.support.faults import healthy
from tests.support.openai_answers import Json
from tests.support.upstream import running

SURFACES = {
    "/v1/chat/completions": [case.sent for case in openai_answers.CHAT],
    "/v1/responses": [case.sent for case in openai_answers.RESPONSES],
    "/v1/messages": [case.sent for case in anthropic_answers.MESSAGES],
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over an upstream that finds everything good."""
    books = tmp_path_factory.mktemp("books") / "books.db"
    with (
        running(healthy) as upstream,
        serving(two_dialects(upstream.base_url), f"sqlite:///{books}") as server,
    ):
        yield server


@pytest.mark.parametrize("model", ["gpt", "claude", "auto"])
@pytest.mark.parametrize("path", SURFACES)
@given(data=st.data())
@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_a_body_that_is_wrong_somewhere(
    path: str, model: str, served: Served, data: st.DataObject
) -> None:
    body: Any = data.draw(broken(SURFACES[path]))
    answer = served.ask("POST", path, {**body, "model": model})
    assert answer.status == 200 or 400 <= answer.status < 500, answer.raw
    if answer.status >= 400:
        _check_shape(path, answer.json)


def _check_shape(path: str, answer: Json) -> None:
    error = answer["error"]
    assert error["message"]
    assert error["type"]
    if path == "/v1/messages":
        assert answer["type"] == "error"
        assert answer["request_id"].startswith("req_")
    else:
        assert {"param", "code"} <= error.keys()
        assert error["request_id"].startswith("req_")


@pytest.mark.parametrize("path", SURFACES)
def test_the_path_decides_the_shape_of_an_error(path: str, served: Served) -> None:
    answer = served.ask("POST", path, {"model": 7}, {"anthropic-version": "2023-06-01"})
    assert answer.status == 400
    _check_shape(path, answer.json)


def test_any_number_of_tokens_may_be_asked_for(served: Served) -> None:
    """Also one whose price no database can hold."""
    answer = served.ask("POST", CHAT, {**HELLO, "model": "auto", "max_tokens": 10**30})
    assert answer.status == 200, answer.raw
    row = served.row(answer.headers["x-mmrouter-request-id"])
    assert row is not None
    assert [attempt["bound_nanos"] for attempt in row["attempts"]] == [None]
