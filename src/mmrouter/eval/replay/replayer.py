"""Decides the requests of a log, and sums up what their answers would cost.

Of a cascade only the first model is counted, since nobody knows whether its answers would have
passed. Each request is decided by itself: what staying with a conversation's model saves, where
its provider has cached the prompt, is not known to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mmrouter.classifier.select import select
from mmrouter.config.schema import Config
from mmrouter.decide.cost import EXPECTED_OUTPUT_TOKENS
from mmrouter.errors import MMRouterError
from mmrouter.eval.replay.decider import Decider, Once, baseline_of
from mmrouter.eval.replay.logs import Logged, UnreadableError, from_books, parse
from mmrouter.eval.replay.sums import Sums
from mmrouter.eval.replay.tally import Shown, Tally
from mmrouter.money import cost
from mmrouter.router.classify import ClassifyStep
from mmrouter.tracker.records import Row
from mmrouter.tracker.savings import Bucket
from mmrouter.types import Nanos, Plan, Target, Usage

_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class Settings:
    """What is compared, in a form that travels between processes.

    Attributes:
        configs: as JSON; one, or two to compare.
        baseline: name of the model that savings are counted against.
        second_look: whether unsure classifications are looked at again, as they are live.
    """

    configs: tuple[str, ...]
    baseline: str
    second_look: bool = True


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


class Replayer:
    """Replays chunks of a log."""

    def __init__(self, settings: Settings) -> None:
        configs = [Config.model_validate_json(config) for config in settings.configs]
        asked = [config.classifier for config in configs]
        wanted = [
            (one.strategy, one.trained_model, one.second_look and settings.second_look)
            for one in asked
        ]
        steps = {key: Once(ClassifyStep(select(*key).classifier)) for key in set(wanted)}
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
        tally.names.setdefault(chosen.upstream, chosen.name)
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


def _bucket(plan: Plan) -> Bucket:
    label = plan.classification
    return (label.complexity.value, label.category.value) if label else (None, None)
