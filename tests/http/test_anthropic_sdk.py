"""The official `anthropic` SDK against the server, over a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import anthropic
import pytest
from aiohttp import web
from anthropic import Anthropic, AsyncAnthropic

from mmrouter.server.auth import hash_key
from tests.http.serving import serving
from tests.support import anthropic_answers as answers
from tests.support.anthropic_answers import MESSAGES
from tests.support.configs import two_dialects
from tests.support.openai_answers import Case, Json
from tests.support.sdk import MODES, WHOLE, Mode, modes_of
from tests.support.tables import Page
from tests.support.upstream import Handler, Upstream, send

_TABLE = "Messages: the `anthropic` SDK"
_ERRORS = "Errors: the `anthropic` SDK"
_ASK: Json = {"model": "claude", "max_tokens": 9, "messages": answers.QUESTION}


def _client(server: str, mode: Mode, **options: Any) -> Any:
    kind = AsyncAnthropic if mode.asynchronous else Anthropic
    return kind(base_url=server, **{"api_key": "none", "max_retries": 0, **options})


def _line(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _replay(case: Case) -> Handler:
    """Answers as the case says, with the pings that Anthropic sends in between."""

    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response(case.answer)
        first, *rest = (_line(event) for event in case.events or ())
        return await send(request, [first, _line({"type": "ping"}), *rest])

    return handler


async def _plain(request: web.Request, body: Json) -> web.StreamResponse:
    return await _replay(MESSAGES[0])(request, body)


@pytest.mark.parametrize(("case", "mode"), modes_of(MESSAGES))
async def test_messages(
    case: Case, mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    recorder.handler = _replay(case)
    async with mode.using(_client(server, mode)) as client:
        got = await mode.call(
            client.messages.create, model="claude", **case.request, extra_headers=case.headers
        )
    seen = recorder.seen[0]
    assert seen.path == "/v1/messages"
    expected = {**case.sent, "model": "up-claude"} | ({"stream": True} if mode.stream else {})
    assert seen.body == expected
    for name, value in (case.headers or {}).items():
        assert seen.headers[name] == value
    assert seen.headers["anthropic-version"] == "2023-06-01"
    assert got == (case.events if mode.stream else case.answer)
    compatibility.note(_TABLE, case.name, mode.name, "✓")


async def test_stream_helper_gives_the_whole_at_the_end(
    server: str, recorder: Upstream, compatibility: Page
) -> None:
    case = next(c for c in MESSAGES if c.name.startswith("thinking with"))
    recorder.handler = _replay(case)
    async with (
        AsyncAnthropic(base_url=server, api_key="none") as client,
        client.messages.stream(model="claude", **case.request) as stream,
    ):
        kinds = [event.type async for event in stream]
        final = await stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    got = final.to_dict()
    assert case.answer is not None
    assert got["content"] == case.answer["content"]
    assert got["usage"] == case.answer["usage"]
    compatibility.note(_TABLE, "`.stream` helper", "streamed, async", "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_count_tokens(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        return web.json_response({"input_tokens": 403})

    recorder.handler = handler
    asked = {"messages": answers.QUESTION, "tools": [answers.TOOL], "system": "Be brief."}
    async with mode.using(_client(server, mode)) as client:
        counted = await mode.call(client.messages.count_tokens, model="claude", **asked)
        assert counted == {"input_tokens": 403}
        assert recorder.seen[0].path == "/v1/messages/count_tokens"
        assert recorder.seen[0].body == {**asked, "model": "up-claude"}
        estimated = await mode.run(client.messages.count_tokens, model="gpt", **asked)
    assert 20 < estimated.input_tokens < 200
    assert len(recorder.seen) == 1, "another provider's model is counted by us"
    compatibility.note(_TABLE, "count_tokens", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_models(mode: Mode, server: str, compatibility: Page) -> None:
    async with mode.using(_client(server, mode)) as client:
        page = await mode.run(client.models.list)
        one = await mode.run(client.models.retrieve, "claude")
    assert {"auto", "auto:cheap", "gpt", "claude"} <= {model.id for model in page.data}
    assert (one.id, one.type) == ("claude", "model")
    compatibility.note(_TABLE, "models.list, models.retrieve", mode.name, "✓")


@pytest.mark.parametrize("mode", MODES, ids=str)
async def test_the_raw_response_has_our_headers(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    recorder.handler = _plain
    streamed = {"stream": True} if mode.stream else {}
    async with mode.using(_client(server, mode)) as client:
        raw = await mode.run(client.messages.with_raw_response.create, **_ASK, **streamed)
        answer = raw.parse()
        if mode.asynchronous:
            answer = await answer
        if mode.stream:
            await mode.drain(answer, [])
    assert raw.headers["x-mmrouter-model"] == "claude"
    assert raw.headers["request-id"] == raw.headers["x-mmrouter-request-id"]
    if not mode.stream:
        assert answer._request_id == raw.headers["request-id"]
        assert raw.headers["x-mmrouter-cache-read-tokens"] == "8000"
        assert raw.headers["x-mmrouter-cache-creation-tokens"] == "2051"
        assert float(raw.headers["x-mmrouter-cost"]) > 0
    compatibility.note(_TABLE, "`.with_raw_response`, `X-MMRouter-*` headers", mode.name, "✓")


def _refuse(status: int, kind: str, **headers: str) -> Handler:
    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        error = {"type": "error", "error": {"type": kind, "message": "Nope."}, "request_id": "r"}
        return web.json_response(error, status=status, headers=headers)

    return handler


_BAD, _KEY, _LIMITED = "invalid_request_error", "authentication_error", "rate_limit_error"
ERRORS: list[tuple[type[anthropic.APIStatusError], int, str, Handler]] = [
    (anthropic.BadRequestError, 400, _BAD, _refuse(400, _BAD)),
    (anthropic.AuthenticationError, 401, _KEY, _refuse(401, _KEY)),
    (anthropic.RateLimitError, 429, _LIMITED, _refuse(429, _LIMITED, **{"retry-after": "7"})),
    (anthropic.InternalServerError, 502, "api_error", _refuse(500, "api_error")),
    (anthropic.InternalServerError, 502, "not_found_error", _refuse(404, "not_found_error")),
    (anthropic.InternalServerError, 502, "overloaded_error", _refuse(529, "overloaded_error")),
    (anthropic.InternalServerError, 504, "timeout_error", _refuse(504, "timeout_error")),
]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize(("kind", "status", "word", "handler"), ERRORS)
async def test_an_upstreams_error_is_raised_as_its_class(
    kind: type[anthropic.APIStatusError],
    status: int,
    word: str,
    handler: Handler,
    mode: Mode,
    server: str,
    recorder: Upstream,
    compatibility: Page,
) -> None:
    recorder.handler = handler
    async with mode.using(_client(server, mode)) as client:
        with pytest.raises(kind) as caught:
            await mode.call(client.messages.create, **_ASK)
    error = caught.value
    body: Any = error.body
    assert error.status_code == status
    assert body["type"] == "error"
    assert body["error"]["type"] == word
    assert "Nope." in body["error"]["message"]
    assert body["error"]["attempts"] == 1
    assert error.request_id == body["request_id"]
    assert str(error.request_id).startswith("req_")
    if status == 429:
        assert error.response.headers["retry-after"] == "7"
    compatibility.note(_ERRORS, f"{kind.__name__} ({status}, {word})", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_our_own_refusals_are_raised_as_their_classes(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    refused: list[tuple[type[anthropic.APIStatusError], int, str, Json]] = [
        (anthropic.NotFoundError, 404, "not_found_error", {"model": "nobody"}),
        (
            anthropic.PermissionDeniedError,
            403,
            "permission_error",
            {"extra_headers": {"Origin": "https://evil.example"}},
        ),
        (anthropic.BadRequestError, 400, _BAD, {"messages": []}),
        (anthropic.BadRequestError, 400, _BAD, {"extra_body": {"api_base": "http://evil.example"}}),
        (
            anthropic.ContentTooLargeError,
            413,
            "request_too_large",
            {"extra_body": {"x": "x" * 33 * 1024 * 1024}},
        ),
    ]
    async with mode.using(_client(server, mode)) as client:
        for kind, status, word, changes in refused:
            with pytest.raises(kind) as caught:
                await mode.run(client.messages.create, **{**_ASK, **changes})
            body: Any = caught.value.body
            assert caught.value.status_code == status
            assert body["error"]["type"] == word
            assert str(caught.value.request_id).startswith("req_")
            compatibility.note(_ERRORS, f"{kind.__name__} ({status}, {word})", mode.name, "✓")
    assert not recorder.seen


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_the_sdk_waits_as_long_as_the_upstream_asks(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    moments: list[float] = []

    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        moments.append(time.monotonic())
        refused = _refuse(429, _LIMITED, **{"retry-after": "1"})
        return await (refused if len(moments) == 1 else _plain)(request, body)

    recorder.handler = handler
    async with mode.using(_client(server, mode, max_retries=1)) as client:
        got = await mode.run(client.messages.create, **_ASK)
    assert got.content[0].text == "12 °C."
    assert moments[1] - moments[0] >= 0.95, "left to itself the SDK waits half a second at most"
    compatibility.note(_ERRORS, "Retry-After respected by the SDK", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_a_clients_timeout_is_raised_and_cancels_the_upstream(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    cancelled = threading.Event()

    async def hang(request: web.Request, body: Json) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    recorder.handler = hang
    async with mode.using(_client(server, mode, timeout=0.3)) as client:
        with pytest.raises(anthropic.APITimeoutError):
            await mode.run(client.messages.create, **_ASK)
    assert await asyncio.to_thread(cancelled.wait, 5)
    compatibility.note(_ERRORS, "APITimeoutError; the upstream is cancelled", mode.name, "✓")


@pytest.mark.parametrize("mode", [m for m in MODES if m.stream], ids=str)
async def test_an_error_inside_a_stream_is_raised_after_what_had_arrived(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    first = answers.events(answers.whole())[0]

    async def cut(request: web.Request, body: Json) -> web.StreamResponse:
        return await send(request, [_line(first)])

    recorder.handler = cut
    arrived: list[Any] = []
    async with mode.using(_client(server, mode)) as client:
        with pytest.raises(anthropic.APIStatusError, match="cut its stream off") as caught:
            stream = await mode.run(client.messages.create, **_ASK, stream=True)
            await mode.drain(stream, arrived)
    assert [event.to_dict() for event in arrived] == [first]
    body: Any = caught.value.body
    assert body["error"]["type"] == "api_error"
    assert body["request_id"].startswith("req_")
    compatibility.note(_ERRORS, "APIStatusError inside a stream", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
@pytest.mark.parametrize("way", ["api_key", "auth_token"])
async def test_keys(
    way: str, mode: Mode, recorder: Upstream, tmp_path: Path, compatibility: Page
) -> None:
    key = "mmr-" + "k" * 43
    recorder.handler = _plain
    config = two_dialects(recorder.base_url, server={"keys": {"ann": {"hash": hash_key(key)}}})
    with serving(config, f"sqlite:///{tmp_path / 'books.db'}") as served:
        for given in (key, "mmr-wrong"):
            options = {"api_key": None, way: given}
            async with mode.using(_client(served.url, mode, **options)) as client:
                if given == key:
                    await mode.run(client.messages.create, **_ASK)
                    continue
                with pytest.raises(anthropic.AuthenticationError) as caught:
                    await mode.run(client.messages.create, **_ASK)
    assert len(recorder.seen) == 1
    assert key not in json.dumps(recorder.seen[0].headers)
    assert "mmr-wrong" not in str(caught.value)
    row = "AuthenticationError (401, authentication_error)"
    compatibility.note(_ERRORS, row, mode.name, "✓")
