"""The books balance, to the nano-dollar, whatever becomes of requests on whatever surface.

The server runs on a real socket over real databases, its counters in a real Redis; upstreams fail
on the wire. What is compared are three sums that are made independently: requests, attempts, and
the budget's counter; and the calls that upstreams saw.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product

import pytest
from aiohttp import web
from sqlalchemy import func, select

from mmrouter import Config
from mmrouter.bootstrap import open_budget
from mmrouter.decide.budget import Balance
from mmrouter.router.budget import Audited
from mmrouter.tracker import schema
from mmrouter.tracker.store import Filter, Store, open_store
from tests.http.processes import eventually
from tests.http.serving import CHAT, Served, serving
from tests.support.configs import PRICE, one_route
from tests.support.faults import FAULTS, healthy
from tests.support.openai_answers import Json
from tests.support.upstream import Upstream, completion, running

MESSAGES, RESPONSES, EMBEDDINGS = "/v1/messages", "/v1/responses", "/v1/embeddings"
LABEL = '{"complexity": "simple", "category": "factual", "difficulty": 0.1, "confidence": 0.9}'
RESENT = "reset"
"""A kept connection may just be too old when it is reset before any answer: the call is sent again,
as the same attempt (`providers/wire.py`)."""
MISHAPS = ("500", "429", RESENT, "cut inside", "reset inside the body", "error reported inside")


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        leaves: the client goes away once the upstream is at work, in the middle of the answer
            where there is one.
    """

    path: str
    body: Json
    headers: dict[str, str] = field(default_factory=dict)
    leaves: bool = False


def asking(path: str, model: str, *, stream: bool, text: str = "") -> Json:
    body: Json = {"model": model, "stream": stream}
    question = f"{text} Which river runs through Rome?"
    if path == RESPONSES:
        return {**body, "input": question, "max_output_tokens": 100}
    turns = [{"role": "user", "content": question}]
    return {**body, "messages": turns, "max_tokens": 100}


def cases() -> Iterator[Case]:
    """A day's mischief: every surface, streamed and whole, well and badly ended."""
    number = 0
    for path, stream in product((CHAT, MESSAGES, RESPONSES), (False, True)):
        named = "claude" if path == MESSAGES else "weak"  # nobody stands behind it
        for model, fault in product(("auto", named), ("", *MISHAPS)):
            number += 1  # no two are alike, so that each is classified anew
            marked = {"X-MMRouter-Tags": fault} if fault == RESENT else {}
            yield Case(path, asking(path, model, stream=stream, text=f"{number} [{fault}]"), marked)
        for model, fault in ((named, "never-ending"), (named, "hang"), ("auto", "hang")):
            number += 1
            yield Case(
                path, asking(path, model, stream=stream, text=f"{number} [{fault}]"), leaves=True
            )
        for headers in ({"X-MMRouter-Max-Cost": "0.0000001"}, {"X-MMRouter-Tags": "poor"}):
            yield Case(path, asking(path, named, stream=stream), headers)
    for text in ("one", "two", "[500]"):
        yield Case(EMBEDDINGS, {"model": "embed", "input": text})


async def upstream_of_all(request: web.Request, body: Json) -> web.StreamResponse:
    """Every model's answer: it fails as the prompt says, but for the strong one's."""
    text = json.dumps(body)
    fault = match[1] if (match := re.search(r"\[([\w -]*)\]", text)) else ""
    match body["model"]:
        case "up-clerk":
            return web.json_response(completion(LABEL))
        case "up-judge":
            score = random.Random(text).choice((2, 5))
            return web.json_response(completion(json.dumps({"score": score, "why": "so"})))
        case "up-embed" if not fault:
            row = {"object": "embedding", "index": 0, "embedding": [0.5]}
            usage = {"prompt_tokens": 2, "total_tokens": 2}
            return web.json_response({"object": "list", "data": [row], "usage": usage})
        case "up-strong":
            return await healthy(request, body)
    return await FAULTS.get(fault, healthy)(request, body)


def config_of(upstream: Upstream, redis_url: str) -> Config:
    models = {
        name: {
            "provider": "at-anthropic" if name == "claude" else "at-openai",
            "upstream": f"up-{name}",
            "price": PRICE,
            "context_window": 100_000,
        }
        for name in ("weak", "strong", "claude", "clerk", "judge", "embed")
    }
    return Config.model_validate(
        {
            "routes": one_route("strong", "claude", cascade=("weak", "strong")),
            "classifier": {"strategy": "llm", "model": "clerk", "threshold": 0},
            "cascade": {
                "enabled": True,
                "strategy": "llm_judge",
                "judge_model": "judge",
                "min_response_length": 0,
            },
            "provider": {
                "max_retries": 1,
                "timeout_ms": 15_000,
                "retry_budget": 10,
                "circuit_breaker_threshold": 1_000_000,
            },
            "providers": {
                "at-openai": {"base_url": upstream.base_url},
                "at-anthropic": {"kind": "anthropic", "base_url": upstream.base_url},
            },
            "models": models,
            "budget": {
                "enabled": True,
                "daily_limit": 1000,
                "monthly_limit": 10_000,
                "tags": {"poor": {"daily_limit": 0}},
                "hard_limit_action": "reject",
            },
            "state": {"url": redis_url},
        }
    )


def send(served: Served, upstream: Upstream, case: Case) -> str | None:
    """Sends one request; its id, where the client learns it."""
    if not case.leaves:
        try:
            answer = served.ask("POST", case.path, case.body, case.headers)
        except (http.client.HTTPException, ConnectionError):
            return None  # the answer broke off
        return answer.headers.get("x-mmrouter-request-id")
    raw = json.dumps(case.body).encode()
    number = re.search(rb"\d+ \[[\w -]+\]", raw)
    head = f"POST {case.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
        eventually(
            lambda: any(
                number and number[0] in one.raw and one.body["model"] != "up-clerk"
                for one in upstream.seen
            )
        )
        connection.settimeout(0.2)
        with suppress(TimeoutError):
            connection.recv(4096)
    return None


@pytest.fixture
def books(books_url: str) -> Iterator[Store]:
    store = open_store(books_url)
    yield store
    store.close()


def test_sums_of_requests_attempts_and_counters_are_one(
    books: Store, books_url: str, redis_url: str
) -> None:
    # the first is translated: it waits for LiteLLM to be imported, and so do no others
    first = Case(MESSAGES, asking(MESSAGES, "strong", stream=False))
    others = list(cases())
    random.Random(4).shuffle(others)
    listed = [first, *others]
    with running(upstream_of_all) as upstream:
        config = config_of(upstream, redis_url)
        with serving(config, books_url) as served, ThreadPoolExecutor(12) as clients:
            ended = [send(served, upstream, first)]
            ended += clients.map(lambda case: send(served, upstream, case), others)
            # who leaves is not told when his row is written
            eventually(lambda: _written(books) >= len(listed))
    resent = f"[{RESENT}]".encode()
    seen = Counter(one.body["model"] for one in upstream.seen if resent not in one.raw)
    rows = list(books.rows(Filter()))
    attempts = books.attempts([row["id"] for row in rows])

    assert len(rows) == len(listed), "one row for each request"
    assert {id for id in ended if id} <= {row["id"] for row in rows}
    once = {row["id"] for row in rows if RESENT not in row["tags"]}
    made = [attempt for attempt in attempts if attempt["request_id"] in once]
    recorded = Counter(attempt["upstream"] for attempt in made)
    assert seen <= recorded, "each call that an upstream saw is an attempt"
    unanswered = Counter(a["upstream"] for a in made if a["status"] in ("failed", "cancelled"))
    assert recorded - seen <= unanswered, "some ended before they had reached it"
    assert {row["status"] for row in rows} == {"ok", "failed", "cancelled", "refused"}
    assert {row["dialect"] for row in rows} == {"chat", "messages", "responses", "embeddings"}
    roles = {attempt["role"] for attempt in attempts}
    assert roles >= {"cascade", "fallback", "explicit", "classifier", "judge"}, roles
    states = {attempt["status"] for attempt in attempts}
    assert states == {"ok", "failed", "rejected", "cancelled"}

    by_request = sum(row["cost_nanos"] for row in rows)
    by_attempt = sum(attempt["cost_nanos"] for attempt in attempts)
    assert by_request == by_attempt > 0
    audited = {row.limit.title: row for row in asyncio.run(_audit(config, books))}
    for limit in ("daily limit", "monthly limit"):
        assert (audited[limit].balance, audited[limit].drift_nanos) == (Balance(by_request, 0), 0)
    assert audited["daily limit of tag 'poor'"].balance == Balance(0, 0)
    assert books.verify() == []


async def _audit(config: Config, books: Store) -> list[Audited]:
    """As `mmrouter budget audit`: from another process than the server's."""
    budget = open_budget(config, books)
    try:
        return await budget.audit()
    finally:
        await budget.aclose()


def _written(books: Store) -> int:
    with books.read() as connection:
        return int(connection.execute(select(func.count(schema.requests.c.id))).scalar_one())
