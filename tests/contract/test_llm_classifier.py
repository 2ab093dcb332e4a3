"""The strategy that asks a model, over a real socket: labels, books, budget, failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from mmrouter import AsyncRouter, Config
from mmrouter.classifier.llm import read_label
from mmrouter.cli.main import cli
from mmrouter.config import load_config
from mmrouter.errors import ProviderProtocolError
from mmrouter.tracker.store import Filter, Store, open_store
from mmrouter.types import Complexity
from tests.support.configs import config_for
from tests.support.upstream import Upstream, completion

LABEL = '{"complexity": "complex", "category": "code", "difficulty": 0.8, "confidence": 0.9}'


@pytest.fixture
def books(db: str) -> Iterator[Store]:
    store = open_store(db)
    yield store
    store.close()


def config(upstream: Upstream, **changes: Any) -> Config:
    classifier = {"strategy": "llm", "model": "labels", "timeout_ms": 400, "threshold": 0}
    both = config_for({"a": upstream.base_url, "labels": upstream.base_url}).model_dump()
    for bucket in both["routes"].values():
        for route in bucket.values():
            route["fallbacks"] = []
    return Config.model_validate({**both, "classifier": classifier, **changes})


def labelling(text: str) -> Any:
    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(completion(text if body["model"] == "up-labels" else "Paris."))

    return handler


async def test_its_label_decides_and_its_call_is_an_attempt_of_the_request(
    upstream: Upstream, db: str, books: Store
) -> None:
    upstream.handler = labelling(f"Sure! {LABEL}")
    async with AsyncRouter(config(upstream), db=db) as router:
        result = await router.route("Write a compiler.")
        again = await router.route("Write a compiler.")
    assert result.classification is not None
    assert (result.classification.complexity, result.classification.strategy) == ("complex", "llm")
    assert [a.role for a in result.attempts] == ["classifier", "route"]
    assert result.content == "Paris."
    assert not result.fallback_used
    each = 12 * 1000 + 3 * 2000
    assert (result.cost_nanos, again.cost_nanos) == (2 * each, each), "known labels cost nothing"
    assert [s.body["model"] for s in upstream.seen] == ["up-labels", "up-a", "up-a"]
    assert list(books.verify()) == []
    found = books.request(result.request_id)
    assert found is not None
    assert [a["role"] for a in found["attempts"]] == ["classifier", "route"]


@pytest.mark.parametrize("way", ["garbage", "500", "slow"])
async def test_when_it_fails_the_local_strategy_decides_and_the_cost_is_kept(
    upstream: Upstream, db: str, books: Store, way: str
) -> None:
    never = asyncio.Event()

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["model"] != "up-labels":
            return web.json_response(completion())
        if way == "slow":
            await never.wait()
        if way == "500":
            return web.json_response({"error": {"message": "no"}}, status=500)
        return web.json_response(completion("I like turtles"))

    upstream.handler = handler
    async with AsyncRouter(config(upstream), db=db) as router:
        result = await router.route("What is the capital of France?")
    assert result.content == "Paris."
    assert result.classification is not None
    assert result.classification.strategy == "rules"
    assert result.classification.degraded is not None
    assert result.classification.degraded.startswith("llm: ")
    first, second = result.attempts
    assert (first.role, second.role) == ("classifier", "route")
    assert first.status == ("ok" if way == "garbage" else "failed")
    assert not result.fallback_used
    assert list(books.verify()) == []


async def test_the_small_local_model_can_label(tmp_path: Path) -> None:
    """The real one: its answers come as streams and are given on as a whole, text included."""
    plain = load_config("local").model_dump()
    model = plain["routes"]["simple"]["factual"]["model"]
    plain["classifier"] |= {"strategy": "llm", "model": model, "timeout_ms": 60_000}
    db = f"sqlite:///{tmp_path / 'books.db'}"
    async with AsyncRouter(Config.model_validate(plain), db=db) as router:
        result = await router.route("What is the capital of Peru?", max_tokens=4)
    assert result.classification is not None
    assert result.classification.degraded is None
    assert (result.classification.strategy, result.classification.complexity) == ("llm", "simple")


async def test_a_decision_alone_asks_nobody(upstream: Upstream, db: str, books: Store) -> None:
    async with AsyncRouter(config(upstream), db=db) as router:
        plan = await router.decide("hi")
    assert plan.classification is not None
    assert plan.classification.degraded == "llm: a decision alone calls no model"
    assert upstream.seen == []
    assert books.page(Filter()) == []


async def test_a_spent_budget_classifies_locally(upstream: Upstream, db: str) -> None:
    async with AsyncRouter(config(upstream), db=db) as router:
        result = await router.route("hi", max_tokens=1, max_cost_nanos=2_600_000)
    assert result.classification is not None
    assert result.classification.degraded == "llm: BudgetExceededError"
    assert [s.body["model"] for s in upstream.seen] == ["up-a"]


def test_labels_are_found_in_what_models_write() -> None:
    assert read_label(f"```json\n{LABEL}\n```").complexity is Complexity.COMPLEX
    wild = json.loads(LABEL) | {"confidence": 7}
    assert read_label(json.dumps(wild)).confidence == 1.0
    for bad in ("", "{}", "[1]", LABEL.replace("code", "cooking"), LABEL.replace("0.9", "null")):
        with pytest.raises(ProviderProtocolError):
            read_label(bad)


def test_the_command_asks_the_model_and_books_the_call(
    upstream: Upstream, db: str, books: Store, tmp_path: Path
) -> None:
    upstream.handler = labelling(LABEL)
    file = tmp_path / "mmrouter.yaml"
    plain = config(upstream, tracker={"url": db}).model_dump(mode="json", exclude_none=True)
    file.write_text(json.dumps(plain))
    batch = tmp_path / "batch.jsonl"
    batch.write_text('{"id": 1, "prompt": "Write a compiler."}\n{"id": 2, "prompt": "Another."}\n')
    command = ["--config", str(file), "classify", "--classifier", "llm", "--batch", str(batch)]
    ran = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert [json.loads(line)["complexity"] for line in ran.output.splitlines()] == ["complex"] * 2
    rows = books.page(Filter())
    assert {row["answered_model"] for row in rows} == {"labels"}
    assert len(rows) == 2
