"""What is refused, how, and that nobody was called for it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from mmrouter.config.schema import Config
from mmrouter.errors import ConfigError
from mmrouter.server.auth import hash_key
from mmrouter.server.protocol import Protocol
from mmrouter.server.run import refuse_open_door
from tests.http.serving import CHAT, HELLO, Served, serving
from tests.support.configs import config_for
from tests.support.upstream import Upstream, failing

ASK = [{"role": "user", "content": "hi"}]
DEEP = b'{"messages": ' + b"[" * 200 + b"]" * 200 + b"}"

BODIES: list[tuple[str, bytes, int]] = [
    ("no JSON", b"hello", 400),
    ("empty", b"", 400),
    ("broken UTF-8", b'{"messages": "\xff"}', 400),
    ("NaN", b'{"messages": [{"role": "user", "content": NaN}]}', 400),
    ("no object", b"[1]", 400),
    ("deep", DEEP, 400),
    ("deeper than the parser", b"[" * 9_000, 400),
    ("no messages", b"{}", 400),
    ("messages no list", b'{"messages": "hi"}', 400),
    ("no message", b'{"messages": []}', 400),
    ("messages no objects", b'{"messages": ["hi"]}', 400),
    ("model no string", b'{"model": 1, "messages": [{}]}', 400),
    ("stream no bool", b'{"stream": "yes", "messages": [{}]}', 400),
    ("unknown dial", b'{"model": "auto:fast", "messages": [{}]}', 400),
    ("unknown model", b'{"model": "nobody", "messages": [{}]}', 404),
    ("a URL", b'{"api_base": "http://x", "messages": [{}]}', 400),
    ("a URL too", b'{"base_url": "http://x", "messages": [{}]}', 400),
    ("a key", b'{"api_key": "sk", "messages": [{}]}', 400),
    ("a cloud key", b'{"aws_secret_access_key": "sk", "messages": [{}]}', 400),
    ("too long", b'{"messages": "' + b"x" * 20_000 + b'"}', 413),
    ("too many", json.dumps({"messages": ASK * 11}).encode(), 400),
]


@pytest.fixture
def server(upstream: Upstream, db: str) -> Iterator[Served]:
    """Without a key, over one OpenAI-compatible upstream."""
    with serving(config_for({"m": upstream.base_url}), db) as served:
        yield served


@pytest.fixture
def small(upstream: Upstream, db: str) -> Iterator[Served]:
    limits = {"max_body_bytes": 10_000, "max_messages": 10, "max_json_depth": 20}
    with serving(config_for({"m": upstream.base_url}, server=limits), db) as served:
        yield served


def test_bodies(small: Served, upstream: Upstream) -> None:
    for name, body, status in BODIES:
        for path in (CHAT, "/v1/messages"):
            answer = small.ask("POST", path, body)
            assert (name, answer.status) == (name, status) or path != CHAT
            assert 400 <= answer.status < 500
            error = answer.json["error"]
            assert error["message"]
            assert error["type"]
            assert ("type" in answer.json) == (path != CHAT)
    # up to the limit all is well
    assert small.ask("POST", CHAT, {"messages": ASK * 10}).status == 200
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "Application/JSON; charset=utf-8"}, 200),
        ({"X-MMRouter-Max-Cost": "much"}, 400),
        ({"X-MMRouter-Max-Cost": "-1"}, 400),
        ({"X-MMRouter-Max-Cost": "NaN"}, 400),
        ({"X-MMRouter-Max-Cost": "1e999"}, 400),
        ({"X-MMRouter-Dry-Run": "perhaps"}, 400),
        ({"X-MMRouter-Session": "s" * 201}, 400),
        ({"X-MMRouter-Tags": ",".join("abcdefghijklmnopqrstuvwxyz")}, 400),
        ({"X-MMRouter-Tags": "t" * 65}, 400),
        ({"x-long": "x" * 70_000}, 431),
    ],
)
def test_headers(server: Served, headers: dict[str, str], status: int) -> None:
    answer = server.chat(headers)
    assert answer.status == status
    assert "error" in answer.json or status == 200


def test_paths_and_methods(server: Served) -> None:
    assert server.ask("GET", "/nowhere").status == 404
    answer = server.ask("GET", CHAT)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert server.ask("GET", "/v1/messages").json["type"] == "error"
    assert server.ask("OPTIONS", CHAT).status == 405


def test_what_is_no_http_gets_json(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(b"HELLO\r\n\r\n")
        answer = sock.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_a_head_without_end_is_not_kept(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nx: ")
        with pytest.raises(OSError):
            for _ in range(10_000):
                sock.sendall(b"x" * 10_000)


def test_a_huge_body_is_refused_while_it_is_sent(server: Served) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(50):
            yield b"x" * 2**20

    import http.client

    for length in ({"content-length": str(50 * 2**20)}, {"transfer-encoding": "chunked"}):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"content-type": "application/json", **length}
        chunked = "transfer-encoding" in length
        connection.request("POST", CHAT, pieces(), headers, encode_chunked=chunked)
        response = connection.getresponse()
        assert response.status == 413
        assert json.loads(response.read())["error"]["code"] == "request_too_large"
        connection.close()


def test_a_body_too_long_that_comes_at_once_without_its_length(small: Served) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 15_000}]}).encode()
    request = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", small.port), timeout=5) as sock:
        sock.sendall(request.encode() + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
        assert sock.makefile("rb").readline().split()[1] == b"413"


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /health HTTP/1.1\r\nhost",
        f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 50\r\n\r\n".encode() + b"{",
    ],
)
def test_who_stops_in_the_middle_of_a_request_is_hung_up_on(
    server: Served, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(Protocol, "silence_s", 0.1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(begun)
        assert sock.recv(1000) == b""
    assert server.chat().status == 200


FOREIGN = [
    {"host": "evil.example"},
    {"host": "127.0.0.1.evil.example"},
    {"host": ""},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_foreign_pages_are_not_served(
    server: Served, upstream: Upstream, headers: dict[str, str]
) -> None:
    answer = server.chat(headers)
    assert answer.status == 403
    assert upstream.seen == []


def test_own_and_allowed_pages_are_served_without_cors(upstream: Upstream, db: str) -> None:
    limits = {"allowed_hosts": ["box.lan"]}
    with serving(config_for({"m": upstream.base_url}, server=limits), db) as server:
        own = f"127.0.0.1:{server.port}"
        answers = [
            server.chat({"origin": f"http://{own}", "host": own}),
            server.chat({"host": f"localhost:{server.port}"}),
            server.chat({"host": f"[::1]:{server.port}"}),
            server.chat({"host": "box.lan:80", "origin": "https://box.lan"}),
        ]
    assert [a.status for a in answers] == [200] * 4
    assert not any(name.startswith("access-control") for a in answers for name in a.headers)


def keyed(upstream: Upstream) -> Config:
    rows = {
        "ci": {"hash": hash_key("key-of-ci"), "tags": ["ci"], "requests_per_minute": 2},
        "ann": {"hash": hash_key("key-of-ann")},
    }
    return config_for({"m": upstream.base_url}, server={"keys": rows})


def test_keys(upstream: Upstream, db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMROUTER_API_KEY", "key-of-env")
    with serving(keyed(upstream), db) as server:
        for wrong in ({}, {"authorization": "Bearer no"}, {"authorization": "Basic key-of-ann"}):
            answer = server.chat(wrong)
            assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
        assert server.ask("GET", "/v1/models").status == 401
        assert server.ask("GET", "/health").status == 200
        assert server.chat({"authorization": "Bearer key-of-env"}).status == 200
        # a key lets in from anywhere
        named = server.chat({"x-api-key": "key-of-ann", "host": "router.example"})
        row = server.row(named.headers["x-mmrouter-request-id"])
        assert row is not None
        assert row["key_name"] == "ann"
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="no").models.list()
        with pytest.raises(anthropic.AuthenticationError):
            anthropic.Anthropic(base_url=server.url, api_key="no").models.list()


def test_requests_per_minute_and_tags_of_a_key(upstream: Upstream, db: str) -> None:
    with serving(keyed(upstream), db) as server:
        ci = {"authorization": "Bearer key-of-ci"}
        first = server.chat({**ci, "X-MMRouter-Tags": "more"})
        row = server.row(first.headers["x-mmrouter-request-id"])
        assert row is not None
        assert json.loads(row["tags"]) == ["ci", "more"]
        assert server.chat(ci).status == 200
        over = server.chat(ci)
        assert over.status == 429
        assert 1 <= int(over.headers["retry-after"]) <= 60
        assert server.chat({"x-api-key": "key-of-ann"}).status == 200


def test_the_door_stays_closed_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    open_config = config_for({"m": "http://127.0.0.1:1/v1"})
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1"):
        refuse_open_door(open_config, host)
    for host in ("0.0.0.0", "::", "192.168.1.1", "example.com", ""):
        with pytest.raises(ConfigError, match="API key"):
            refuse_open_door(open_config, host)
    monkeypatch.setenv("MMROUTER_API_KEY", "k")
    refuse_open_door(open_config, "0.0.0.0")


STATUSES: list[tuple[int, Any, Any]] = [
    (400, openai.BadRequestError, anthropic.BadRequestError),
    (401, openai.AuthenticationError, anthropic.AuthenticationError),
    (429, openai.RateLimitError, anthropic.RateLimitError),
    (500, openai.InternalServerError, anthropic.InternalServerError),
    (503, openai.InternalServerError, anthropic.InternalServerError),
]


@pytest.mark.parametrize(("status", "of_openai", "of_anthropic"), STATUSES)
def test_the_sdks_raise_their_own_classes(
    upstream: Upstream,
    db: str,
    status: int,
    of_openai: type[openai.APIStatusError],
    of_anthropic: type[anthropic.APIStatusError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.http import anthropic_upstream

    monkeypatch.setenv("TEST_ANTHROPIC_KEY", "sk-ant-secret")
    upstream.handler = failing(status, "because", {"retry-after": "7"})
    with serving(config_for({"m": upstream.base_url}), db) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
        with pytest.raises(of_openai) as raised:
            client.chat.completions.create(model="auto", messages=ASK)  # type: ignore[arg-type]
    error = raised.value
    assert "because" in str(error)
    assert error.request_id is not None
    assert error.request_id.startswith("req_")
    assert error.response.headers["retry-after"] == "7"
    assert error.response.headers["x-mmrouter-attempts"] == "1"
    assert error.body["type"] == "test"  # type: ignore[index]  # as the provider called it

    with serving(anthropic_upstream.config(upstream.base_url), f"{db}2") as server:
        claude = anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0)
        with pytest.raises(of_anthropic) as told:
            claude.messages.create(model="auto", max_tokens=9, messages=ASK)  # type: ignore[arg-type]
    assert told.value.body["type"] == "error"  # type: ignore[index]
    assert "sk-ant" not in told.value.response.text


def test_a_fault_of_ours_is_a_500_that_tells_nothing(upstream: Upstream, db: str) -> None:
    from mmrouter.router.parts import Parts

    def broken(parts: Parts) -> Parts:
        def nothing(*_: Any) -> Any:
            raise KeyError("/etc/secret")

        parts.policies.current.pipeline._plans = nothing
        return parts

    with serving(config_for({"m": upstream.base_url}), db, broken) as server:
        answer = server.ask("POST", CHAT, HELLO)
    assert answer.status == 500
    assert b"secret" not in answer.raw
    assert answer.json["error"]["request_id"].startswith("req_")
