"""Feedback by HTTP changes which model is asked, in every process that reads the same books."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.serving import Served, serving
from tests.support.configs import config_for
from tests.support.upstream import Upstream

ADAPTIVE = {"enabled": True, "min_feedback_count": 3, "cache_ttl": 0}


@pytest.fixture
def config(upstream: Upstream, second: Upstream) -> Any:
    return config_for({"a": upstream.base_url, "b": second.base_url}, adaptive=ADAPTIVE)


def until_reranked(served: Served) -> dict[str, str]:
    """Headers of the first answer that feedback had a say in; scores are read in the background."""
    for _ in range(200):
        headers = dict(served.chat().headers)
        if headers["x-mmrouter-adaptive-reranked"] == "true":
            return headers
    raise AssertionError("feedback changed nothing")


def test_three_thumbs_down_by_any_door_move_a_model_back(config: Any, db: str) -> None:
    with serving(config, db) as served, serving(config, db) as other:
        ids = [served.chat().headers["x-mmrouter-request-id"] for _ in range(3)]
        assert served.chat().headers["x-mmrouter-model"] == "a"
        for id in ids[:2]:
            said = {"request_id": id, "score": 0}
            assert served.ask("POST", "/v1/feedback", said).status == 200
        said = {"score": 0}
        answer = served.ask("POST", f"/dashboard/api/feedback/{ids[2]}", said)
        assert answer.status == 200
        # the page shows at once what that changed
        first, behind = answer.json["beliefs"]
        earlier = answer.json["before"][0]
        assert (earlier["model"], earlier["count"], earlier["tried"]) == ("a", 2, 1)
        assert earlier["mean"] > first["mean"]
        assert (first["model"], first["count"], first["configured"], first["tried"]) == (
            "a",
            3,
            1,
            2,
        )
        assert (behind["model"], behind["tried"]) == ("b", 1)
        assert served.ask("GET", "/dashboard/api/beliefs").json["beliefs"] == [first, behind]
        for server in (served, other):
            headers = until_reranked(server)
            assert headers["x-mmrouter-model"] == "b"
            assert "feedback" in headers["x-mmrouter-decision"]
        row = served.row(headers["x-mmrouter-request-id"])
        assert row is not None
        assert row["adaptive_reranked"]
        sources = [(served.row(id) or {})["feedback"][0]["source"] for id in ids]
        assert sources == ["api", "api", "dashboard"]
        # a model that the caller names is not touched
        named = served.chat(model="a").headers
        assert (named["x-mmrouter-model"], named["x-mmrouter-adaptive-reranked"]) == ("a", "false")


def test_a_new_process_knows_at_its_first_request(config: Any, db: str) -> None:
    with serving(config, db) as served:
        for _ in range(3):
            id = served.chat().headers["x-mmrouter-request-id"]
            served.ask("POST", "/v1/feedback", {"request_id": id, "score": 0.1})
    with serving(config, db) as restarted:
        assert restarted.chat().headers["x-mmrouter-model"] == "b"


def test_thompson_keeps_a_named_conversation_with_its_model(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    made = config_for(
        {"a": upstream.base_url, "b": second.base_url},
        adaptive={"enabled": True, "strategy": "thompson", "min_feedback_count": 1},
    )
    with serving(made, db) as served:
        id = served.chat().headers["x-mmrouter-request-id"]
        served.ask("POST", "/v1/feedback", {"request_id": id, "score": 1})
    with serving(made, db) as served:
        chosen = {
            f"s{n}": [
                served.chat({"x-mmrouter-session": f"s{n}"}).headers["x-mmrouter-model"]
                for _ in range(3)
            ]
            for n in range(12)
        }
    assert all(len(set(models)) == 1 for models in chosen.values())
    assert {models[0] for models in chosen.values()} == {"a", "b"}
