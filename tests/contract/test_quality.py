"""`mmrouter quality`: routed answers against the baseline's, over a real socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from mmrouter.cli.main import cli
from mmrouter.errors import MMRouterError
from mmrouter.eval.pairwise import CRITERIA
from mmrouter.tracker import schema
from mmrouter.tracker.store import Filter, open_store
from tests.support.configs import PRICE
from tests.support.upstream import Upstream, chat, completion, failing

ROUTES = {"simple": "cheap", "medium": "cheap", "complex": "base"}
CALL = 12 * 1000 + 3 * 2000
"""What each call of the upstream costs: 12 tokens in at 1 dollar, 3 out at 2."""


def config(upstream: Upstream, db: str, **changes: Any) -> dict[str, Any]:
    categories = ("factual", "reasoning", "creative", "code")
    names = ("cheap", "base", "judge")
    return {
        "routes": {
            level: {category: {"model": model} for category in categories}
            for level, model in ROUTES.items()
        },
        "classifier": {"strategy": "rules", "threshold": 0},
        "provider": {"max_retries": 0},
        "providers": {"up": {"base_url": upstream.base_url}},
        "models": {name: {"provider": "up", "price": PRICE} for name in names},
        "baseline": "base",
        "quality": {"judge_model": "judge"},
        "tracker": {"url": db},
        **changes,
    }


def judging(better_text: str, answers: dict[str, str]) -> Any:
    """An upstream whose judge prefers the answer with that text, wherever it stands."""

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["model"] != "judge":
            return web.json_response(completion(answers[body["model"]]))
        shown = body["messages"][-1]["content"]
        first = better_text in shown.split("</first_answer>")[0]
        good, bad = dict.fromkeys(CRITERIA, 5), dict.fromkeys(CRITERIA, 3)
        said = {"first": good if first else bad, "second": bad if first else good}
        return web.json_response(
            completion(json.dumps(said | {"better": "first" if first else "second"}))
        )

    return handler


PROMPTS = (
    '{"prompt": "What is the capital of France?"}',
    '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"}, '
    '{"role": "user", "content": "What is 2+2?"}]}',
    '{"prompt": "Prove that there is no largest prime, then design a distributed, strongly '
    'consistent key-value store with linearizable reads, and prove its protocol safe."}',
)


@pytest.fixture
def run(upstream: Upstream, db: str, tmp_path: Path) -> Any:
    """Runs the command with three prompts: two go to `cheap`, one to the baseline itself."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(PROMPTS))

    def run(*options: str, source: str = str(prompts), **changes: Any) -> Result:
        file = tmp_path / "mmrouter.yaml"
        file.write_text(json.dumps(config(upstream, db, **changes)))
        command = ["-c", str(file), "quality", "--from", source, *options]
        return CliRunner().invoke(cli, command, catch_exceptions=False)

    return run


def test_a_worse_answer_is_found_worse_and_all_of_it_is_in_the_books(
    run: Any, upstream: Upstream, db: str
) -> None:
    upstream.handler = judging("right", {"cheap": "wrong", "base": "right"})
    told = json.loads(run("--json").output)
    assert (told["baseline"], told["judge"], told["drawn"]) == ("base", "judge", 3)
    assert (told["judged"], told["same_model"], told["swayed_by_order"]) == (3, 1, 0)
    assert told["verdicts"] == {"win": 0, "tie": 1, "loss": 2}
    assert told["score"] == {"routed": 0.5, "baseline": 1.0}
    assert told["criteria"]["accuracy"]["difference"]["mean"] == -2
    assert told["cost_nanos"] == {
        "routed": 3 * CALL,
        "baseline": 3 * CALL,
        "judging": 2 * (CALL + 2 * CALL),
    }
    store = open_store(db)
    rows = store.page(Filter())
    assert {row["surface"] for row in rows} == {"quality"}
    assert len(rows) == 3 + 2 + 4
    assert sum(row["cost_nanos"] for row in rows) == 9 * CALL
    with store.read() as connection:
        kept = connection.execute(schema.judgements.select()).all()
    assert sorted(row.verdict for row in kept) == ["loss", "loss", "tie"]
    assert {row.request_id for row in kept} <= {row["id"] for row in rows}
    store.close()


def test_the_table_says_what_the_figures_are(run: Any, upstream: Upstream) -> None:
    upstream.handler = judging("right", {"cheap": "right too", "base": "poor"})
    shown = run().output
    assert "3 of 3 answers judged" in shown
    assert "Better 2, as good 1" in shown
    assert "As good or better: 100% (44% to 100%)" in shown


def test_a_judge_that_looks_at_places_only_finds_no_difference(
    run: Any, upstream: Upstream
) -> None:
    upstream.handler = judging("<request>", {"cheap": "wrong", "base": "right"})
    told = json.loads(run("--json").output)
    assert told["verdicts"] == {"win": 0, "tie": 3, "loss": 0}
    assert told["swayed_by_order"] == 2


def test_what_cannot_be_judged_is_said_and_costs_what_it_cost(run: Any, upstream: Upstream) -> None:
    upstream.handler = judging("x", {"cheap": "a", "base": "b", "judge": ""})

    async def mute(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        text = "no idea" if body["model"] == "judge" else "answer"
        return web.json_response(completion(text))

    upstream.handler = mute
    told = json.loads(run("--json").output)
    assert told["judged"] == 1
    assert told["unjudged"] == {"the judge gave no judgement that can be read": 2}
    assert told["cost_nanos"]["judging"] == 2 * 3 * CALL

    upstream.handler = failing(500)
    with pytest.raises(MMRouterError, match="no answer could be judged: routing failed"):
        run()


def test_no_comparison_begins_past_the_most_that_may_be_spent(
    run: Any, upstream: Upstream, tmp_path: Path
) -> None:
    many = tmp_path / "many.jsonl"
    many.write_text("\n".join(PROMPTS[:1] * 40))
    upstream.handler = judging("right", {"cheap": "wrong", "base": "right"})
    told = json.loads(
        run("--json", "--sample", "40", "--max-cost", "0.0002", source=str(many)).output
    )
    assert 3 <= told["judged"] <= 3 + 4, "four run at once"


def test_sources_that_hold_nothing_say_how_to_mend_it(run: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "hi"}\n{"prompt": 3}')
    with pytest.raises(MMRouterError, match=r'bad\.jsonl, line 2: expected "prompt"'):
        run(source=str(bad))
    with pytest.raises(MMRouterError, match=r"tracker\.store_prompts: true"):
        run(source="tracker")
    with pytest.raises(MMRouterError, match="nowhere"):
        run(source=str(tmp_path / "nowhere.jsonl"))


def test_prompts_that_the_books_keep_are_judged_again(
    run: Any, upstream: Upstream, db: str, tmp_path: Path
) -> None:
    upstream.handler = judging("right", {"cheap": "wrong", "base": "right"})
    keeping = {"url": db, "store_prompts": True}
    run(tracker=keeping)
    with pytest.raises(MMRouterError, match="keep no prompts"):
        run(source="tracker", tracker=keeping)  # what was sent to compare is nobody's traffic
    judge, upstream.handler = upstream.handler, chat
    route = ["-c", str(tmp_path / "mmrouter.yaml"), "route", "What is 2+2?"]
    assert CliRunner().invoke(cli, route).exit_code == 0
    upstream.handler = judge
    told = json.loads(run("--json", source="tracker").output)
    assert (told["drawn"], told["verdicts"]["loss"]) == (1, 1)
    assert "--since needs" in run("--since", "7d").output
