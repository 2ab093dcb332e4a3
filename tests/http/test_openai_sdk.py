"""The official `openai` SDK against the server, over a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from mmrouter.server.auth import hash_key
from tests.http.serving import serving
from tests.support import openai_answers as answers
from tests.support.configs import two_dialects
from tests.support.openai_answers import CHAT, RESPONSES, Case
from tests.support.sdk import MODES, WHOLE, Mode, modes_of
from tests.support.tables import Page
from tests.support.upstream import DONE, Handler, Upstream, chat, send

_CHAT = "Chat Completions: the `openai` SDK"
_RESPONSES = "Responses: the `openai` SDK"
_OTHERS = "Other endpoints: the `openai` SDK"


def _client(server: str, mode: Mode, **options: Any) -> Any:
    kind = AsyncOpenAI if mode.asynchronous else OpenAI
    return kind(base_url=f"{server}/v1", **{"api_key": "none", "max_retries": 0, **options})


def _replay(case: Case, *, named: bool) -> Handler:
    """Answers as the case says; a chat stream tells its usage when asked, as OpenAI does."""

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response(case.answer)
        events = list(case.events or ())
        if (body.get("stream_options") or {}).get("include_usage") and events[-1]["choices"]:
            events.append(answers.chunk([], usage=answers.USAGE))
        lines = [
            (f"event: {e['type']}\n" if named else "") + f"data: {json.dumps(e)}\n\n"
            for e in events
        ]
        return await send(request, [*(line.encode() for line in lines), *([] if named else [DONE])])

    return handler


@pytest.mark.parametrize(("case", "mode"), modes_of(CHAT))
async def test_chat(
    case: Case, mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    recorder.handler = _replay(case, named=False)
    async with mode.using(_client(server, mode)) as client:
        got = await mode.call(client.chat.completions.create, model="gpt", **case.request)
    expected = {**case.sent, "model": "up-gpt"}
    if mode.stream:
        expected |= {"stream": True, "stream_options": {"include_usage": True}}
    assert recorder.seen[0].body == expected
    assert got == (case.events if mode.stream else case.answer)
    compatibility.note(_CHAT, case.name, mode.name, "✓")


@pytest.mark.parametrize(("case", "mode"), modes_of(RESPONSES))
async def test_responses(
    case: Case, mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    recorder.handler = _replay(case, named=True)
    async with mode.using(_client(server, mode)) as client:
        got = await mode.call(client.responses.create, model="gpt", **case.request)
    expected = {**case.sent, "model": "up-gpt"} | ({"stream": True} if mode.stream else {})
    assert recorder.seen[0].body == expected
    assert recorder.seen[0].path == "/v1/responses"
    assert got == (case.events if mode.stream else case.answer)
    compatibility.note(_RESPONSES, case.name, mode.name, "✓")


class Weather(BaseModel):
    """What the schema of the tests describes."""

    city: str
    unit: str


def _case(name: str, cases: list[Case] = CHAT) -> Case:
    return next(case for case in cases if case.name.startswith(name))


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_parse_gives_objects(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    expected = Weather(city="Paris", unit="°C")
    async with mode.using(_client(server, mode)) as client:
        recorder.handler = _replay(_case("response_format"), named=False)
        got = await mode.run(
            client.chat.completions.parse,
            model="gpt",
            messages=answers.QUESTION,
            response_format=Weather,
        )
        assert got.choices[0].message.parsed == expected
        recorder.handler = _replay(_case("structured output", RESPONSES), named=True)
        got = await mode.run(
            client.responses.parse, model="gpt", input="Weather?", text_format=Weather
        )
        assert got.output_parsed == expected
    chat, responses = (seen.body for seen in recorder.seen)
    assert chat["response_format"]["json_schema"]["strict"] is True
    assert responses["text"]["format"]["schema"]["required"] == ["city", "unit"]
    compatibility.note(_CHAT, "`.parse`: answers as objects", mode.name, "✓")
    compatibility.note(_RESPONSES, "`.parse`: answers as objects", mode.name, "✓")


async def test_stream_helpers_give_the_whole_at_the_end(
    server: str, recorder: Upstream, compatibility: Page
) -> None:
    async with AsyncOpenAI(base_url=f"{server}/v1", api_key="none") as client:
        case = _case("tools, parallel")
        recorder.handler = _replay(case, named=False)
        async with client.chat.completions.stream(model="gpt", **case.request) as stream:
            final = await stream.get_final_completion()
        calls = final.choices[0].message.tool_calls
        assert calls is not None
        assert [call.function.arguments for call in calls] == ['{"city": "Paris"}'] * 2
        case = _case("text", RESPONSES)
        recorder.handler = _replay(case, named=True)
        async with client.responses.stream(model="gpt", **case.request) as events:
            async for _ in events:
                pass
            assert (await events.get_final_response()).output_text == "12 °C."
    compatibility.note(_CHAT, "`.stream` helper", "streamed, async", "✓")
    compatibility.note(_RESPONSES, "`.stream` helper", "streamed, async", "✓")


@pytest.mark.parametrize("mode", MODES, ids=str)
async def test_the_raw_response_has_our_headers(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    async with mode.using(_client(server, mode)) as client:
        raw = await mode.run(
            client.chat.completions.with_raw_response.create,
            model="auto",
            messages=answers.QUESTION,
            **({"stream": True} if mode.stream else {}),
        )
        answer = raw.parse()
        if mode.stream:
            await mode.drain(answer, [])
    headers = raw.headers
    assert headers["x-mmrouter-model"] == "gpt"
    assert headers["x-mmrouter-provider"] == "at-openai"
    assert headers["x-mmrouter-complexity"] in ("simple", "medium", "complex")
    assert headers["x-mmrouter-category"] in ("factual", "reasoning", "creative", "code")
    assert 0 <= float(headers["x-mmrouter-confidence"]) <= 1
    assert int(headers["x-mmrouter-attempts"]) == 1
    assert float(headers["x-mmrouter-overhead-ms"]) > 0
    assert headers["x-mmrouter-decision"]
    for name in ("fallback", "escalated", "budget-downgraded", "adaptive-reranked"):
        assert headers[f"x-mmrouter-{name}"] in ("true", "false")
    assert headers["x-mmrouter-request-id"] == headers["x-request-id"]
    if not mode.stream:
        assert answer._request_id == headers["x-mmrouter-request-id"]
        assert headers["x-mmrouter-cost"] == "0.000018000"
        assert headers["x-mmrouter-cache-read-tokens"] == "0"
        assert headers["x-mmrouter-cache-creation-tokens"] == "0"
    compatibility.note(_CHAT, "`.with_raw_response`, `X-MMRouter-*` headers", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_request_controls_travel_as_extra_headers(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    async with mode.using(_client(server, mode)) as client:
        controls = {
            "X-MMRouter-Session": "s-1",
            "X-MMRouter-Max-Cost": "0.5",
            "X-MMRouter-Tags": "a, b",
            "X-MMRouter-Dry-Run": "true",
        }
        decided = await mode.run(
            client.chat.completions.create,
            model="auto:best",
            messages=answers.QUESTION,
            extra_headers=controls,
        )
        assert decided.object == "mmrouter.decision"
        assert decided.candidates[0]["model"] == "gpt"
        assert not recorder.seen
        with pytest.raises(openai.BadRequestError, match="X-MMRouter-Max-Cost"):
            await mode.run(
                client.chat.completions.create,
                model="auto",
                messages=answers.QUESTION,
                extra_headers={"X-MMRouter-Max-Cost": "much"},
            )
    compatibility.note(_CHAT, "`X-MMRouter-*` controls, dry run", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_embeddings(mode: Mode, server: str, recorder: Upstream, compatibility: Page) -> None:
    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(answers.EMBEDDING_WHOLE)

    recorder.handler = handler
    arguments = {"input": ["a", "é"], "dimensions": 3, "encoding_format": "float", "user": "u"}
    async with mode.using(_client(server, mode)) as client:
        got = await mode.call(client.embeddings.create, model="gpt", **arguments)
    assert recorder.seen[0].path == "/v1/embeddings"
    assert recorder.seen[0].body == {**arguments, "model": "up-gpt"}
    assert got == answers.EMBEDDING_WHOLE
    compatibility.note(_OTHERS, "embeddings", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_models(mode: Mode, server: str, compatibility: Page) -> None:
    async with mode.using(_client(server, mode)) as client:
        page = await mode.run(client.models.list)
        one = await mode.run(client.models.retrieve, "claude")
        with pytest.raises(openai.NotFoundError):
            await mode.run(client.models.retrieve, "nobody")
    names = [model.id for model in page.data]
    assert names[:4] == ["auto", "auto:cheap", "auto:balanced", "auto:best"]
    assert {"gpt", "claude"} <= set(names)
    assert (one.id, one.object, one.owned_by) == ("claude", "model", "at-anthropic")
    compatibility.note(_OTHERS, "models.list, models.retrieve", mode.name, "✓")


_SAID = {"message": "Nope.", "type": "some_type", "code": "some_code", "param": "messages"}


def _refuse(status: int, **headers: str) -> Handler:
    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": _SAID}, status=status, headers=headers)

    return handler


ERRORS: list[tuple[type[openai.APIStatusError], int, Handler]] = [
    (openai.BadRequestError, 400, _refuse(400)),
    (openai.BadRequestError, 400, _refuse(422)),
    (openai.AuthenticationError, 401, _refuse(401)),
    (openai.RateLimitError, 429, _refuse(429, **{"retry-after": "7"})),
    (openai.InternalServerError, 502, _refuse(500)),
    (openai.InternalServerError, 502, _refuse(404)),
    (openai.InternalServerError, 504, _refuse(504)),
]
_ERRORS_TABLE = "Errors: the `openai` SDK"


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize(("kind", "status", "handler"), ERRORS)
async def test_an_upstreams_error_is_raised_as_its_class(
    kind: type[openai.APIStatusError],
    status: int,
    handler: Handler,
    mode: Mode,
    server: str,
    recorder: Upstream,
    compatibility: Page,
) -> None:
    recorder.handler = handler
    async with mode.using(_client(server, mode)) as client:
        for create, given in (
            (client.chat.completions.create, {"messages": answers.QUESTION}),
            (client.responses.create, {"input": "Weather?"}),
        ):
            with pytest.raises(kind) as caught:
                await mode.call(create, model="gpt", **given)
            error = caught.value
            assert error.status_code == status
            assert (error.type, error.code, error.param) == ("some_type", "some_code", "messages")
            assert "Nope." in error.message
            assert isinstance(error.body, dict)
            assert error.body["attempts"] == 1
            assert error.request_id == error.body["request_id"]
            assert str(error.request_id).startswith("req_")
            if status == 429:
                assert error.response.headers["retry-after"] == "7"
    compatibility.note(_ERRORS_TABLE, f"{kind.__name__} ({status})", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_our_own_refusals_are_raised_as_their_classes(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    deep: list[Any] = []
    for _ in range(70):
        deep = [deep]
    refused: list[tuple[type[openai.APIStatusError], int, dict[str, Any]]] = [
        (openai.NotFoundError, 404, {"model": "nobody"}),
        (openai.PermissionDeniedError, 403, {"extra_headers": {"Origin": "https://evil.example"}}),
        (openai.BadRequestError, 400, {"messages": []}),
        (openai.BadRequestError, 400, {"extra_body": {"x": deep}}),
        (openai.BadRequestError, 400, {"extra_body": {"api_base": "http://evil.example"}}),
        (openai.APIStatusError, 413, {"extra_body": {"x": "x" * 33 * 1024 * 1024}}),
    ]
    async with mode.using(_client(server, mode)) as client:
        for kind, status, changes in refused:
            given = {"model": "gpt", "messages": answers.QUESTION, **changes}
            with pytest.raises(kind) as caught:
                await mode.run(client.chat.completions.create, **given)
            assert caught.value.status_code == status
            assert str(caught.value.request_id).startswith("req_")
            compatibility.note(_ERRORS_TABLE, f"{kind.__name__} ({status})", mode.name, "✓")
    assert not recorder.seen


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_the_sdk_waits_as_long_as_the_upstream_asks(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    moments: list[float] = []

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        moments.append(time.monotonic())
        first = len(moments) == 1
        return await (_refuse(429, **{"retry-after": "1"}) if first else chat)(request, body)

    recorder.handler = handler
    async with mode.using(_client(server, mode, max_retries=1)) as client:
        got = await mode.run(client.chat.completions.create, model="gpt", messages=answers.QUESTION)
    assert got.choices[0].message.content == "Paris."
    assert moments[1] - moments[0] >= 0.95, "left to itself the SDK waits half a second at most"
    compatibility.note(_ERRORS_TABLE, "Retry-After respected by the SDK", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_a_clients_timeout_is_raised_and_cancels_the_upstream(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    cancelled = threading.Event()

    async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    recorder.handler = hang
    async with mode.using(_client(server, mode, timeout=0.3)) as client:
        with pytest.raises(openai.APITimeoutError):
            await mode.run(client.chat.completions.create, model="gpt", messages=answers.QUESTION)
    assert await asyncio.to_thread(cancelled.wait, 5)
    compatibility.note(_ERRORS_TABLE, "APITimeoutError; the upstream is cancelled", mode.name, "✓")


@pytest.mark.parametrize("mode", [m for m in MODES if m.stream], ids=str)
async def test_an_error_inside_a_stream_is_raised_after_what_had_arrived(
    mode: Mode, server: str, recorder: Upstream, compatibility: Page
) -> None:
    chat_event, response_event = (
        answers.texts("12")[0],
        answers.response_events(answers.response())[0],
    )

    async def cut(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        event = chat_event if request.path.endswith("completions") else response_event
        return await send(request, [b"data: " + json.dumps(event).encode() + b"\n\n"])

    recorder.handler = cut
    async with mode.using(_client(server, mode)) as client:
        for create, given, first in (
            (client.chat.completions.create, {"messages": answers.QUESTION}, chat_event),
            (client.responses.create, {"input": "Weather?"}, response_event),
        ):
            arrived: list[Any] = []
            with pytest.raises(openai.APIError, match="cut its stream off") as caught:
                await mode.drain(await mode.run(create, model="gpt", stream=True, **given), arrived)
            assert [event.to_dict() for event in arrived] == [first]
            assert caught.value.code == "provider_protocol_error"
            assert isinstance(caught.value.body, dict)
            assert caught.value.body["request_id"].startswith("req_")
    compatibility.note(_ERRORS_TABLE, "APIError inside a stream", mode.name, "✓")


@pytest.mark.parametrize("mode", WHOLE, ids=str)
async def test_keys(mode: Mode, recorder: Upstream, tmp_path: Path, compatibility: Page) -> None:
    key = "mmr-" + "k" * 43
    config = two_dialects(recorder.base_url, server={"keys": {"ann": {"hash": hash_key(key)}}})
    with serving(config, f"sqlite:///{tmp_path / 'books.db'}") as served:
        async with mode.using(_client(served.url, mode, api_key=key)) as client:
            await mode.run(client.chat.completions.create, model="gpt", messages=answers.QUESTION)
        async with mode.using(_client(served.url, mode, api_key="mmr-wrong")) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                await mode.run(
                    client.chat.completions.create, model="gpt", messages=answers.QUESTION
                )
    assert len(recorder.seen) == 1
    assert key not in json.dumps(recorder.seen[0].headers)
    assert "mmr-wrong" not in str(caught.value)
    compatibility.note(_ERRORS_TABLE, "AuthenticationError (401)", mode.name, "✓")
