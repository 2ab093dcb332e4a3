"""What would I have saved? Every decision over a log, by the router's own planner.

Nobody is called. Every model's key counts as set and every breaker as closed: it is the config that
is judged. Of a cascade only the first model is counted, since nobody knows whether its answers
would have passed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func
from sqlalchemy import select as select_rows

from mmrouter.classifier.select import select
from mmrouter.config.schema import Config
from mmrouter.decide.cost import EXPECTED_OUTPUT_TOKENS
from mmrouter.decide.plan import Snapshot, plan_auto
from mmrouter.dialects import Conversation
from mmrouter.errors import MMRouterError, UnpricedModelError
from mmrouter.eval.logs import Logged, UnreadableError, chunks_of, from_books, parse
from mmrouter.eval.tally import Amount, Lengths, Shown, Tally, amount, join_lengths, total
from mmrouter.money import cost
from mmrouter.providers.registry import Registry
from mmrouter.router.classify import ClassifyStep
from mmrouter.router.planner import Planner
from mmrouter.router.ports import Classify
from mmrouter.tracker.records import Row
from mmrouter.tracker.savings import Bucket
from mmrouter.tracker.schema import requests
from mmrouter.tracker.store import Filter, Store
from mmrouter.types import Classification, Nanos, Needs, Plan, Request, Surface, Target, Usage

CHUNK = 250
"""Requests that travel to a worker at a time."""

SMALL = 2_000
"""Requests up to which a log is replayed in this process: starting others would take longer."""

_LINE_BYTES = 1_000
"""Of a request in a log, about."""

_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class Settings:
    """What is compared, in a form that travels between processes.

    Attributes:
        configs: as JSON; one, or two to compare.
        baseline: name of the model that savings are counted against.
    """

    configs: tuple[str, ...]
    baseline: str


@dataclass(slots=True)
class Sums:
    """All that is kept of a log.

    Attributes:
        skipped: why lines were left out -> how many.
        estimated: requests without token counts in the log.
        lengths: of the log's answers, per (bucket, model).
        logged_nanos: what the log's answers cost, as far as that is known; `logged_count` of them.
        tallies: per config.
        against_log: per config; as its `projected`, where the log's cost is known.
        flips: per (first config's model, second config's model), where they differ.
    """

    requests: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    estimated: int = 0
    lengths: dict[tuple[Bucket, str], Lengths] = field(default_factory=lambda: defaultdict(Lengths))
    logged_nanos: Nanos = 0
    logged_count: int = 0
    tallies: list[Tally] = field(default_factory=list)
    against_log: list[Tally] = field(default_factory=list)
    flips: Counter[tuple[str, str]] = field(default_factory=Counter)

    def join(self, other: Sums) -> None:
        """Adds another process' sums."""
        self.requests += other.requests
        self.skipped += other.skipped
        self.estimated += other.estimated
        join_lengths(self.lengths, other.lengths)
        self.logged_nanos += other.logged_nanos
        self.logged_count += other.logged_count
        for mine, theirs in zip(
            self.tallies + self.against_log, other.tallies + other.against_log, strict=True
        ):
            mine.join(theirs)
        self.flips += other.flips


class Replayed(NamedTuple):
    """One config's result.

    Attributes:
        saved: against the baseline.
        saved_log: against what the log's answers cost.
    """

    tally: Tally
    cost: Amount
    baseline: Amount
    saved: Amount
    saved_log: Amount


def results(sums: Sums, baseline: str) -> list[Replayed]:
    """What the sums come to.

    Args:
        baseline: its upstream name.
    """
    return [
        _result(sums, tally, against_log, baseline)
        for tally, against_log in zip(sums.tallies, sums.against_log, strict=True)
    ]


def _result(sums: Sums, tally: Tally, against_log: Tally, baseline: str) -> Replayed:
    projected = amount(tally.projected, sums.lengths)
    elsewhere = amount(tally.projected, sums.lengths, baseline)
    instead = amount(tally.baseline, sums.lengths)
    known = amount(against_log.projected, sums.lengths)
    return Replayed(
        tally=tally,
        cost=projected,
        baseline=Amount(instead.nanos + projected.nanos - elsewhere.nanos, instead.error_nanos),
        # the error of what the baseline answers in both cases is the same, and cancels out
        saved=Amount(
            instead.nanos - elsewhere.nanos,
            (instead.error_nanos**2 + elsewhere.error_nanos**2) ** 0.5,
        ),
        saved_log=Amount(sums.logged_nanos - known.nanos, known.error_nanos),
    )


class _EveryKey(Registry):
    """A registry to which every model can be called."""

    def has_key(self, target: Target) -> bool:
        return True


class _AllWell:
    """Health of models that never fail."""

    def open(self, target: Target) -> bool:
        return False

    def limited(self, target: Target, needs: Needs) -> None:
        return None


class _Once:
    """Classifies a conversation once, though two configs ask."""

    def __init__(self, classify: Classify) -> None:
        self._classify = classify
        self._last: tuple[Conversation, tuple[Classification, str]] | None = None

    async def __call__(self, conversation: Conversation, *ask: Any) -> tuple[Classification, str]:
        if self._last is None or self._last[0] != conversation:
            self._last = conversation, await self._classify(conversation, *ask)
        return self._last[1]


class Decider:
    """One config's decisions.

    Args:
        classify: its strategy; configs with the same one share it.
    """

    def __init__(self, config: Config, classify: Classify) -> None:
        self.config = config
        self.registry = _EveryKey(config)
        self._health = _AllWell()
        self._plans = Planner(
            config,
            self.registry,
            classify,
            self._health,
            None,
            lambda request: None,
        )

    async def decide(self, logged: Logged) -> tuple[Plan, str]:
        """The plan, and the judged text.

        Raises:
            MMRouterError: no model of the config would do.
        """
        if logged.classification is not None:
            tokens = logged.usage.prompt_tokens if logged.usage else 0
            plan = plan_auto(
                "auto",
                logged.classification,
                Needs(input_tokens=tokens, input_bound=tokens),
                self.config,
                self.registry.priced,
                Snapshot(callable=self.registry.has_key, open=self._health.open),
            )
            return plan, "(its text was not kept)"
        request = Request(
            id="",
            surface=Surface.LIBRARY,
            dialect=logged.dialect,
            model="auto",
            body=logged.body,
        )
        plan, judged = await self._plans(request)
        return plan, judged or ""

    def find(self, model: str) -> Target | None:
        """The model under a log's name for it; None where nobody knows it."""
        for name in (model, model.rpartition("/")[2]):
            try:
                return self.registry.resolve(name)
            except MMRouterError:
                continue
        return None


class _Past(NamedTuple):
    """What a log says of a request.

    Attributes:
        name: the model's upstream name, or the log's where nobody knows it.
        model: the log's name of it.
    """

    bucket: Bucket
    name: str
    model: str
    usage: Usage
    spent_nanos: Nanos | None


class Replay:
    """Replays chunks of a log."""

    def __init__(self, settings: Settings) -> None:
        configs = [Config.model_validate_json(config) for config in settings.configs]
        wanted = [(c.classifier.strategy, c.classifier.trained_model) for c in configs]
        steps = {key: _Once(ClassifyStep(select(*key).classifier)) for key in set(wanted)}
        self._deciders = [
            Decider(config, steps[key]) for config, key in zip(configs, wanted, strict=True)
        ]
        self._baseline = baseline_of(self._deciders[0], settings.baseline)
        self._logged: dict[str, Target | None] = {}

    def empty(self) -> Sums:
        """Sums of nothing."""
        count = len(self._deciders)
        return Sums(
            tallies=[Tally() for _ in range(count)], against_log=[Tally() for _ in range(count)]
        )

    def chunk(self, number: int, lines: Sequence[bytes | Row]) -> Sums:
        """The sums of some lines (or rows of our books).

        Args:
            number: of the first line, from 1.
        """
        sums = self.empty()

        async def every() -> None:
            for offset, line in enumerate(lines):
                try:
                    logged = parse(line) if isinstance(line, bytes) else from_books(line)
                    await self._one(number + offset, logged, sums)
                except UnreadableError as error:
                    sums.skipped[str(error)] += 1

        asyncio.run(every())
        return sums

    async def _one(self, number: int, logged: Logged, sums: Sums) -> None:
        try:
            plans = [await decider.decide(logged) for decider in self._deciders]
        except MMRouterError as error:
            raise UnreadableError(f"no decision: {type(error).__name__}") from None
        chosen = [plan.candidates[0].target for plan, _ in plans]
        if any(target.price is None for target in chosen):
            raise UnreadableError("no price is known for the chosen model")
        past = self._past(logged, plans[0][0])
        self._note_past(sums, past)
        costs = [
            self._note_choice(sums, index, past, target) for index, target in enumerate(chosen)
        ]
        if len(plans) > 1:
            before, before_nanos, before_name = chosen[0].upstream, costs[0], chosen[0].name
            if before != chosen[1].upstream:
                sums.flips[chosen[0].name, chosen[1].name] += 1
        else:
            before, before_nanos, before_name = past.name, past.spent_nanos or 0, past.model
        if before != chosen[-1].upstream:
            plan, judged = plans[-1]
            request = Shown(
                stake_nanos=abs(costs[-1] - before_nanos),
                number=number,
                excerpt=judged[:_EXCERPT],
                bucket="/".join(part or "?" for part in _bucket(plan)),
                before=before_name,
                after=chosen[-1].name,
                reasons="; ".join(plan.reasons),
            )
            sums.tallies[-1].show(request)

    def _past(self, logged: Logged, plan: Plan) -> _Past:
        then = self._then(logged.model)
        usage, spent = logged.usage, logged.cost_nanos
        if usage is not None and spent is None and then is not None:
            spent = cost(then.price, usage)
        return _Past(
            bucket=_bucket(plan),
            name=then.upstream if then else logged.model or "?",
            model=logged.model or "?",
            usage=usage
            or Usage(
                input_tokens=plan.needs.input_tokens,
                output_tokens=EXPECTED_OUTPUT_TOKENS,
                estimated=True,
            ),
            spent_nanos=spent,
        )

    def _note_past(self, sums: Sums, past: _Past) -> None:
        sums.requests += 1
        if past.usage.estimated:
            sums.estimated += 1
        else:
            sums.lengths[past.bucket, past.name].note(past.usage.output_tokens)
        if past.spent_nanos is not None:
            sums.logged_count += 1
            sums.logged_nanos += past.spent_nanos

    def _note_choice(self, sums: Sums, index: int, past: _Past, chosen: Target) -> Nanos:
        """Adds a config's decision to its sums; what it would cost."""
        price, baseline = chosen.price, self._baseline
        assert price is not None and baseline.price is not None  # noqa: S101, PT018 - both checked
        tally, case = sums.tallies[index], (past.bucket, past.name, chosen.upstream)
        tally.routed[past.bucket, chosen.name] += 1
        tally.choices[past.model, chosen.name] += 1
        tally.projected[case].note(price, past.usage)
        if past.spent_nanos is not None:
            sums.against_log[index].projected[case].note(price, past.usage)
        if chosen.upstream != baseline.upstream:
            case = (past.bucket, past.name, baseline.upstream)
            tally.baseline[case].note(baseline.price, past.usage)
        return cost(price, past.usage) or 0

    def _then(self, model: str | None) -> Target | None:
        if model is None:
            return None
        if model not in self._logged:
            self._logged[model] = self._deciders[0].find(model)
        return self._logged[model]


def baseline_of(decider: Decider, name: str) -> Target:
    """The baseline as a target with a price.

    Raises:
        UnknownModelError, UnpricedModelError
    """
    target = decider.registry.priced(name)
    if target.price is None:
        raise UnpricedModelError(f"No price is known for the baseline '{name}'")
    return target


def _bucket(plan: Plan) -> Bucket:
    label = plan.classification
    return (label.complexity.value, label.category.value) if label else (None, None)


Chunks = Generator[tuple[int, list[bytes | Row], int], None, None]
"""(number of the first line, lines, how far they bring the progress)"""


def file_chunks(path: Path) -> Chunks:
    """The lines of a JSONL file; progress is in bytes."""
    number = 1
    with path.open("rb") as lines:
        for chunk in chunks_of(iter(lines), CHUNK):
            yield number, list(chunk), sum(map(len, chunk))
            number += len(chunk)


def store_chunks(store: Store) -> Chunks:
    """The requests of our own books, oldest first; progress is in requests."""
    rows = store.rows(Filter())
    number = 1
    while chunk := list(islice(rows, CHUNK)):
        yield number, list(chunk), len(chunk)
        number += len(chunk)


def replay(
    settings: Settings, chunks: Chunks, *, workers: int, advance: Callable[[int], None]
) -> Sums:
    """Replays a log, in other processes where `workers` is above 1.

    Args:
        advance: told how far each chunk brings the progress.
    """
    here = Replay(settings)
    sums = here.empty()
    if workers < 2:
        for number, lines, size in chunks:
            sums.join(here.chunk(number, lines))
            advance(size)
        return sums
    spawn = multiprocessing.get_context("spawn")
    running: deque[tuple[Future[Sums], int]] = deque()

    def collect() -> None:
        future, size = running.popleft()
        sums.join(future.result())
        advance(size)

    with ProcessPoolExecutor(workers, mp_context=spawn) as pool, closing(chunks):
        for number, lines, size in chunks:
            running.append((pool.submit(_chunk_elsewhere, settings, number, lines), size))
            if len(running) >= 4 * workers:  # a long log must not wait in memory
                collect()
        while running:
            collect()
    return sums


def workers_for(requests: int) -> int:
    """How many processes so many requests are worth."""
    return 1 if requests <= SMALL else len(os.sched_getaffinity(0))


def requests_in(log: Path | Store) -> int:
    """How many requests a log holds; of a file, about."""
    if isinstance(log, Path):
        return log.stat().st_size // _LINE_BYTES
    with log.read() as connection:
        return connection.execute(select_rows(func.count()).select_from(requests)).scalar_one()


@lru_cache(maxsize=1)
def _replay_of(settings: Settings) -> Replay:
    return Replay(settings)


def _chunk_elsewhere(settings: Settings, number: int, lines: Sequence[bytes | Row]) -> Sums:
    return _replay_of(settings).chunk(number, lines)


def flip_count(sums: Sums) -> int:
    """Requests for which two configs choose different models."""
    return sum(sums.flips.values())


def moved_count(tally: Tally) -> int:
    """Requests that another model than the log's would answer."""
    return total(
        costs for (_, logged, chosen), costs in tally.projected.items() if logged != chosen
    )
