"""A day of agents' conversations under several policies: a simulation of what they cost, and how
well they are answered.

`python benchmarks/agent_day.py [--sessions 500] [--requests 20] [--seed 11] [--plot FILE]`

Real: the requests (Messages bodies with a long system prompt, tools, tool results, reminders,
signed thinking), what is read of them, the classification, the decision (`Planner`,
`Conversations`), the price table, the arithmetic of the books.

Simulated: the answers. The provider counts tokens as we estimate them; its cache is per model and
conversation, holds the longest prefix that it has seen, expires five minutes after its last use,
and is read and written at its rates (a system prompt that conversations share is not shared here).
An answer is right with the chance that the outcome tables give (`CHANCES`); what is told is the
mean chance, so no luck comes in.

Three rows say what could be had at all. *Labels known*: the same decisions with a classifier that
is always right. *Hardest turn known*: each conversation has the model of its hardest turn from the
start. *Foresight*: each conversation has one model, chosen knowing all of it, so that no other
choice is right more often for the money of the first row. *Fixed* is what the same money buys
without looking at anything: two fixed models, each for a share of the conversations.

The users' words are rows of training/data (`HELD_OUT`) with the labels that their authors gave
them; where a row is a conversation, its turns follow each other, and each bears the label of the
row.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmrouter.classifier.select import select
from mmrouter.config import Config, load_config
from mmrouter.dialects import Conversation
from mmrouter.dialects.base import count_tokens, strings
from mmrouter.dialects.thinking import without_earlier
from mmrouter.money import cost, to_usd
from mmrouter.providers.registry import Registry
from mmrouter.router.classify import ClassifyStep
from mmrouter.router.conversations import Conversations
from mmrouter.router.health import ProviderHealth
from mmrouter.router.planner import Planner
from mmrouter.state.sessions import MemorySessions
from mmrouter.types import (
    Attempt,
    AttemptStatus,
    Classification,
    Complexity,
    Dialect,
    Outcome,
    Request,
    Role,
    Status,
    Surface,
    Target,
    Usage,
)

DATA = Path(__file__).parents[1] / "training" / "data"

HELD_OUT = ("a4", "a10")
"""Sets of rows on which the shipped classifier is not trained (docs/model-card.md)."""

LEVELS = tuple(Complexity)

CHANCES = {
    Complexity.SIMPLE: (0.84, 0.95, 0.96),
    Complexity.MEDIUM: (0.46, 0.74, 0.82),
    Complexity.COMPLEX: (0.13, 0.30, 0.56),
}
"""Chance that a small, middle and large model is right on an easy, middling and hard prompt.

From the outcome tables (see `chances_of`): prompts of MMLU-Pro and ZeroEval in thirds by how many
*other* models solve them; Llama-3.1-8B, gemini-1.5-flash and gemini-1.5-pro on the one,
claude-3.5-haiku, claude-3.5-sonnet and o1-preview on the other; the mean of both. Benchmarks are
harder than an agent's day, so what counts is the distance between policies, not the height."""

TIERS = {
    "mmlu_pro": ("Meta-Llama-3_1-8B-Instruct", "gemini-1.5-flash-002", "gemini-1.5-pro-002"),
    "zeroeval": (
        "claude-3-5-haiku-20241022",
        "claude-3-5-sonnet-20241022",
        "o1-preview-2024-09-12",
    ),
}

CACHE_S, LEAST_CACHED = 300.0, 1_024


@dataclass(frozen=True)
class Step:
    """One request of a script.

    Attributes:
        said: the user's words; None where a tool's result is sent back.
        result: the tool's result.
        gap_s: seconds since the answer before.
        calls_tool: the answer asks for a tool, so the turn goes on.
    """

    said: str | None
    result: str
    label: Complexity
    gap_s: float
    output: int
    calls_tool: bool


@dataclass(frozen=True)
class Script:
    """What happens in one conversation, whoever answers."""

    id: int
    start: float
    system: str
    thinks: bool
    steps: tuple[Step, ...]


TOOLS = [
    {
        "name": name,
        "description": f"{name}: " + "Use it where the task needs it; mind the limits. " * 20,
        "input_schema": {
            "type": "object",
            "properties": {key: {"type": "string"} for key in ("path", "pattern", "command")},
        },
    }
    for name in ("read", "write", "edit", "grep", "glob", "bash", "fetch", "plan", "ask", "test")
]
REMINDER = "<system-reminder>The list of tasks is empty. Do not mention this.</system-reminder>"
_FILLER = "def step(state, event):  # handles one event\n    return state.apply(event)\n"


def filler(tokens: int) -> str:
    """Text of about so many tokens."""
    return (_FILLER * (tokens * 4 // len(_FILLER) + 1))[: int(tokens * 3.6)]


def scripts(sessions: int, requests: int, seed: int) -> Iterator[Script]:
    """Conversations that begin over eight hours."""
    rows: dict[Complexity, list[list[str]]] = {level: [] for level in LEVELS}
    lines = (line for name in HELD_OUT for line in (DATA / f"{name}.jsonl").open(encoding="utf-8"))
    for line in lines:
        row = json.loads(line)
        texts = [row["prompt"]] if "prompt" in row else _said(row["messages"])
        if texts:
            rows[Complexity(row["complexity"])].append(texts)
    for number in range(sessions):
        chance = random.Random(seed * 1_000_003 + number)
        # what an agent is used for: small errands, ordinary work, hard problems
        shares = chance.choice([(6, 3, 1), (3, 5, 2), (2, 3, 5)])
        steps: list[Step] = []
        waiting: list[str] = []
        level = chance.choices(LEVELS, shares)[0]
        while len(steps) < requests:
            if not waiting:
                if chance.random() < 0.5:  # work of one kind comes in a row
                    level = chance.choices(LEVELS, shares)[0]
                waiting = list(chance.choice(rows[level]))
            loops = min(int(chance.expovariate(1 / 2.2)), 8) if level is not LEVELS[0] else (
                int(chance.random() < 0.4)
            )  # fmt: skip
            pause = chance.lognormvariate(4.3, 1.1)  # median 74 s; one in ten exceeds five minutes
            said: str | None = waiting.pop(0)
            for left in range(loops, -1, -1):
                steps.append(
                    Step(
                        said=said,
                        result=filler(int(min(chance.lognormvariate(6.6, 1.0), 12_000))),
                        label=level,
                        gap_s=pause if said is not None else chance.uniform(1, 20),
                        output=int(min(chance.lognormvariate(5.6, 0.7), 4_000)),
                        calls_tool=left > 0,
                    )
                )
                said = None
        yield Script(
            id=number,
            start=chance.uniform(0, 8 * 3600),
            system=f"You are agent {number} of a company. " + filler(chance.choice([1_500, 9_000])),
            thinks=chance.random() < 0.4,
            steps=tuple(steps),
        )


def _said(messages: Sequence[dict[str, Any]]) -> list[str]:
    texts = []
    for message in messages:
        content = message.get("content")
        if message["role"] == "user" and isinstance(content, str) and content.strip():
            texts.append(content)
    return texts


@dataclass
class Provider:
    """What a provider has cached of one conversation: model -> (prefix, until)."""

    kept: dict[str, tuple[list[tuple[str, int]], float]] = field(default_factory=dict)

    def bill(self, model: str, body: dict[str, Any], output: int, now: float) -> Usage:
        """The usage of a call, whose prompt is cached from then on."""
        pieces = [("system", count_tokens(strings([body["system"], body["tools"]]), 0))]
        for place, message in enumerate(body["messages"]):
            tokens = count_tokens(strings(message), 0)
            pieces.append((f"{place}:{tokens}", tokens))
        before, until = self.kept.get(model, ([], 0.0))
        read = 0
        if now < until:
            for mine, its in zip(pieces, before, strict=False):
                if mine != its:
                    break
                read += mine[1]
        total = sum(tokens for _, tokens in pieces)
        if total < LEAST_CACHED:
            return Usage(input_tokens=total, output_tokens=output)
        self.kept[model] = pieces, now + CACHE_S
        return Usage(cache_read_tokens=read, cache_write_tokens=total - read, output_tokens=output)


class Clock:
    """Simulated Unix seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Remembered(ClassifyStep):
    """The real classifier, asked once for each request of a script."""

    def __init__(self, strategy: str) -> None:
        super().__init__(select(strategy, None).classifier)
        self.key: tuple[int, int] = (0, 0)
        self._known: dict[tuple[int, int], tuple[Classification, str]] = {}

    async def __call__(
        self, conversation: Conversation, ask: Any = None
    ) -> tuple[Classification, str]:
        if self.key not in self._known:
            self._known[self.key] = await super().__call__(conversation, ask)
        return self._known[self.key]


class Labels(Remembered):
    """A classifier that is always right: it knows what people said of the turn."""

    def __init__(self, real: Remembered, labels: Mapping[tuple[int, int], Complexity]) -> None:
        super().__init__("rules")
        self._real = real
        self._labels = labels

    async def __call__(
        self, conversation: Conversation, ask: Any = None
    ) -> tuple[Classification, str]:
        self._real.key = self.key
        found, judged = await self._real(conversation, ask)
        return replace(found, complexity=self._labels[self.key], confidence=1.0), judged


@dataclass
class Result:
    """What a policy came to."""

    nanos: int = 0
    requests: int = 0
    turns: int = 0
    right: float = 0.0
    switches: int = 0
    read: int = 0
    prompt: int = 0
    models: Counter[str] = field(default_factory=Counter)


class Day:
    """Runs scripts under one policy.

    Args:
        policy: "priced", "route", "pin", or the name of a model.
        dial: what clients ask for.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        classify: Remembered,
        policy: str,
        dial: str = "auto",
    ):
        self.policy = policy
        self.dial = dial
        self.registry = registry
        self.classify = classify
        self.clock = Clock()
        store = MemorySessions(ttl=config.sessions.ttl, most=10_000, now=self.clock)
        self.conversations = Conversations(config.sessions, store, self.clock)
        self.planner = Planner(
            config,
            registry,
            classify,
            ProviderHealth(config.provider, self.clock),
            None,
            lambda _request: None,
            None,
            self.conversations if policy == "priced" else None,
        )
        self.tiers = [
            config.route(level, "reasoning").model  # type: ignore[arg-type]
            for level in LEVELS
        ]
        self.result = Result()

    async def run(self, script: Script) -> None:
        """One conversation."""
        provider, result = Provider(), self.result
        self.clock.now = script.start
        messages: list[dict[str, Any]] = []
        first: Target | None = None
        before: Target | None = None
        for number, step in enumerate(script.steps):
            self.clock.now += step.gap_s
            if step.said is None:
                block = {"type": "tool_result", "tool_use_id": "t", "content": step.result}
                messages.append({"role": "user", "content": [block]})
            else:
                parts = [{"type": "text", "text": text} for text in (step.said, REMINDER)]
                messages.append({"role": "user", "content": parts})
            body = {
                "model": self.dial,
                "system": script.system,
                "tools": TOOLS,
                "messages": list(messages),
                "max_tokens": 8_000,
            }
            request = Request(
                id=f"{script.id}-{number}",
                surface=Surface.MESSAGES,
                dialect=Dialect.MESSAGES,
                model=self.dial,
                body=body,
                session=f"s{script.id}",
            )
            self.classify.key = script.id, number
            plan = None
            omit = False
            if self.policy in ("priced", "route") or (self.policy == "pin" and first is None):
                plan, _ = await self.planner(request)
                target, omit = plan.candidates[0].target, plan.candidates[0].omit_thinking
            else:
                target = first or self.registry.priced(self.policy)
            first = first or target
            sent = dict(without_earlier(Dialect.MESSAGES, body)) if omit else body
            usage = provider.bill(target.name, sent, step.output, self.clock.now)
            price = cost(target.price, usage)
            assert price is not None
            result.nanos += price
            result.requests += 1
            result.models[target.name] += 1
            result.read += usage.cache_read_tokens
            result.prompt += usage.prompt_tokens
            result.switches += before is not None and before.name != target.name
            if not step.calls_tool:
                result.turns += 1
                result.right += CHANCES[step.label][self.tiers.index(target.name)]
            before = target
            answer: list[dict[str, Any]] = []
            if script.thinks:
                answer.append({"type": "thinking", "thinking": "Hm. " * 40, "signature": "c2ln"})
            if step.calls_tool:
                call = {"type": "tool_use", "id": "t", "name": "read", "input": {"path": "a.py"}}
                answer.append(call)
            answer.append({"type": "text", "text": filler(step.output)})
            messages.append({"role": "assistant", "content": answer})
            if plan is not None and self.policy == "priced":
                attempt = Attempt(
                    target=target,
                    role=Role.ROUTE,
                    status=AttemptStatus.OK,
                    usage=usage,
                    cost_nanos=price,
                    started=self.clock.now,
                    latency_ms=1.0,
                )
                self.conversations.note(
                    Outcome(
                        request=request,
                        plan=plan,
                        attempts=(attempt,),
                        status=Status.OK,
                        started=self.clock.now,
                        latency_ms=1.0,
                        overhead_ms=0.0,
                        cost_nanos=price,
                    ),
                    "",
                )


Point = tuple[int, float]
"""Nano-dollars, and the share of turns answered right."""


def fixed_line(nanos: int, fixed: Sequence[Point]) -> float:
    """What this money buys where two fixed models share the conversations by lot.

    Args:
        fixed: of each model alone, the cheapest first.
    """
    nanos = min(nanos, fixed[-1][0])
    left, right = (fixed[0], fixed[1]) if nanos < fixed[1][0] else (fixed[1], fixed[2])
    return left[1] + (right[1] - left[1]) * (nanos - left[0]) / (right[0] - left[0])


def foresight(alone: Sequence[Sequence[Point]], nanos: int) -> Point:
    """The best choice of one model for each conversation within this money: cost and turns right.

    Args:
        alone: of each conversation, each model's cost and turns right, were it alone.
    """

    def chosen(price: float) -> Point:
        """Each conversation's best, where a right turn is worth this many nano-dollars."""
        best = [max(of, key=lambda point: point[1] * price - point[0]) for of in alone]
        return sum(point[0] for point in best), sum(point[1] for point in best)

    low, high = 0.0, 1e12
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chosen(middle)[0] <= nanos else (low, middle)
    return chosen(low)


def plot(points: Mapping[str, Point], fixed: Sequence[Point], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    x, y = [to_usd(nanos) for nanos, _ in fixed], [right * 100 for _, right in fixed]
    axes.plot(x, y, "o-", label="fixed models")
    for name, (nanos, right) in points.items():
        axes.plot([to_usd(nanos)], [right * 100], "s", label=name)
    axes.set(xlabel="cost of the day, USD", ylabel="turns answered right, %")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def chances_of(folder: Path) -> dict[Complexity, tuple[float, ...]]:
    """`CHANCES`, computed anew from the outcome tables (outcomes.parquet)."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "outcomes.parquet")
    columns = (table[name].to_pylist() for name in ("dataset", "prompt_id", "model", "score"))
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for dataset, prompt, model, score in zip(*columns, strict=True):
        scores.setdefault((dataset, prompt), {})[model] = score
    found: dict[Complexity, list[list[float]]] = {level: [] for level in LEVELS}
    for dataset, models in TIERS.items():
        ranked = []
        for (of, _), known in scores.items():
            if of == dataset and all(model in known for model in models):
                others = [score for model, score in known.items() if model not in models]
                ranked.append((sum(others) / len(others), [known[model] for model in models]))
        ranked.sort(key=lambda pair: -pair[0])
        for place, level in enumerate(LEVELS):
            part = ranked[place * len(ranked) // 3 : (place + 1) * len(ranked) // 3]
            found[level].append([sum(row[i] for _, row in part) / len(part) for i in range(3)])
    return {
        level: tuple(round((a + b) / 2, 2) for a, b in zip(*both, strict=True))
        for level, both in found.items()
    }


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--requests", type=int, default=20, help="of each, at least")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--horizon", type=int, nargs="*", help="sessions.switch_horizon")
    parser.add_argument("--config", default="default", help="of Anthropic's models")
    parser.add_argument("--strategy", default="auto", help="classifier.strategy")
    parser.add_argument("--outcomes", type=Path, help="folder: compute the chances anew")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    if asked.outcomes:
        CHANCES.update(chances_of(asked.outcomes))  # type: ignore[arg-type]
        print("chances", {level.value: chance for level, chance in CHANCES.items()})
    os.environ.setdefault("ANTHROPIC_API_KEY", "simulated: nobody is called")
    config = load_config(asked.config)
    registry, classify = Registry(config), Remembered(asked.strategy)
    small, middle, large = (
        config.route(level, "reasoning").model  # type: ignore[arg-type]
        for level in LEVELS
    )
    days: dict[str, Day] = {}
    for horizon in asked.horizon or [config.sessions.switch_horizon]:
        sessions = config.sessions.model_copy(update={"switch_horizon": horizon})
        changed = config.model_copy(update={"sessions": sessions})
        days[f"switch pricing, horizon {horizon}"] = Day(changed, registry, classify, "priced")
    labels: dict[tuple[int, int], Complexity] = {}
    first = next(iter(days))
    for dial in ("auto:cheap", "auto:best"):
        days[f"switch pricing, {dial}"] = Day(config, registry, classify, "priced", dial)
    days["labels known"] = Day(config, registry, Labels(classify, labels), "priced")
    days["always-route (no session)"] = Day(config, registry, classify, "route")
    days["always-pin (first model)"] = Day(config, registry, classify, "pin")
    fixed = [Day(config, registry, classify, name) for name in (small, middle, large)]
    days |= {f"all {day.policy}": day for day in fixed}
    began = time.process_time()
    alone: list[list[Point]] = []
    hardest: Point = (0, 0.0)
    for script in scripts(asked.sessions, asked.requests, asked.seed):
        labels.update({(script.id, i): step.label for i, step in enumerate(script.steps)})
        before = [(day.result.nanos, day.result.right) for day in fixed]
        for day in days.values():
            await day.run(script)
        alone.append(
            [
                (day.result.nanos - nanos, day.result.right - right)
                for day, (nanos, right) in zip(fixed, before, strict=True)
            ]
        )
        its = alone[-1][max(LEVELS.index(step.label) for step in script.steps)]
        hardest = hardest[0] + its[0], hardest[1] + its[1]
    top = days[f"all {large}"].result
    ends = [(day.result.nanos, day.result.right / top.turns) for day in fixed]
    bounds = {
        "hardest turn known": hardest,
        "foresight": foresight(alone, days[first].result.nanos),
    }
    print(f"{asked.sessions} sessions, {top.requests} requests, {top.turns} user turns, "
          f"{time.process_time() - began:.0f} s of CPU")  # fmt: skip
    print("| policy | cost | against all-large | right | fixed | switches | prompt from cache |")
    print("|---|---|---|---|---|---|---|")
    points: dict[str, Point] = {}
    for name, day in days.items():
        r = day.result
        points[name] = r.nanos, r.right / r.turns
        print(_row(name, points[name], ends), f"{r.switches} | {r.read / r.prompt:.0%} |")
    for name, (nanos, right) in bounds.items():
        points[name] = nanos, right / top.turns
        print(_row(name, points[name], ends), "0 | |")
    for name, day in days.items():
        print(name, dict(day.result.models))
    if asked.plot:
        shown = {name: point for name, point in points.items() if not name.startswith("all ")}
        plot(shown, ends, asked.plot)


def _row(name: str, point: Point, fixed: Sequence[Point]) -> str:
    nanos, right = point
    return (
        f"| {name} | ${to_usd(nanos):.2f} | {nanos / fixed[-1][0] - 1:+.0%} "
        f"| {right:.1%} | {fixed_line(nanos, fixed):.1%} |"
    )


if __name__ == "__main__":
    asyncio.run(main())
