"""Experiments over real requests: who answers, what is measured, when a variant is halted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmrouter import AsyncRouter, Config
from mmrouter.cli.main import cli
from mmrouter.decide.experiment import Unit
from mmrouter.errors import InvalidRequestError, MMRouterError
from mmrouter.eval.experiments import report
from mmrouter.tracker import experiments as book
from mmrouter.tracker.experiments import Arm, Experiment
from mmrouter.tracker.store import Store, open_store
from tests.support.configs import config_for
from tests.support.upstream import Upstream, failing


@pytest.fixture
def store(books_url: str) -> Iterator[Store]:
    opened = open_store(books_url)
    yield opened
    opened.close()


def arm(name: str, share: float, config: Config) -> Arm:
    return Arm(name=name, share=share, source=f"{name}.yaml", config=config.model_dump_json())


def experiment(control: Config, treatment: Config, **changes: Any) -> Experiment:
    plain: dict[str, Any] = {
        "name": "trial",
        "created": time.time(),
        "unit": Unit.PROMPT,
        "arms": (arm("control", 0.5, control), arm("treatment", 0.5, treatment)),
        "halted": {},
    }
    return Experiment(**plain | changes)


async def asked(router: AsyncRouter, prompts: list[str]) -> dict[str, str]:
    """Which model answered each."""
    return {prompt: (await router.route(prompt)).model for prompt in prompts}


PROMPTS = [f"What is {n} plus {n}?" for n in range(40)]


async def test_prompts_are_split_for_good_and_conversations_stay(
    upstream: Upstream, books_url: str, store: Store
) -> None:
    ours = config_for({"old": upstream.base_url})
    book.create(store, experiment(ours, config_for({"new": upstream.base_url})))
    async with AsyncRouter(ours, db=books_url) as router:
        first = await asked(router, PROMPTS)
        assert {"old", "new"} == set(first.values())
        assert await asked(router, PROMPTS[:5]) == {p: first[p] for p in PROMPTS[:5]}
        for prompt in PROMPTS[:6]:
            later = [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": "A number."},
                {"role": "user", "content": "And twice that?"},
            ]
            assert (await router.route_messages(later)).model == first[prompt]
        named = await router.route_messages([{"role": "user", "content": PROMPTS[0]}], model="old")
        assert named.decision.variant is None, "a model that the caller names is nobody's variant"
    row = store.request(named.request_id)
    assert row is not None
    assert row["variant"] is None
    running = book.running(store)
    assert running is not None
    found = book.measured(store, running)
    assert found["control"].requests + found["treatment"].requests == 40 + 5 + 6
    assert found["control"].cost.count == found["control"].requests
    assert found["control"].units + found["treatment"].units == 40, (
        "what belongs together counts once"
    )
    told = report(running, found)["variants"][0]
    assert told["units"] == found["control"].units
    assert told["metrics"]["cost_usd"]["count"] == told["requests"] > told["units"]


async def test_a_stopped_experiment_hands_all_requests_back(
    upstream: Upstream, books_url: str, store: Store
) -> None:
    ours = config_for({"old": upstream.base_url})
    async with AsyncRouter(ours, db=books_url) as router:
        assert set((await asked(router, PROMPTS[:3])).values()) == {"old"}
        book.create(store, experiment(ours, config_for({"new": upstream.base_url})))
        await _until(router, "new")
        assert book.stop(store, "trial", now=time.time(), reason="enough")
        await _until(router, "old")
    assert not book.stop(store, "trial", now=time.time(), reason="again")
    assert [one.reason for one in book.listed(store)] == ["enough"]


async def _until(router: AsyncRouter, model: str) -> None:
    """Until all, or with "new" some, requests go there: noticed in the background."""
    for _ in range(200):
        models = set((await asked(router, PROMPTS[:8])).values())
        if (model in models) if model == "new" else models == {model}:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing goes to {model}")


async def test_a_variant_that_fails_is_halted_and_its_requests_go_to_the_control(
    upstream: Upstream, second: Upstream, books_url: str, store: Store, caplog: Any
) -> None:
    second.handler = failing(400)
    ours = config_for({"old": upstream.base_url})
    bad = config_for({"new": second.base_url})
    book.create(store, experiment(ours, bad, guardrail=0.2))
    answered = failed = 0
    async with AsyncRouter(ours, db=books_url) as router:
        for prompt in PROMPTS:
            try:
                await router.route(prompt)
                answered += 1
            except MMRouterError:
                failed += 1
    assert answered > 5 < failed
    async with AsyncRouter(ours, db=books_url) as router:  # a process that starts looks at once
        models = await asked(router, PROMPTS)
    assert set(models.values()) == {"old"}
    running = book.running(store)
    assert running is not None
    assert "requests failed, more than 20.0%" in running.halted["treatment"]
    told = report(running, book.measured(store, running))
    assert told["variants"][1]["halted"] == running.halted["treatment"]
    assert "trial/treatment is halted" in caplog.text


async def test_only_one_runs_and_names_are_not_used_twice(store: Store) -> None:
    ours = config_for({"old": "http://127.0.0.1:9/v1"})
    book.create(store, experiment(ours, ours))
    with pytest.raises(InvalidRequestError, match="'trial' is running"):
        book.create(store, experiment(ours, ours, name="other"))
    book.stop(store, "trial", now=time.time(), reason="")
    with pytest.raises(InvalidRequestError, match="choose another name"):
        book.create(store, experiment(ours, ours))


async def test_a_variant_decides_who_answers_and_nothing_else(
    upstream: Upstream, second: Upstream, books_url: str, store: Store
) -> None:
    ours = config_for({"old": upstream.base_url}, tracker={"url": books_url})
    theirs = config_for(
        {"new": upstream.base_url},
        tracker={"url": "sqlite:///elsewhere.db", "store_prompts": True},
        budget={"enabled": True, "daily_limit": 0.000001, "hard_limit_action": "reject"},
    )
    book.create(store, experiment(ours, theirs))
    async with AsyncRouter(ours) as router:
        answers = [await router.route(prompt) for prompt in PROMPTS[:8]]
    assert {answer.model for answer in answers} == {"old", "new"}
    for answer in answers:
        row = store.request(answer.request_id)
        assert row is not None, "all are in the server's own books"
        assert row["prompt"] is None, "which keep no prompts, whatever the variant's config says"


def test_the_commands_create_watch_and_stop(upstream: Upstream, db: str, tmp_path: Path) -> None:
    upstream.handler = None
    for name in ("old", "new"):
        plain = config_for({name: upstream.base_url}, tracker={"url": db})
        (tmp_path / f"{name}.yaml").write_text(plain.model_dump_json(exclude_defaults=True))

    def run(*words: str) -> Result:
        base = ["-c", str(tmp_path / "old.yaml")]
        return CliRunner().invoke(cli, [*base, *words], catch_exceptions=False)

    create = ["experiment", "create", "--name", "cascade-test"]
    files = ["--control", f"{tmp_path}/old.yaml", "--treatment", f"{tmp_path}/new.yaml"]
    assert "runs" in run(*create, *files, "--split", "0.5").output
    for prompt in PROMPTS[:6]:
        assert run("route", prompt).exit_code == 0
    told = json.loads(run("experiment", "status", "--json").output)
    assert told["running"]
    assert sum(variant["requests"] for variant in told["variants"]) == 6
    shown = run("experiment", "status").output
    assert "control  50% of prompts" in shown
    assert "too few to compare" in shown
    assert "stopped" in run("experiment", "stop").output
    assert "None runs" in run("experiment", "stop").output
    assert "cascade-test: since" in run("experiment", "list").output
    with pytest.raises(InvalidRequestError, match="choose another name"):
        run(*create, *files)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--name", "a b", "--control", "local", "--treatment", "local"], "--name"),
        (["--name", "a", "--control", "local"], "Give a --treatment"),
        (["--name", "a", "--control", "local", "--variant", "x=local"], "NAME=PATH=SHARE"),
        (["--name", "a", "--control", "local", "--variant", "x=local=2"], "no share"),
        (
            [
                "--name",
                "a",
                "--control",
                "local",
                "--treatment",
                "local",
                "--variant",
                "b=local=0.6",
            ],
            "leave nothing to the control",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(options: list[str], said: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        cli, ["-c", "local", "experiment", "create", "--db", str(tmp_path / "b.db"), *options]
    )
    assert ran.exit_code == 2
    assert said in ran.output
