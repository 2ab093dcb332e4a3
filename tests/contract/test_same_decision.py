"""Every door leads to the same decision: the command, `Router` and `AsyncRouter`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmrouter import AsyncRouter, Router, RouteResult
from mmrouter.cli.main import cli
from tests.support.configs import PRICE, one_route
from tests.support.upstream import Upstream, running

PROMPTS = st.one_of(
    st.sampled_from(
        [
            "What is the capital of France?",
            "Prove that sqrt(2) is irrational",
            "write a haiku about rain",
            "Design a lock-free MPMC queue in C++ and argue its memory ordering",
            "¿Cuál es la capital de Perú?",
            "SELECT count(*) FROM t -- what does this do",
        ]
    ),
    st.text(
        alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=80
    ).filter(lambda text: text.strip() != "" and not text.startswith("-")),
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Upstream]:
    with running() as up:
        yield up


def config(url: str, threshold: float, cascade: bool) -> dict[str, Any]:
    return {
        "routes": {
            "simple": one_route("small", "mid")["simple"],
            "medium": one_route("mid", "big")["simple"],
            "complex": one_route("big", "mid", cascade=("small", "big"))["simple"],
        },
        "classifier": {"threshold": threshold},
        "cascade": {"enabled": cascade, "min_response_length": 0},
        "providers": {"corp": {"base_url": url}},
        "models": {
            name: {"provider": "corp", "price": {k: v * usd for k, v in PRICE.items()}}
            for name, usd in (("small", 1), ("mid", 3), ("big", 15))
        },
    }


def seen(result: RouteResult) -> dict[str, Any]:
    label = result.classification
    assert label is not None
    return {
        "complexity": label.complexity.value,
        "category": label.category.value,
        "confidence": round(label.confidence, 4),
        "model": result.model,
        "reasons": list(result.decision.reasons),
        "cost_usd": result.cost_usd,
    }


@given(
    prompt=PROMPTS,
    dial=st.sampled_from(["auto", "auto:cheap", "auto:best"]),
    threshold=st.sampled_from([0.0, 0.7, 1.0]),
    cascade=st.booleans(),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_all_doors_decide_alike(
    cloud: Upstream, tmp_path: Path, prompt: str, dial: str, threshold: float, cascade: bool
) -> None:
    file, db = tmp_path / "c.yaml", str(tmp_path / "books.db")
    file.write_text(yaml.safe_dump(config(cloud.base_url, threshold, cascade)))

    with Router(file, db=db) as router:
        by_router = seen(router.route(prompt, model=dial))

    async def ask() -> RouteResult:
        async with AsyncRouter(file, db=db) as router:
            return await router.route(prompt, model=dial)

    by_async = seen(asyncio.run(ask()))
    arguments = ["-c", str(file), "route", "--json", "--model", dial, "--db", db, prompt]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    by_command = {key: plain[key] for key in by_router}
    assert by_router == by_async == by_command
