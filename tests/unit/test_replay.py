"""Replay: real decisions over a log, and honest sums."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrouter.config import Config
from mmrouter.eval.replay.page import html
from mmrouter.eval.replay.replayer import Settings
from mmrouter.eval.replay.report import Report, certain, plain
from mmrouter.eval.replay.run import file_chunks, replay
from mmrouter.eval.replay.sums import (
    Sums,
    by_bucket,
    by_model,
    flip_count,
    moved_count,
    results,
)
from mmrouter.eval.replay.tally import Costs, Lengths, Tally, amount
from mmrouter.tracker.savings import ENOUGH
from tests.support.configs import one_route

PRICES = {
    "small": {"input": 1, "output": 2},
    "mid": {"input": 3, "output": 15},
    "big": {"input": 15, "output": 75},
}


def config(route: str) -> Config:
    return Config.model_validate(
        {
            "routes": one_route(route),
            "classifier": {"strategy": "rules", "threshold": 0},
            "providers": {"corp": {"base_url": "http://127.0.0.1:9/v1"}},
            "models": {name: {"provider": "corp", "price": p} for name, p in PRICES.items()},
        }
    )


def row(number: int, model: str, *, prompt: int = 1_000, output: int = 100) -> dict[str, Any]:
    """A request of always the same bucket."""
    return {
        "id": str(number),
        "model": model,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": output},
    }


def run(
    rows: list[Any], folder: Path, *routes: str, baseline: str = "mid", workers: int = 1
) -> Sums:
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(r) + "\n" for r in rows))
    configs = tuple(config(route).model_dump_json() for route in routes)
    seen: list[int] = []
    sums = replay(
        Settings(configs, baseline), file_chunks(log), workers=workers, advance=seen.append
    )
    assert sum(seen) == log.stat().st_size
    return sums


def nanos(model: str, prompt: int, output: float) -> int:
    return round(1000 * (PRICES[model]["input"] * prompt + PRICES[model]["output"] * output))


def test_what_moves_is_priced_at_its_new_model_and_what_stays_is_exact(tmp_path: Path) -> None:
    sums = run([row(n, "mid") for n in range(10)] + [row(99, "small")], tmp_path, "small")
    (result,) = results(sums, "mid")
    assert sums.requests == 11
    assert moved_count(result.tally) == 10
    assert result.cost.nanos == 11 * nanos("small", 1_000, 100)
    assert sums.logged_nanos == 10 * nanos("mid", 1_000, 100) + nanos("small", 1_000, 100)
    assert result.baseline.nanos == 11 * nanos("mid", 1_000, 100)
    assert result.saved.nanos == result.baseline.nanos - result.cost.nanos
    assert result.saved_log.nanos == sums.logged_nanos - result.cost.nanos
    low, high = result.saved.interval_nanos
    assert low < result.saved.nanos < high, "nobody knows how long small's answers would be"
    assert {r.after for r in result.tally.shown} == {"small"}
    assert len(result.tally.shown) == 10


def test_nothing_changes_where_the_log_is_already_routed_so(tmp_path: Path) -> None:
    sums = run([row(n, "mid") for n in range(5)], tmp_path, "mid")
    (result,) = results(sums, "mid")
    assert moved_count(result.tally) == 0
    assert result.saved == (0, 0.0)
    assert result.saved_log == (0, 0.0)
    assert not result.tally.shown


def test_a_models_own_answers_say_how_long_the_others_would_be(tmp_path: Path) -> None:
    """small is terse: half as long as mid. With enough of its answers that is known."""
    terse = [row(n, "small", output=50) for n in range(ENOUGH)]
    sums = run([*terse, *(row(n, "mid", output=100) for n in range(10))], tmp_path, "small")
    (result,) = results(sums, "mid")
    assert result.cost.nanos == (ENOUGH + 10) * nanos("small", 1_000, 50)
    few = run([*terse[1:], *(row(n, "mid", output=100) for n in range(10))], tmp_path, "small")
    (guessed,) = results(few, "mid")
    assert guessed.cost.nanos == (ENOUGH - 1) * nanos("small", 1_000, 50) + 10 * nanos(
        "small", 1_000, 100
    )
    assert guessed.cost.error_nanos > result.cost.error_nanos == 0


def test_two_configs_differ_where_they_choose_differently(tmp_path: Path) -> None:
    sums = run([row(n, "mid") for n in range(8)], tmp_path, "small", "big")
    first, second = results(sums, "mid")
    assert flip_count(sums) == 8
    assert dict(sums.flips) == {("small", "big"): 8}
    report = Report(
        source="log", names=("a", "b"), baseline="mid", sums=sums, results=(first, second),
        cascades=False,
    )  # fmt: skip
    assert report.flips == 1.0
    assert report.cost_increase == second.cost.nanos / first.cost.nanos - 1


def test_lines_that_cannot_be_replayed_are_counted_by_cause(tmp_path: Path) -> None:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]
    rows = [row(1, "mid"), {"messages": []}, [1], {"traceId": "t", "type": "SPAN"}]
    sums = run([*rows, {"model": "mid", "messages": image}, {"model": "?", "messages": [{}]}],
               tmp_path, "small")  # fmt: skip
    assert sums.requests == 3
    assert sums.estimated == 2, "an image and an empty message without token counts"
    assert dict(sums.skipped) == {
        "no messages": 1, "not a JSON object": 1, "not a generation": 1,
    }  # fmt: skip
    assert sums.logged_count == 1


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    rows = [row(n, ("small", "mid", "big")[n % 3], output=n % 300) for n in range(1_000)]
    alone = run(rows, tmp_path, "small", "mid")
    together = run(rows, tmp_path, "small", "mid", workers=2)
    for sums in (alone, together):
        for tally in sums.tallies:
            tally.shown.sort()
    assert together == alone
    assert results(together, "mid") == results(alone, "mid")


BUCKET = ("simple", "code")


@settings(max_examples=200)
@given(
    given=st.lists(st.integers(1, 500), min_size=1, max_size=30),
    own=st.lists(st.integers(1, 500), max_size=60),
    rate=st.integers(1, 10**8),
)
def test_an_amount_is_what_its_lengths_say(given: list[int], own: list[int], rate: int) -> None:
    costs, lengths = Costs(), Lengths()
    for tokens in own:
        lengths.note(tokens)
    for tokens in given:
        costs.count += 1
        costs.output_nanos += rate * tokens // 1000
        costs.rate += rate
        costs.rate_squares += rate * rate
    found = amount({(BUCKET, "logged", "chosen"): costs}, {(BUCKET, "chosen"): lengths})
    if len(own) >= ENOUGH:
        expected = sum(own) / len(own) * rate / 1000 * len(given)
        assert found.nanos == pytest.approx(expected, abs=1)
    else:
        assert found.nanos == costs.output_nanos
    exact = amount({(BUCKET, "chosen", "chosen"): costs}, {(BUCKET, "chosen"): lengths})
    assert exact == (costs.output_nanos, 0.0)
    assert amount({(BUCKET, "logged", "chosen"): costs}, {}, "chosen") == (0, 0.0)


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    few = run([row(n, "mid") for n in range(100)], tmp_path, "small")
    many = run([row(n, "mid") for n in range(600)], tmp_path, "small")

    def size(sums: Sums) -> list[int]:
        tally = sums.tallies[0]
        kept = (tally.names, tally.projected, tally.baseline, tally.choices, tally.shown)
        return [len(part) for part in (*kept, sums.lengths)]

    assert size(many) == size(few)


class Page(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "srcset")]


def test_the_page_loads_nothing_and_shows_prompts_as_text(tmp_path: Path) -> None:
    evil = row(1, "mid")
    evil["messages"][0]["content"] = "Is 5 < 6 & 7 > 6 in C?"
    evil["model"] = "<script>alert(1)</script>"
    sums = run([evil, row(2, "mid")], tmp_path, "small")
    report = Report(
        source="<log>", names=("c",), baseline="mid", sums=sums, results=results(sums, "mid"),
        cascades=True,
    )  # fmt: skip
    text = html(report)
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert "url(" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Is 5 &lt; 6 &amp; 7 &gt; 6 in C?" in text
    assert json.loads(json.dumps(plain(report)))["requests"] == 2


def test_the_money_is_shown_by_model_and_by_bucket(tmp_path: Path) -> None:
    sums = run([row(n, "mid") for n in range(10)], tmp_path, "small")
    (result,) = results(sums, "mid")
    for parts in (by_model(sums, result.tally), by_bucket(sums, result.tally)):
        (part,) = parts
        assert (part.requests, part.cost) == (10, result.cost)
    assert [part.name for part in by_model(sums, result.tally)] == ["small"]


@pytest.mark.parametrize(
    ("route", "says", "unsure"),
    [("small", "Saved against mid alone", False), ("big", "Dearer than mid alone", True)],
)
def test_a_loss_is_called_one_and_a_doubtful_figure_doubtful(
    tmp_path: Path, route: str, says: str, unsure: bool
) -> None:
    sums = run([row(n, "mid", prompt=1, output=50_000) for n in range(10)], tmp_path, route)
    (result,) = results(sums, "mid")
    assert certain(result.saved) is not unsure
    report = Report(
        source="log", names=("c",), baseline="mid", sums=sums, results=(result,), cascades=False
    )
    text = html(report)
    assert says in text
    assert ("it cannot be said which is cheaper" in text) is unsure


def test_only_what_is_most_at_stake_is_shown(tmp_path: Path) -> None:
    rows = [row(n, "big", output=n) for n in range(200)]
    (result,) = results(run(rows, tmp_path, "small"), "mid")
    kept = sorted(request.number for request in result.tally.shown)
    assert kept == list(range(151, 201))


def test_joining_is_adding() -> None:
    assert Tally() == Tally()
    one, other = Lengths(), Lengths()
    for tokens in (1, 2, 3):
        one.note(tokens)
    other.note(6)
    one.join(other)
    assert (one.count, one.mean, one.variance) == (4, 3.0, pytest.approx(14 / 3))
