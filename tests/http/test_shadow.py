"""A share of live answers is judged in the background: what for, at whose cost, within what."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

from aiohttp import web

from mmrouter.config import Config
from mmrouter.eval.pairwise import CRITERIA
from mmrouter.tracker import schema
from mmrouter.tracker.store import Filter, open_store
from tests.http.serving import serving
from tests.support.configs import config_for
from tests.support.upstream import Upstream, completion, send, stream_of

CALL = 12 * 1000 + 3 * 2000


def config(upstream: Upstream, **quality: Any) -> Config:
    plain = config_for({"a": upstream.base_url, "base": upstream.base_url}).model_dump()
    plain["models"]["judge"] = plain["models"]["base"] | {"upstream": "up-judge"}
    for bucket in plain["routes"].values():
        for route in bucket.values():
            route["fallbacks"] = []
    plain["baseline"] = "base"
    plain["quality"] = {"judge_model": "judge", "shadow": 1.0, **quality}
    return Config.model_validate(plain)


async def answering(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if body["model"] == "up-judge":
        marks = dict.fromkeys(CRITERIA, 4)
        said = {"first": marks, "second": marks, "better": "tie"}
        return web.json_response(completion(json.dumps(said)))
    if body.get("stream"):
        return await send(request, stream_of(["Par", "is", "."]))
    return web.json_response(completion())


def judgements(db: str, count: int) -> list[Any]:
    """The judgements in the books, once there are so many."""
    store = open_store(db)
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with store.read() as connection:
                found = list(connection.execute(schema.judgements.select()).all())
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError("the judgements did not come")
    finally:
        store.close()


def test_whole_and_streamed_answers_are_judged_and_named_models_are_not(
    upstream: Upstream, db: str
) -> None:
    upstream.handler = answering
    with serving(config(upstream), db) as served:
        served.chat(model="a")
        whole, streamed = served.chat(), served.chat(stream=True)
        found = judgements(db, 2)
    asked = {whole.headers["x-mmrouter-request-id"], streamed.headers["x-mmrouter-request-id"]}
    assert {row.request_id for row in found} == asked
    assert {(r.source, r.verdict, r.routed_model, r.baseline_model) for r in found} == {
        ("shadow", "tie", "a", "base")
    }
    assert {row.cost_nanos for row in found} == {3 * CALL}
    store = open_store(db)
    rows = store.page(Filter())
    store.close()
    assert sorted(row["surface"] for row in rows) == ["chat"] * 3 + ["quality"] * 6
    baseline = next(s.body for s in upstream.seen if s.body["model"] == "up-base")
    assert "stream" not in baseline
    assert baseline["max_tokens"] >= 1_024


def test_judging_has_a_budget_of_its_own_and_takes_nothing_from_clients(
    upstream: Upstream, db: str
) -> None:
    upstream.handler = answering
    with serving(config(upstream, daily_limit=0), db) as served:
        assert [served.chat().status for _ in range(3)] == [200] * 3
        found = judgements(db, 3)
    assert {row.verdict for row in found} == {None}
    assert all("limit of tag 'quality'" in row.detail for row in found)
    assert {seen.body["model"] for seen in upstream.seen} == {"up-a"}


def test_a_judge_that_hangs_delays_no_client_and_no_shutdown(upstream: Upstream, db: str) -> None:
    hung = threading.Event()

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["model"] == "up-base":
            hung.set()
            await asyncio.Event().wait()
        return await answering(request, body)

    upstream.handler = handler
    with serving(config(upstream), db) as served:
        assert served.chat().status == 200
        assert hung.wait(10)
        assert served.chat().status == 200
    store = open_store(db)
    given_up = [r for r in store.page(Filter()) if r["surface"] == "quality"]
    store.close()
    assert {row["status"] for row in given_up} == {"cancelled"}, "and priced"
