"""The dashboard in a real Chromium, on books that real requests filled."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.sync_api import Page, expect

from mmrouter.eval.pairwise import Judgement, Verdict
from mmrouter.eval.quality import Comparison, row_of
from mmrouter.server.auth import hash_key
from mmrouter.tracker.store import open_store
from tests.e2e.conftest import CLIENT_KEY, KEY, Traffic
from tests.http.serving import serving
from tests.support.configs import config_for
from tests.support.upstream import completion, failing, running

Open = Callable[..., Page]

PAGES = {
    "": "Overview",
    "requests": "Requests",
    "models": "Models and providers",
    "routing": "Routing",
    "experiments": "Experiments",
    "budgets": "Budgets",
    "alerts": "Alerts",
}


def settled(page: Page, title: str) -> None:
    """The page is there with its data."""
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    expect(page.get_by_text("Loading…")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault_of_access(
    traffic: Traffic, open_page: Open, axe: str, scheme: str
) -> None:
    page = open_page(f"{traffic.served.url}/dashboard", scheme=scheme)
    for path, title in PAGES.items():
        page.get_by_role("navigation").get_by_role("link", name=title.split()[0]).click()
        settled(page, title)
        page.evaluate(axe)
        assert serious(page) == [], path


def serious(page: Page) -> list[Any]:
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (fault["id"], [node["html"] for node in fault["nodes"]])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def test_the_story_has_no_serious_fault_of_access(
    traffic: Traffic, open_page: Open, axe: str
) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/requests/{traffic.failed[0]}")
    expect(page.get_by_role("heading", name="Why this model")).to_be_visible()
    page.evaluate(axe)
    assert serious(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_shows_it_without_scrolling_sideways(
    traffic: Traffic, open_page: Open, path: str
) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/{path}", width=375)
    settled(page, PAGES[path])
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_overview_says_what_the_books_say(traffic: Traffic, open_page: Open) -> None:
    judge(traffic, {id: "loss" if n == 0 else "tie" for n, id in enumerate(traffic.ok[:10])})
    page = open_page(f"{traffic.served.url}/dashboard")
    counted = traffic.served.ask("GET", "/dashboard/api/count").json["requests"]
    tile = page.locator(".stat", has_text="Requests").first
    expect(tile).to_contain_text(str(counted))
    expect(page.locator(".stat", has_text="Saved")).to_contain_text("95% sure")
    expect(page.get_by_text("by the month's end")).to_be_visible()
    quality = page.locator(".stat", has_text="Quality")
    expect(quality).to_contain_text("90%")
    expect(quality).to_contain_text("of 10 judged")
    page.goto(f"{traffic.served.url}/dashboard?status=failed")
    expect(quality).to_contain_text("mmrouter serve --shadow")


def judge(traffic: Traffic, verdicts: dict[str, str]) -> None:
    """Writes what a judge said into the books."""
    store = open_store(traffic.served.db)
    try:
        for id, verdict in verdicts.items():
            compared = Comparison(
                request_id=id,
                routed_model="cheap",
                baseline_model="dear",
                judge_model="dear",
                routed_nanos=1,
                judgement=Judgement(Verdict(verdict), None),
            )
            store.add_judgement(row_of(compared, "command"))
    finally:
        store.close()


def test_a_filter_holds_in_the_address_and_on_every_page(traffic: Traffic, open_page: Open) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/requests")
    rows = page.locator(".row.at")
    expect(rows).not_to_have_count(0)
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Status").select_option("failed")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("failed")
    assert "status=failed" in page.url
    page.reload()
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".stat", has_text="Errors")).to_contain_text("100.0%")
    page.get_by_role("button", name="Remove filter Status failed").click()
    expect(page.locator(".stat", has_text="Errors")).not_to_contain_text("100.0%")


def test_the_table_fetches_more_as_it_is_scrolled_and_sorts_all_of_it(
    traffic: Traffic, open_page: Open
) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/requests?status=ok")
    header = page.get_by_role("columnheader", name="Cost")
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert "sort=cost&order=asc" in page.url


def test_a_story_opens_and_closes_by_keyboard(traffic: Traffic, open_page: Open) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/requests?status=ok")
    link = page.locator(".to-story").first
    link.focus()
    page.keyboard.press("Enter")
    story = page.get_by_role("dialog", name="Request")
    expect(story).to_contain_text("What is 19 times 19?")
    expect(story.get_by_role("heading", name="Calls (1)")).to_be_visible()
    able = story.get_by_role("table").first
    expect(able.get_by_role("row", name="1. cheap answered")).to_contain_text("$0.0000")
    expect(able.get_by_role("row", name="2. dear")).to_contain_text("%")
    expect(story).to_contain_text("Settled")
    assert "/requests/req_" in page.url
    page.keyboard.press("Escape")
    expect(story).to_have_count(0)
    assert page.url.endswith("/dashboard/requests?status=ok")


def test_a_thumb_down_lowers_the_belief_and_says_so(traffic: Traffic, open_page: Open) -> None:
    """The belief of the page, of the story and of the router are one."""
    query = "status=ok&complexity=simple&category=reasoning&limit=3"
    alike = traffic.served.ask("GET", f"/dashboard/api/requests?{query}").json["rows"]
    id, second, third = (row["id"] for row in alike)
    page = open_page(f"{traffic.served.url}/dashboard/requests/{id}")
    page.get_by_role("button", name="Bad").click()
    expect(page.get_by_role("button", name="Bad")).to_have_attribute("aria-pressed", "true")
    change = page.locator(".change")
    expect(change).to_contain_text("Good answers that cheap is believed to give to simple/")
    row = traffic.served.row(id)
    assert row is not None
    assert [note["score"] for note in row["feedback"]] == [0.0]
    first = belief(traffic, row)
    expect(change).to_contain_text(f"{first['mean']:.0%} now")
    expect(change).to_contain_text("of 0 scores")
    expect(change).to_contain_text("of 1 score")
    expect(change).to_contain_text("It is still number 1 of its route")
    said = {"request_id": second, "score": 0}
    assert traffic.served.ask("POST", "/v1/feedback", said).status == 200
    page.goto(f"{traffic.served.url}/dashboard/requests/{third}")
    page.get_by_role("button", name="Bad").click()
    expect(change).to_contain_text("It was number 1 of its route, and is number 2 now")
    after = belief(traffic, row)
    assert after["mean"] < first["mean"]
    assert (after["count"], after["configured"], after["tried"]) == (3, 1, 2)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Models").click()
    shown = page.get_by_role("region", name="Feedback by model")
    low, high = (f"{share:.0%}" for share in after["interval90"])
    expect(shown.get_by_role("img", name=f"between {low} and {high}")).to_be_visible()


def belief(traffic: Traffic, row: dict[str, Any]) -> dict[str, Any]:
    """What is believed of the model that answered the request, for its kind of prompt."""
    rows = traffic.served.ask("GET", "/dashboard/api/beliefs").json["beliefs"]
    (found,) = [
        one
        for one in rows
        if all(one[name] == row[name] for name in ("complexity", "category"))
        and one["model"] == row["answered_model"]
    ]
    return dict(found)


def test_a_score_between_and_a_comment_are_kept(traffic: Traffic, open_page: Open) -> None:
    id = traffic.ok[1]
    page = open_page(f"{traffic.served.url}/dashboard/requests/{id}")
    page.get_by_text("Something between, or a comment").click()
    page.get_by_label("How good").fill("75")
    page.get_by_label("Comment").fill("too long")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_contain_text("75% by dashboard")
    row = traffic.served.row(id)
    assert row is not None
    said = [(note["score"], note["comment"]) for note in row["feedback"]]
    assert said == [(0.75, "too long")]


def test_an_experiment_is_created_watched_and_stopped(traffic: Traffic, open_page: Open) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/experiments")
    page.get_by_label("Name").fill("dear-first")
    page.get_by_label("Split by").select_option("session")
    page.get_by_label("Guardrail").fill("30")
    editor = page.get_by_label("The treatment: the config in force, edited")
    text = editor.input_value()
    editor.fill("routes: none")
    page.get_by_role("button", name="Start the experiment").click()
    expect(page.get_by_role("alert")).to_contain_text("the treatment:1")
    editor.fill(text)
    page.get_by_role("button", name="Start the experiment").click()
    shown = page.get_by_role("region", name="Experiment dear-first")
    expect(shown.get_by_role("heading", name="dear-first running")).to_be_visible()
    expect(shown).to_contain_text("split by session")
    expect(shown).to_contain_text("more than 30.0% of its requests fail")
    for number in range(30, 42):
        ask = [{"role": "user", "content": f"What is {number} times {number}?"}]
        headers = {"x-mmrouter-session": f"split-{number}"}
        assert traffic.served.chat(headers, messages=ask, max_tokens=9).status == 200
    cost = shown.get_by_role("table", name="Cost of one")
    expect(cost.get_by_role("rowheader", name="treatment")).to_be_visible()
    for width in (1200, 375):
        page.set_viewport_size({"width": width, "height": 800})
        fits(page, ".metrics, .metrics *")
    shown.get_by_role("button", name="Stop dear-first").click()
    expect(shown.get_by_text("Stop it for good?")).to_be_visible()
    shown.get_by_role("button", name="Let it run").click()
    expect(shown.get_by_role("heading", name="dear-first running")).to_be_visible()
    shown.get_by_role("button", name="Stop dear-first").click()
    shown.get_by_role("button", name="Yes, stop dear-first").click()
    expect(page.get_by_text("stopped: stopped in the dashboard")).to_be_visible()


def fits(page: Page, selector: str) -> None:
    """No element reaches beyond the window's right edge, once the page is laid out anew."""
    page.wait_for_function(
        """selector => [...document.querySelectorAll(selector)]
            .every(one => one.getBoundingClientRect().right <= innerWidth + 1)""",
        arg=selector,
    )


def test_a_limit_that_is_nearly_used_up_is_shown(open_page: Open, db: str) -> None:
    async def nearly_out(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        told = {"remaining": "3", "limit": "1000", "reset": "5m"}
        headers = {f"x-ratelimit-{part}-requests": value for part, value in told.items()}
        return web.json_response(completion(), headers=headers)

    with running(nearly_out) as upstream:
        config = config_for({"m": upstream.base_url})
        with serving(config, db) as served:
            assert served.chat().status == 200
            page = open_page(f"{served.url}/dashboard/models")
            limits = page.get_by_role("region", name="Rate limits")
            expect(limits.get_by_role("row", name="m at-m")).to_contain_text("of 1,000")
            expect(page.get_by_text("No model is passed over for a rate limit")).to_be_visible()
            upstream.handler = failing(429, headers={"retry-after": "90"})
            assert served.chat().status == 429
            expect(page.get_by_text("m has answered 429 and asks for")).to_be_visible()
            page.close()  # before its server, which would cut its live stream short


def test_dear_models_are_set_against_what_people_say(traffic: Traffic, open_page: Open) -> None:
    said = {"request_id": traffic.ok[5], "score": 1}
    assert traffic.served.ask("POST", "/v1/feedback", said).status == 200
    page = open_page(f"{traffic.served.url}/dashboard/routing")
    shown = page.get_by_role("region", name="Cost and quality by model")
    expect(shown.get_by_role("rowheader", name="cheap")).to_be_visible()
    page.goto(f"{traffic.served.url}/dashboard/routing?status=failed")
    expect(page.get_by_text("Nobody has said yet how good the answers are")).to_be_visible()


def test_alerts_show_every_rule_and_a_trial_says_where_it_went(
    traffic: Traffic, open_page: Open
) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/alerts")
    rules = page.get_by_role("region", name="Rules")
    expect(rules.get_by_role("rowheader", name="error rate")).to_be_visible()
    page.get_by_role("button", name="Send a trial").click()
    expect(page.get_by_text("Written to the log alone")).to_be_visible()
    expect(page.get_by_role("region", name="History")).to_contain_text("nothing is wrong")


def test_a_new_request_shows_without_a_reload(traffic: Traffic, open_page: Open) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/requests?tag=just-now")
    expect(page.get_by_text("Nothing matches these filters")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert traffic.served.chat({"x-mmrouter-tags": "just-now"}, max_tokens=9).status == 200
    expect(page.locator(".row.at")).to_have_count(1)


def test_a_prompt_can_be_tried_and_nobody_is_called(traffic: Traffic, open_page: Open) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/routing")
    before = traffic.served.ask("GET", "/dashboard/api/count").json["requests"]
    page.get_by_label("Prompt", exact=True).fill("Prove that there are infinitely many primes")
    page.get_by_role("button", name="Decide").click()
    decision = page.locator(".decision")
    expect(decision).to_contain_text("1. cheap")
    expect(decision).to_contain_text("2. dear")
    assert traffic.served.ask("GET", "/dashboard/api/count").json["requests"] == before


def test_an_edited_config_is_replayed(traffic: Traffic, open_page: Open) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/routing?status=ok")
    editor = page.get_by_label("The config in force; edit it")
    text = editor.input_value()
    editor.fill(text.replace("output: 2.0", "output: 4.0"))
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("The edited config would cost")).to_be_visible()
    editor.fill("routes: no")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("the edited config:1")).to_be_visible()


def test_the_shown_requests_can_be_taken_away(
    traffic: Traffic, open_page: Open, tmp_path: Path
) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/requests?status=failed")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    target = tmp_path / "requests.csv"
    download.value.save_as(target)
    with target.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == traffic.failed


def test_times_are_the_viewers(traffic: Traffic, open_page: Open) -> None:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    page = open_page(f"{traffic.served.url}/dashboard/requests/{traffic.ok[0]}")
    row = traffic.served.row(traffic.ok[0])
    assert row is not None
    there = datetime.fromtimestamp(row["started"], ZoneInfo("Asia/Kathmandu"))
    expect(page.get_by_role("dialog")).to_contain_text(f"{there:%-I:%M:%S %p}")


def test_without_the_key_nothing_is_shown_and_with_it_all_is(
    open_page: Open, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMROUTER_API_KEY", KEY)
    keys = {"ci": {"hash": hash_key(CLIENT_KEY)}}
    config = config_for({"m": "http://127.0.0.1:9/v1"}, server={"keys": keys})
    with serving(config, db) as served:
        page = open_page(f"{served.url}/dashboard/budgets")
        page.get_by_label("Admin key").fill("wrong")
        page.get_by_role("button", name="Open the dashboard").click()
        expect(page.get_by_role("alert")).to_contain_text("does not know this key")
        page.get_by_label("Admin key").fill(CLIENT_KEY)
        page.get_by_role("button", name="Open the dashboard").click()
        expect(page.get_by_role("alert")).to_contain_text("mmrouter keys create NAME --admin")
        page.get_by_label("Admin key").fill(KEY)
        page.get_by_role("button", name="Open the dashboard").click()
        expect(page.get_by_text("No limit is set", exact=True)).to_be_visible()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        page.get_by_role("button", name="Forget my key").click()
        expect(page.get_by_label("Admin key")).to_be_visible()


def test_an_empty_dashboard_says_what_to_do(open_page: Open, db: str) -> None:
    with serving(config_for({"m": "http://127.0.0.1:9/v1"}), db) as served:
        page = open_page(f"{served.url}/dashboard")
        expect(page.get_by_text("No requests in this view")).to_be_visible()
        expect(page.get_by_text("mmrouter route")).to_be_visible()
        for name in ("Experiments", "Alerts"):
            page.get_by_role("link", name=name).click()
            expect(page.locator(".empty").first).to_be_visible()
        page.close()  # before its server, which would cut its live stream short


def test_the_theme_can_be_chosen_and_is_kept(traffic: Traffic, open_page: Open) -> None:
    page = open_page(f"{traffic.served.url}/dashboard/alerts")
    page.get_by_label("Theme").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
