"""Made-up work of a small company: who asks what, and how often."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmrouter.providers.registry import LOCAL_MODEL

_FACTUAL = (
    "What is the capital of {place}?",
    "When was the {thing} invented?",
    "How many people live in {place}?",
    "What does the abbreviation {acronym} stand for?",
    "Which languages are spoken in {place}?",
)
_CODE = (
    "Write a Python function that parses a {thing} log line and returns a dict.",
    "Why does this raise a KeyError?\n```python\ncounts = {}\nfor word in words:\n"
    "    counts[word] += 1\n```",
    "Refactor the {thing} module so that retries, timeouts and circuit breaking are separate, keep "
    "the public interface, and explain each step with the tests that should guard it.",
    "Give me a regex for ISO dates.",
    "Design a lock-free queue for many producers in Rust, prove that it is linearizable, and write "
    "the implementation with comments on memory ordering.",
)
_REASONING = (
    "Compare buying and leasing a {thing} over five years at 4 % interest, and say from when on "
    "buying wins.",
    "A train leaves {place} at 9:40 at 120 km/h, another one 30 minutes later at 150 km/h. When "
    "do they meet?",
    "Our churn rose after the price change in {place}, but only for yearly plans. List hypotheses, "
    "which data would tell them apart, and what you would do first under each.",
    "Prove that the square root of 2 is irrational.",
    "Is 1009 a prime number?",
)
_CREATIVE = (
    "Write a haiku about a {thing}.",
    "Draft a friendly reply to a customer in {place} whose {thing} arrived broken.",
    "Write the opening scene of a novel set in {place}, in which a {thing} decides everything, in "
    "the voice of an unreliable narrator, about 800 words.",
    "Three names for a newsletter about {thing} repair.",
)
_KINDS = (_FACTUAL, _CODE, _REASONING, _CREATIVE)
_WEIGHTS = (34, 30, 20, 16)
_FOLLOW_UPS = (
    "yes, go on",
    "Shorter please.",
    "Can you explain the second point with an example?",
    "Now write the tests for it.",
    "Translate that into German.",
)
_PLACES = ("Portugal", "Nairobi", "Osaka", "Norway", "Lima", "Estonia", "Ghent", "Mongolia")
_THINGS = ("bicycle", "telescope", "nginx", "heat pump", "typewriter", "payment", "sextant", "kiln")
_ACRONYMS = ("ACID", "CORS", "HVAC", "SOX", "WCAG", "LIDAR")

_CLIENTS = (
    ("web-app", ("team:support",), 40),
    ("agents", ("team:platform", "agent"), 30),
    ("data-jobs", ("team:data", "nightly"), 18),
    ("ci", ("team:platform", "ci"), 12),
)
_HOURS = (2, 1, 1, 1, 1, 2, 3, 6, 10, 13, 14, 13, 11, 13, 15, 14, 12, 9, 6, 5, 4, 4, 3, 2)
"""How busy each hour of the day is."""
_OUTAGE_S = (19_000.0, 15_000.0)
"""From and until how many seconds ago a model was down."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One made-up request.

    Attributes:
        ago_s: how long ago it was made.
        earlier: user turns of the conversation before this one.
        fault: what the simulated cloud is to do wrong: "limited", "invalid", "cut", "outage" (of
            its medium model) or None.
        leaves: the client goes away after the first words.
        likes: how its user would judge the answer of a good model, 0..1; None says nothing.
    """

    ago_s: float
    text: str
    key: str
    tags: tuple[str, ...]
    model: str = "auto"
    session: str | None = None
    earlier: tuple[str, ...] = ()
    stream: bool = False
    fault: str | None = None
    leaves: bool = False
    likes: float | None = None
    max_cost_nanos: int | None = None


def day(requests: int, local: int, seed: int, hour: int) -> list[Asked]:
    """A day of requests, oldest first.

    Args:
        local: how many ask for the local model by its name.
        hour: of the day that it is now, so that nights are quiet.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
    asked: list[Asked] = []
    while len(asked) < requests - local:
        ago = _when(chance, hour)
        key, tags, _ = chance.choices(_CLIENTS, [weight for *_, weight in _CLIENTS])[0]
        if chance.random() < 0.08:
            asked += _conversation(chance, ago, key, tags)
        else:
            asked.append(_single(chance, ago, key, tags))
    asked = asked[: requests - local]
    asked += [
        Asked(chance.uniform(600, 80_000), _text(chance, _FACTUAL), "ci", ("local",), LOCAL_MODEL)
        for _ in range(local)
    ]
    begin, end = _OUTAGE_S
    asked = [replace(one, fault="outage") if begin >= one.ago_s > end else one for one in asked]
    return sorted(asked, key=lambda one: -one.ago_s)


def _when(chance: random.Random, hour: int) -> float:
    back = chance.choices(range(24), [_HOURS[(hour - back) % 24] for back in range(24)])[0]
    return back * 3600 + chance.uniform(30, 3570)


def _single(chance: random.Random, ago: float, key: str, tags: tuple[str, ...]) -> Asked:
    stream = key in ("web-app", "agents") and chance.random() < 0.7
    trouble = chance.random()
    fault = (
        "invalid"
        if trouble < 0.012
        else "limited"
        if trouble < 0.04
        else "cut"
        if trouble < 0.055 and stream
        else None
    )
    return Asked(
        ago,
        _text(chance, chance.choices(_KINDS, _WEIGHTS)[0]),
        key,
        tags,
        stream=stream,
        fault=fault,
        leaves=stream and chance.random() < 0.025,
        likes=chance.random() if chance.random() < 0.22 else None,
        max_cost_nanos=1_000 if chance.random() < 0.006 else None,
    )


def _conversation(
    chance: random.Random, ago: float, key: str, tags: tuple[str, ...]
) -> list[Asked]:
    session = f"chat-{chance.getrandbits(32):08x}"
    texts = [_text(chance, chance.choices(_KINDS, _WEIGHTS)[0])]
    texts += chance.sample(_FOLLOW_UPS, chance.randint(1, 4))
    turns: list[Asked] = []
    for number, text in enumerate(texts):
        likes = chance.random() if chance.random() < 0.3 else None
        earlier = tuple(texts[:number])
        at = max(5.0, ago - number * chance.uniform(20, 70))
        turns.append(
            Asked(at, text, key, tags, session=session, earlier=earlier, stream=True, likes=likes)
        )
    return turns


def _text(chance: random.Random, templates: Sequence[str]) -> str:
    template = chance.choice(templates)
    for name, values in (("place", _PLACES), ("thing", _THINGS), ("acronym", _ACRONYMS)):
        template = template.replace("{" + name + "}", chance.choice(values))
    return template
