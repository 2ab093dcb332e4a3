"""The dashboard's data and its doors, over sockets."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from mmrouter.server.auth import hash_key
from mmrouter.tracker import experiments
from mmrouter.tracker.store import open_store
from tests.http.serving import Served, serving
from tests.support.configs import config_for
from tests.support.upstream import Upstream, completion, failing

PAGE = "/dashboard"
API = "/dashboard/api/"


@pytest.fixture
def served(upstream: Upstream, db: str) -> Iterator[Served]:
    """A server with seven requests, one of which failed."""
    config = config_for({"m": upstream.base_url}, tracker={"store_prompts": True})
    with serving(config, db) as running:
        for number in range(6):
            headers = {"x-mmrouter-tags": f"t{number % 2},all", "x-mmrouter-session": "s"}
            assert running.chat(headers, stream=number % 2 == 0).status == 200
        upstream.handler = failing(400)
        assert running.chat({"x-mmrouter-tags": "=1+1"}).status == 400
        upstream.handler = None
        yield running


def get(served: Served, path: str, **headers: str) -> Any:
    answer = served.ask("GET", API + path, headers=headers)
    assert answer.status == 200, answer.raw
    return answer.json


@pytest.mark.parametrize("sort", ["started", "cost", "latency", "tokens"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_hold_every_request_once_and_in_order(served: Served, sort: str, order: str) -> None:
    whole = get(served, f"requests?sort={sort}&order={order}")["rows"]
    assert len(whole) == 7
    seen: list[str] = []
    after = ""
    while True:
        page = get(served, f"requests?sort={sort}&order={order}&limit=2{after}")
        seen += [row["id"] for row in page["rows"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == [row["id"] for row in whole]
    assert len(set(seen)) == 7


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 7),
        ("status=ok", 6),
        ("status=failed", 1),
        ("tag=t0", 3),
        ("tag=all", 6),
        ("session=s", 6),
        ("model=m", 6),
        ("key=nobody", 0),
        ("min_cost=0.0000001", 6),
        ("max_cost=0", 1),
        ("since=99999999999", 0),
        ("until=99999999999", 7),
        ("complexity=simple&tag=t1", 3),
        ("complexity=complex", 0),
    ],
)
def test_filters_agree_everywhere(served: Served, query: str, count: int) -> None:
    assert len(get(served, f"requests?{query}")["rows"]) == count
    assert get(served, f"count?{query}")["requests"] == count
    assert sum(cell["requests"] for cell in get(served, f"traffic?{query}")["cells"]) == count
    assert sum(row["requests"] for row in get(served, f"grid?{query}")["answers"]) == count


@pytest.mark.parametrize(
    "path",
    [
        *("requests?sort=prompt", "requests?order=up", "requests?limit=9999", "requests?after=x"),
        *("traffic?zone=Mars/Base", "traffic?zone=../../etc/passwd", "count?since=soon"),
        *("count?status=good", "count?min_cost=-1", "count?max_cost=nan", "request/req_none"),
    ],
)
def test_what_means_nothing_is_refused(served: Served, path: str) -> None:
    answer = served.ask("GET", API + path)
    assert answer.status == 400
    assert answer.json["error"]["message"]


def test_sums_are_those_of_the_books(served: Served) -> None:
    rows = get(served, "requests")["rows"]
    spent = sum(row["cost_nanos"] for row in rows)
    assert spent > 0
    assert sum(cell["cost_nanos"] for cell in get(served, "traffic")["cells"]) == spent
    assert get(served, "savings")["spent_nanos"] == spent
    assert get(served, "budgets")["month"]["settled_nanos"] == spent
    assert sum(model["cost_nanos"] for model in get(served, "models")["models"]) == spent


def test_a_story_is_whole(served: Served) -> None:
    row = get(served, "requests?status=failed")["rows"][0]
    story = get(served, f"request/{row['id']}")
    assert story["attempts"][0]["http_status"] == 400
    assert story["reasons"]
    (candidate,) = story["candidates"]
    assert (candidate["model"], candidate["cost_nanos"]) == ("m", None)
    answered = get(served, f"request/{get(served, 'requests?status=ok')['rows'][0]['id']}")
    (candidate,) = answered["candidates"]
    (attempt,) = answered["attempts"]
    assert attempt["bound_nanos"] is None, "a model without a window has no bound"
    low, high = candidate["interval90"]
    assert 0 < low < candidate["mean"] < high < 1
    assert candidate["cost_nanos"] == answered["cost_nanos"] > 0
    assert story["prompt"] == "What is 2+2?"


def test_a_trial_calls_nobody_and_leaves_no_trace(served: Served, upstream: Upstream) -> None:
    before, seen = get(served, "count"), len(upstream.seen)
    answer = served.ask("POST", API + "trial", {"prompt": "Write a haiku"})
    assert answer.json["candidates"][0]["model"] == "m"
    assert answer.json["classification"]["category"]
    named = served.ask("POST", API + "trial", {"prompt": "x", "model": "nonesuch"})
    assert "nonesuch" in named.json["refused"]
    assert len(upstream.seen) == seen
    assert get(served, "count") == before


def test_an_edited_config_is_replayed_on_the_view(served: Served) -> None:
    text = get(served, "config")["text"]
    assert "server" not in text
    dearer = text.replace("input: 1.0", "input: 10.0").replace("output: 2.0", "output: 20.0")
    body = {"config": dearer, "filter": {"tag": "t0"}}
    found = served.ask("POST", API + "replay", body).json
    assert found["requests"] == 3
    assert found["comparison"] == {"cost_increase": 9.0, "flips": 0.0, "flipped": []}
    wrong = served.ask("POST", API + "replay", {"config": "routes: 1"})
    assert wrong.status == 400
    assert "routes" in wrong.json["error"]["message"]
    nothing = served.ask("POST", API + "replay", {**body, "filter": {"tag": "none"}})
    assert "Nothing to replay" in nothing.json["error"]["message"]


def test_a_spreadsheet_runs_nothing(served: Served) -> None:
    answer = served.ask("GET", API + "export/csv?tag=%3D1%2B1")
    assert answer.headers["content-disposition"].endswith('requests.csv"')
    head, row, end = answer.raw.decode().split("\r\n")
    assert head.startswith("id,started,status")
    assert (row.startswith("req_"), end) == (True, "")
    lines = served.ask("GET", API + "export/jsonl").raw.splitlines()
    assert len(lines) == 7
    assert json.loads(lines[0])["attempts"]
    assert served.ask("GET", API + "export/exe").status == 400


def test_parquet_is_what_the_books_hold(served: Served) -> None:
    import io

    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(served.ask("GET", API + "export/parquet").raw))
    assert table.num_rows == 7


def test_the_stream_speaks_when_a_request_has_ended(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.request("GET", API + "live")
    response = connection.getresponse()
    assert response.getheader("content-type", "").startswith("text/event-stream")
    first = json.loads(response.readline().removeprefix(b"data: "))
    assert first["requests"] == 7
    threading.Timer(0.2, served.chat).start()
    response.readline()
    second = json.loads(response.readline().removeprefix(b"data: "))
    assert second["requests"] == 8
    connection.close()


def test_an_open_stream_does_not_hold_the_server_up(upstream: Upstream, db: str) -> None:
    with serving(config_for({"m": upstream.base_url}), db) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        connection.request("GET", API + "live")
        response = connection.getresponse()
        response.readline()
        began = time.monotonic()
    assert time.monotonic() - began < 5
    connection.close()


def test_the_page_may_load_nothing_from_elsewhere(served: Served) -> None:
    answer = served.ask("GET", PAGE, headers={"accept-encoding": "gzip"})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"<div id=" in gzip.decompress(answer.raw)
    script = answer_of_script(served)
    assert "immutable" in script.headers["cache-control"]


def answer_of_script(served: Served) -> Any:
    html = served.ask("GET", PAGE).raw.decode()
    return served.ask("GET", html.split('src="')[1].split('"')[0])


@pytest.mark.parametrize("path", ["meta", "requests", "live", "export/csv", "nothing"])
def test_data_needs_the_key_and_the_page_does_not(
    upstream: Upstream, db: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("MMROUTER_API_KEY", "mm-key")
    with serving(config_for({"m": upstream.base_url}), db) as served:
        assert served.ask("GET", API + path).status == 401
        assert served.ask("GET", API + path, headers={"x-api-key": "wrong"}).status == 401
        assert served.ask("GET", PAGE).status == 200
        key = {"authorization": "Bearer mm-key"}
        assert served.ask("GET", API + "meta", headers=key).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("meta", "requests", "live", "export/csv", "nothing")),
        *(("POST", path) for path in ("feedback/x", "trial", "replay", "alerts/test")),
        *(("POST", path) for path in ("experiments", "experiments/e/stop")),
    ],
)
def test_a_clients_key_opens_nothing_of_the_dashboard(
    upstream: Upstream, db: str, method: str, path: str
) -> None:
    keys = {
        "ci": {"hash": hash_key("key-of-ci")},
        "boss": {"hash": hash_key("key-of-boss"), "scope": "admin"},
    }
    with serving(config_for({"m": upstream.base_url}, server={"keys": keys}), db) as served:
        client, admin = {"x-api-key": "key-of-ci"}, {"x-api-key": "key-of-boss"}
        assert served.chat(client).status == 200
        refused = served.ask(method, API + path, {} if method == "POST" else None, client)
        assert refused.status == 403
        said = refused.json["error"]["message"]
        assert "'ci' has the scope 'client'" in said
        assert "mmrouter keys create NAME --admin" in said
        assert served.ask("GET", PAGE).status == 200
        assert served.ask("GET", API + "meta", headers=admin).status == 200
        assert served.chat(admin).status == 200


def test_limits_that_the_provider_told_of_are_shown(served: Served, upstream: Upstream) -> None:
    assert get(served, "breakers")["limits"] == []

    async def nearly_out(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        told = {"remaining": "40", "limit": "100", "reset": "5m"}
        headers = {f"x-ratelimit-{part}-requests": value for part, value in told.items()}
        return web.json_response(completion(), headers=headers)

    upstream.handler = nearly_out
    assert served.chat().status == 200
    (row,) = get(served, "breakers")["limits"]
    (limit,) = row["limits"]
    assert (row["model"], row["passed_over"], row["paused_until"]) == ("m", None, None)
    assert (limit["kind"], limit["limit"]) == ("requests", 100)
    assert 40 <= limit["left"] < 60
    assert 0 < limit["reset"] - time.time() <= 300
    upstream.handler = failing(429, headers={"retry-after": "90"})
    assert served.chat().status == 429
    (row,) = get(served, "breakers")["limits"]
    assert "has answered 429" in row["passed_over"]
    assert 80 < row["paused_until"] - time.time() <= 90


def test_quality_is_what_judges_said_of_the_view(served: Served) -> None:
    nothing = get(served, "quality")
    assert (nothing["judged"], nothing["as_good"]) == (0, None)
    rows = get(served, "requests?status=ok")["rows"]
    store = open_store(served.db)
    try:
        for row, verdict in zip(rows, ("win", "tie", "tie", "loss", None, "win"), strict=True):
            store.add_judgement(
                {
                    "request_id": row["id"],
                    "source": "command",
                    "routed_model": "m",
                    "baseline_model": "m" if row["tags"][0] == "t0" else "other",
                    "judge_model": "judge",
                    "verdict": verdict,
                    "score": None,
                    "baseline_score": None,
                    "cost_nanos": 1000,
                    "detail": "{}",
                }
            )
    finally:
        store.close()
    found = get(served, "quality?status=ok")
    assert found["verdicts"] == {"win": 2, "tie": 2, "loss": 1}
    assert (found["judged"], found["unjudged"], found["judging_nanos"]) == (5, 1, 6000)
    good = found["as_good"]
    assert good["share"] == 0.8
    assert 0 < good["low"] < 0.8 < good["high"] < 1
    # the judged of either tag together are all of them
    tags = [get(served, f"quality?tag=t{n}") for n in (0, 1)]
    assert sum(tag["judged"] for tag in tags) == 5
    assert [tag["same"] for tag in tags] == [tags[0]["judged"], 0]


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}],
)
@pytest.mark.parametrize("path", [PAGE, API + "meta", API + "export/csv"])
def test_other_peoples_pages_are_kept_out(
    served: Served, headers: dict[str, str], path: str
) -> None:
    assert served.ask("GET", path, headers=headers).status == 403


def test_feedback_from_another_page_is_refused(served: Served) -> None:
    id = get(served, "requests")["rows"][0]["id"]
    path, good = f"{API}feedback/{id}", {"score": 1}
    foreign = served.ask("POST", path, good, {"origin": "http://evil.example"})
    plain = served.ask("POST", path, good, {"content-type": "text/plain"})
    assert (foreign.status, plain.status) == (403, 415)
    assert served.ask("POST", path, {"score": 2}).status == 400
    assert served.ask("POST", path, good).status == 200
    assert get(served, f"request/{id}")["feedback"][0]["score"] == 1
    assert served.ask("POST", f"{API}feedback/req_none", good).status == 400


def test_an_experiment_from_the_dashboard_moves_neither_keys_nor_prices_nor_settings(
    served: Served,
) -> None:
    """Whoever may ask a model may open the dashboard: he must not have keys sent elsewhere."""
    text = get(served, "config")["text"]

    def create(changed: str) -> Any:
        body = {"name": "e", "share": 0.5, "treatment": changed}
        return served.ask("POST", API + "experiments", body)

    elsewhere = text.replace("http://127.0.0.1", "http://evil.example")
    free = text.replace("input: 1.0", "input: 0.000001")
    assert elsewhere != text != free
    for changed, section in ((elsewhere, "providers"), (free, "models")):
        refused = create(changed)
        assert refused.status == 400
        assert f"'{section}' cannot be changed here" in refused.json["error"]["message"]
    assert create(text).status == 200
    store = open_store(served.db)
    try:
        running = experiments.running(store)
    finally:
        store.close()
    assert running is not None
    control, treatment = (json.loads(arm.config) for arm in running.arms)
    assert control == treatment, "what was not edited is as it is"
