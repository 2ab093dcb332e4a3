"""What is judged of a conversation: the user's own words, in what they answer."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrouter.classifier.clutter import clean
from mmrouter.classifier.text import Judged, judge
from mmrouter.dialects.base import Conversation


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def judged(*messages: Any, tools: Any = ()) -> Judged:
    return judge(Conversation(messages, tools))


ASK = "what's 2+2"
CODE = (
    "def total(rows):\n    out = 0\n    for row in rows:\n        out += row.price\n    return out"
)

CLUTTERED = {
    "reminder after": f"{ASK}\n\n<system-reminder>\nProve each step. Design docs: docs/.\n"
    "</system-reminder>",
    "reminder before": f"<system-reminder>Todo list is empty.</system-reminder>\n{ASK}",
    "cline": f"<task>\n{ASK}\n</task>\n\n<environment_details>\n# VSCode Files\nsrc/lock.rs\n"
    "</environment_details>",
    "cursor": "<additional_data>\n<current_file>\nPath: a.ts\n</current_file>\n</additional_data>\n"
    f"<user_query>\n{ASK}\n</user_query>",
    "wrapped": f"<prompt_parts><context>Lease terms.</context><question>{ASK}</question>"
    "</prompt_parts>",
    "rag": "Use the context to answer.\n\nContext:\nThe lease ends in May.\nRent is due.\n\n"
    f"Question: {ASK}\nHelpful Answer:",
    "react": "Answer as best you can.\nQuestion: the input question\nThought: think\n"
    f"Observation: a result\n\nBegin!\n\nQuestion: {ASK}\nThought:",
    "crew": f"Current Task: {ASK}\n\nThis is the expected criteria for your final answer: short.\n"
    "you MUST return the actual complete content as the final answer.\n\nBegin!",
    "aider": f"I have *added these files to the chat* so you can edit.\n\n```py\n{CODE}\n```\n\n"
    f"{ASK}",
    "json": f'{{"trace": "b7", "locale": "en", "payload": {{"user_message": "{ASK}", "n": [1]}}}}',
    "mail": f"From: Ann <a@b.example>\nTo: help\nSubject: sum\n\n{ASK}\n\nKind regards,\nAnn\nIT",
    "quoted mail": f"{ASK}\n\nOn Mon, 3 Mar, Bo wrote:\n> please design a\n> new ledger\n> soon",
    "fence": f"{ASK}\n\n```python\n{CODE}\n```",
    "log": "2025-02-03T11:02:17Z INFO start\n2025-02-03T11:02:59Z ERROR p99 latency\n"
    f"2025-02-03T11:03:40Z INFO done\n\n{ASK}",
    "trace": 'Traceback (most recent call last):\n  File "/a.py", line 3, in <module>\n    run()\n'
    f"ValueError: no\n\n{ASK}",
    "paired brackets": "[inbox]\nA. Bank: your card expires, 1 June.\nB. Lea: lunch?\n[/inbox]\n\n"
    f"{ASK}",
    "browser": "Step 4/9\nPage: Corner Bakery\n(1) Bread (2) Cakes (3) Till: 0\nRye 4.20, spelt "
    f"5.10, open from seven. Orders a day ahead, by phone or here.\nObjective: {ASK}",
    "ticket thread": "INC 4410 | B. Moss | badge\n> 09:10 B. Moss: the gate does not open\n> 09:40 "
    f"desk: new badge sent, please try\n> 11:02 B. Moss: {ASK}",
    "thread": f"[#dev] ann: slugs again\n[#dev] bo: nematodes\n[#dev] ann: no\n[#dev] bo: {ASK}",
    "slash command": f"/ask {ASK}",
    "bot named": f"#random\n[08:55] Ann: morning\n[08:58] Bo: @helpbot {ASK}\n(attachments: none)",
    "issue": f"Issue #9: 'Sometimes negative'\n@ann wrote:\n@helpbot {ASK}\n\nCI: 41 passed",
    "form": f"### FORM\nname: (withheld)\ncategory: other / complex design\nbody: {ASK}\n### END",
    "brackets": f"[[CONTEXT]] account=Trust; 9 sites; renewal: May\n[[MESSAGE]] {ASK}",
    "headings": f"## Custom instructions\nI'm a nurse. Prove things.\n## Message\n{ASK}",
    "ticket": f"Ticket GEO-22 | Reporter: Mo | Priority: P3\nDescription:\n{ASK}\n\nLabels: triage",
    "sources": f"Extraits :\n[1] Optique : 250 euros.\n[2] Délai : 3 mois.\n\nQuestion : {ASK}",
    "attachment": f"{ASK}\n\nAttachment text (p2.pdf): 'In 1349 the bishop ordered prayers.'",
    "foreign tags": f"<提醒>任务：设计复杂系统并证明</提醒>\n{ASK}",
    "relayed": f"New task from @ann in #dev:\n> {ASK}\n\nRepos available: a/b",
    "retrieved after": f"{ASK}\n\nRetrieved (may be irrelevant):\n[1] Cl. 4. A cap of EUR 50,000.\n"
    "[2] Cl. 7. Three months' notice.",
    "fields with pipes": f'{ASK}\n\n[case 12 | via: web | earlier: "Where is it?!"]',
    "fields in one bracket": f"[user: Bo, room: attic, time: 21:07]\n{ASK}",
    "note of the tool": f"{ASK}\n\n# TODO LIST - You MUST send the progress parameter next.",
    "alerts": f"[13:40] ann: {ASK}\n[bridge] ALERTS: LatencyHigh (SEV2, 13:31), LagGrowing (13:33)",
    "topic": f"{ASK}\n\n[ops] topic: oncall | alerts: none | last deploy: 4.18 at 13:02",
    "date": f"Today is Tuesday.\n\n{ASK}",
    "named in a thread": f"[09:20] Lo: red again\n[09:21] Bo: mine\n[09:34] Al: @clerk {ASK}",
    "named in an event": f'{{"event": "note", "comment": {{"by": "bo", "body": "@clerk {ASK}"}}}}',
    "speaker after articles": f"KB-1: Parking: 62 EUR a year.\n---\nCitizen: {ASK}",
    "speech": f"[wake word 18:41:07] {ASK} (kettle noise)",
    "screen": f"{ASK}\n[shared screen text]\n9. Liability. The Supplier is liable without limit.",
    "mail to a name": f"Hello assist,\n\n{ASK}\n\nKind regards,\nAnn",
    "polite": f"Hi there! I hope you're well. Could you please help me with this? {ASK}",
    "parts": [
        {"type": "text", "text": "<context>a long design</context>"},
        {"type": "text", "text": ASK},
    ],
}


@pytest.mark.parametrize("name", CLUTTERED)
def test_the_ask_is_found_amid_clutter(name: str) -> None:
    assert judged(user(CLUTTERED[name])).text == ASK


def test_a_clean_request_stays_as_it_is() -> None:
    for text in (
        "Design a rate limiter.\n\nRequirements:\n- 2M requests a second\n- many tenants",
        "How do I center a <div> in CSS?",
        "Explain `List<String>` and why it isn't a List<Object>",
        "Write a story about a fox.\nIt lives in Oslo.",
        "为什么天空是蓝色的?",
        "@property vs attribute in Python",
        "hello world, in rust",
        "python: reverse a list",
        "Ann and bo@x.example disagree: who is right?",
        "Sources of the Nile:",
    ):
        assert judged(user(text)).text == text


def test_code_and_pastes_are_counted_not_judged() -> None:
    found = judged(user(f"What language is this?\n\n```\n{CODE}\n```"))
    assert found.text == "What language is this?"
    assert found.code_chars >= len(CODE)
    bare = judged(user(f"What language is this?\n\n{CODE}"))
    assert bare.text == "What language is this?"
    assert bare.code_chars > 60
    long_text = "The members met on Monday to talk about the roof. " * 12
    found = judged(user(f"Fix the typos in this paragraph:\n\n{long_text}"))
    assert found.text == "Fix the typos in this paragraph:"
    assert found.pasted_chars > 500
    after = judged(user(f"Minutes of the meeting:\n\n{long_text}\n\nWho was there?"))
    assert after.text.endswith("Who was there?")
    assert "roof" not in after.text


def test_a_command_under_listings_is_taken_off() -> None:
    files = (
        "tests/test_app.py:\n⋮...\n│def test_a(client):\n⋮...\nlib/app.py:\n⋮...\n│def db():\n⋮..."
    )
    assert judged(user(f"{files}\n\n/ask explain injection")).text == "explain injection"


SURROUNDED = {
    "editor": f"Recently viewed files (newest first):\n- src/a.ts (212 lines)\n- b.json\n\n{ASK}",
    "rules": f"{ASK}\n\nAGENTS.md:\n- Run the checks before you are done.\n- Small functions.",
    "pull request": f"PR #412 by @jonas: 6 files changed. Labels: needs-review\n\n{ASK}",
    "schema": f"orders(id bigint, placed_at timestamptz, total numeric(10, 2))\n\n{ASK}",
    "build log": "Step 7/11 : RUN npm ci\n ---> Using cache\nDone in 41.3s\n\n"
    f'{{"run": 8}}\n\n{ASK}',
    "job": f"connectors: sheets ok | mail ok\n\njob_id=8812 attempt=1 tz=UTC\n\n{ASK}",
    "both sides": f"staged: 3 files\n\n{ASK}\n\nKernel: python3, idle. Variables: df (DataFrame)",
    "comment": f"New comment from a maintainer:\n\n{ASK}\n\nPost your answer as a comment.",
    "console": f"Replica lag: 0.4 s\n\nNAME READY STATUS RESTARTS AGE\n\n{ASK}\n\n<attached/>",
    "form": f"{ASK}\nReply with plain text only.",
}


@pytest.mark.parametrize("name", SURROUNDED)
def test_what_a_harness_writes_around_a_request_is_taken_off(name: str) -> None:
    assert judged(user(SURROUNDED[name])).text == ASK


@pytest.mark.parametrize(
    "text",
    [
        "Build: a shed of two by three metres\n\nRoof: flat, with sedum on it",
        "Plan a menu for nine:\n\n- no nuts\n- under 8 a head\n- hot at nine",
        "What would you change?\n\n- fewer meetings\n- no mail on Friday\n- a quiet room",
    ],
)
def test_wishes_in_the_form_of_fields_and_lists_stay(text: str) -> None:
    assert judged(user(text)).text == text


def test_only_code_is_judged_as_code() -> None:
    assert "def total" in judged(user(CODE)).text


def test_a_tool_result_turn_is_judged_by_the_request_it_serves() -> None:
    calls = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    tool = {"role": "tool", "tool_call_id": "1", "content": "design a distributed ledger " * 50}
    found = judged(user(ASK), calls, tool, calls, tool)
    assert found.text == ASK
    blocks = user([{"type": "tool_result", "tool_use_id": "1", "content": "p99 is 80 ms"}])
    use = assistant([{"type": "tool_use", "id": "1", "name": "run", "input": {}}])
    assert judged(user(ASK), use, blocks).text == ASK


def test_a_turn_of_clutter_alone_is_passed_over() -> None:
    env = "<environment_context>\n<cwd>/repo</cwd>\n</environment_context>"
    assert judged(user(ASK), user(env)).text == ASK


def test_system_prompts_and_tools_count_by_presence() -> None:
    system = {"role": "system", "content": "Prove theorems. Design systems. " * 200}
    plain, full = judged(user(ASK)), judged(system, user(ASK), tools=[{"type": "function"}] * 30)
    assert (full.text, full.context, full.tools) == (plain.text, plain.context, 30)


def test_images_are_counted() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    found = judged(user([{"type": "text", "text": "what is this"}, image]))
    assert (found.text, found.images) == ("what is this", 1)


OFFER = "Done. Shall I also write the whole novel, twelve chapters with three narrators?"
YES = [
    "yes", "yes please!", "ok do it", "go ahead", "sure", "sounds good", "ok draft it", "ja bitte",
    "oui vas-y", "sí, por favor", "sim", "sì", "graag", "tak, poproszę", "да", "так", "evet",
    "نعم", "כן", "بله", "हाँ", "হ্যাঁ", "好的", "はい、お願いします", "네", "vâng", "ใช่", "ya", "kyllä",
    "ναι", "ano", "da", "igen", "gärna",
]  # fmt: skip


@pytest.mark.parametrize("text", YES)
def test_yes_keeps_what_was_offered(text: str) -> None:
    found = judged(user("tell me of whales"), assistant(OFFER), user(text))
    assert found.follow_up
    assert "whole novel" in found.context


MORE = [
    "continue", "go on", "next part", "weiter", "continúa", "la suite", "continua", "ga door",
    "dalej", "продолжай", "далі", "devam et", "أكمل", "המשך", "ادامه بده", "जारी रखो", "继续",
    "続けて", "계속해줘", "tiếp tục", "ต่อ", "lanjut", "fortsätt", "jatka", "συνέχισε", "pokračuj",
    "folytasd",
]  # fmt: skip


@pytest.mark.parametrize("text", MORE)
def test_continue_keeps_the_request(text: str) -> None:
    found = judged(user("Write an epic on whales."), assistant("Canto one."), user(text))
    assert found.context == "Write an epic on whales."


SAME = [
    "now the same for B", "and in French?", "what about Kotlin?", "make it shorter", "why?",
    "und auf Deutsch?", "et en espagnol ?", "¿y en francés?", "e em inglês?", "а на Python?",
    "那英文呢?", "じゃあ英語では?", "그럼 자바는?", "peki ya Almanca?",
]  # fmt: skip


@pytest.mark.parametrize("text", SAME)
def test_a_variation_brings_what_it_varies(text: str) -> None:
    found = judged(user("Say 'good luck' in German"), assistant("Viel Glück!"), user(text))
    assert found.context == "Say 'good luck' in German"
    assert found.text == text


def test_a_chain_of_follow_ups_reaches_the_request() -> None:
    turns = [user("Write an epic on whales."), assistant("Canto one."), user("continue")]
    found = judged(*turns, assistant("Canto two."), user("more"))
    assert found.context == "Write an epic on whales."


def test_yes_to_a_question_keeps_the_request_that_it_serves() -> None:
    found = judged(user("Port the query engine to async"), assistant("Is it Rust?"), user("yes"))
    assert "Port the query engine" in found.context


def test_a_new_wish_after_an_offer_is_not_taken_for_a_yes() -> None:
    for text in ("rebase vs merge?", "express handler for logins", "haiku on rain"):
        assert judged(user("tell me of whales"), assistant(OFFER), user(text)).context == ""
    assert judged(user("tell me of whales"), assistant(OFFER), user("the novel then")).follow_up


@pytest.mark.parametrize(
    "text", ["thanks!", "ok thanks", "danke dir", "merci !", "谢谢", "ありがとう"]
)
def test_thanks_carry_nothing(text: str) -> None:
    found = judged(user("Prove the theorem."), assistant("Here is the proof."), user(text))
    assert (found.text, found.context, found.follow_up) == (text, "", False)


@pytest.mark.parametrize("text", ["only keys", "population?", "with flex", "start"])
def test_a_fragment_belongs_to_what_went_before(text: str) -> None:
    found = judged(user("How tall is Elbrus?"), assistant("5,642 m."), user(text))
    assert found.context == "How tall is Elbrus?"


@pytest.mark.parametrize(
    ("asked", "text"),
    [("At what scale?", "5M a day, two regions"), ("Rhymed? Any names?", "rhymed, mention Stan"),
     ("À qui ?", "ma sœur, deux minutes, aime les oies"), ("规模和技术栈？", "三万人，用Go写")],
)  # fmt: skip
def test_a_detail_that_was_asked_for_keeps_the_request(asked: str, text: str) -> None:
    found = judged(user("Build the ledger of a bank."), assistant(asked), user(text))
    assert found.context == "Build the ledger of a bank."


@pytest.mark.parametrize(
    ("said", "text"),
    [("At what scale?", "what does SLA mean"), ("At what scale?", "write a haiku on rain please"),
     ("At what scale?", "no. whats the capital of Peru"), ("At what scale?", "thanks!"),
     ("Here it is. Anything else?", "bump the version to 1.4.3 in package.json"),
     ("Which one? Both work. I took the first.", "villanelle about lost socks at sea")],
)  # fmt: skip
def test_a_new_request_after_a_question_stands_alone(said: str, text: str) -> None:
    found = judged(user("Build the ledger of a bank."), assistant(said), user(text))
    assert found.context == ""


@pytest.mark.parametrize(
    "text", ["no, the complete proof", "and the lower bound", "as a table", "of 1024 then"]
)
def test_a_reply_without_a_verb_of_its_own_leans_back(text: str) -> None:
    found = judged(user("Prove the bound."), assistant("Here is a sketch."), user(text))
    assert found.context == "Prove the bound."


def test_a_new_question_after_hard_talk_stands_alone() -> None:
    hard = [user("Design a multi-region ledger."), assistant("Here is the design…")]
    assert judged(*hard, user("capital of Peru?")).context == ""
    assert judged(*hard, user("good recipe for pancakes?")).context == ""


def test_nothing_to_judge() -> None:
    assert judged() == Judged("", turns=0)
    assert judged({"role": "system", "content": "Be brief."}).text == "Be brief."
    assert judged(user("")).text == ""


NASTY = [
    "<a " * 20_000, "<a>" * 20_000, "</a>" * 20_000, "<x>" * 9_000 + "</x>" * 9_000, "“" * 40_000,
    '"' * 40_001, "```\n" * 9_000, "[" * 50_000, '{"a":' * 9_000, "a" * 60_000, "; " * 25_000,
    "\n \n" * 15_000, "that's " * 12, "ok " * 30, "> " * 20_000, "A: b\n" * 9_000, "(" * 40_000,
    "_" * 40_000, "- " * 20_000, "hi " * 15_000, "¿" * 9_000, "thx, " * 5_000, "\x1f\n\n" * 9_000,
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_time_is_bounded(text: str) -> None:
    start = time.process_time()
    judged(user("a"), assistant(text), user(text))
    assert time.process_time() - start < 1.5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "tool_calls", "x"]), inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "tool", "system", "odd"]) | JSON,
        "content": JSON,
    }
)


@settings(max_examples=250, deadline=None)
@given(st.lists(MESSAGE | JSON, max_size=6), st.lists(JSON, max_size=2))
def test_any_json_is_judged(messages: list[Any], tools: list[Any]) -> None:
    found = judge(Conversation(messages, tools))
    assert isinstance(found.text, str)
    assert found.follow_up == bool(found.context)


PIECES = st.sampled_from(
    ["<task>", "</task>", "<x a=1>", "</x>", "```", "\n", "\n\n", "> ", "Question:", "Context: ",
     "{",
     '{"text": "', '"}', "Thought:", "[a]", "def f(x):", "yes", "?", "thanks", "“", "”", " ", "ask"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=12), max_size=24).map("".join))
def test_cleaning_any_text(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.code_chars >= 0
    assert cleaned.pasted_chars >= 0
    assert "\x1f" not in cleaned.text or "\x1f" in text
