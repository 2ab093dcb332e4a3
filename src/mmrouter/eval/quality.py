"""Are routed answers as good as the baseline's? Each pair is judged, and the differences summed up.

The routed answer is there already; the baseline's is made for the comparison. Every call is a
request of its own in the books, of the surface "quality": it costs money, and savings count it as
a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import NormalDist, fmean, stdev
from typing import Any

import orjson

from mmrouter.decide.budget import QUALITY_TAG
from mmrouter.dialects.question import THINKING_TOKENS, Question, body_of, bound_key, dialect_of
from mmrouter.errors import MMRouterError, NothingToJudgeError
from mmrouter.eval.accuracy import wilson
from mmrouter.eval.pairwise import (
    CRITERIA,
    SAME,
    Judgement,
    Marks,
    Verdict,
    combined,
    question,
    read,
    score,
)
from mmrouter.router.excerpt import asked, ends
from mmrouter.router.ids import new_request_id
from mmrouter.router.whole import Run, whole
from mmrouter.types import Attempt, Dialect, Nanos, Outcome, Request, Surface, Target

_STREAM_KEYS = ("stream", "stream_options")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One request whose routed answer was held against the baseline's.

    Attributes:
        request_id: of the routed request.
        routed_nanos: what the routed request cost in all; None where a price is unknown.
        baseline_nanos: what the baseline's answer cost; the routed request's own cost where the
            baseline was routed to.
        judging_nanos: what the judge cost, and the baseline's answer where it was made for this.
        judgement: None where there is none.
        fault: why there is none.
    """

    request_id: str
    routed_model: str
    baseline_model: str
    judge_model: str
    routed_nanos: Nanos | None
    baseline_nanos: Nanos | None = None
    judging_nanos: Nanos = 0
    judgement: Judgement | None = None
    fault: str | None = None


class Referee:
    """Makes the baseline's answer and has both judged.

    Args:
        run: how requests are answered.
        priced: a model's name to its target; see `Registry.priced`.
        judge: name of the model that judges.
        baseline: name of the model to compare with.
    """

    def __init__(
        self, run: Run, priced: Callable[[str], Target], *, judge: str, baseline: str
    ) -> None:
        self._run = run
        self._priced = priced
        self._judge = judge
        self._baseline = baseline

    async def compare(self, outcome: Outcome, text: str) -> Comparison:
        """Compares an answered request. Never raises an `MMRouterError`: the fault is noted.

        Args:
            text: the routed answer.
        """
        answered = outcome.answered
        routed = answered.target.name if answered is not None else ""
        found = Comparison(
            request_id=outcome.request.id,
            routed_model=routed,
            baseline_model=self._baseline,
            judge_model=self._judge,
            routed_nanos=outcome.cost_nanos,
        )
        if routed == self._baseline:
            return replace(found, baseline_nanos=outcome.cost_nanos, judgement=SAME)
        if not text.strip():
            return replace(found, fault="the answer has no text (a tool call, say)")
        spent: list[Nanos] = []
        try:
            other, cost = await self._baseline_answer(outcome, spent)
            found = replace(found, baseline_nanos=cost)
            judgement = await self._judged(asked(outcome.request), text, other, spent)
        except MMRouterError as error:
            return replace(found, judging_nanos=sum(spent), fault=str(error))
        return replace(found, judging_nanos=sum(spent), judgement=judgement)

    def unanswered(self, request: Request, fault: str) -> Comparison:
        """A request that routing gave no answer to."""
        return Comparison(
            request_id=request.id,
            routed_model="",
            baseline_model=self._baseline,
            judge_model=self._judge,
            routed_nanos=0,
            fault=fault,
        )

    async def _baseline_answer(
        self, outcome: Outcome, spent: list[Nanos]
    ) -> tuple[str, Nanos | None]:
        request, target = outcome.request, self._priced(self._baseline)
        body = {key: value for key, value in request.body.items() if key not in _STREAM_KEYS}
        body["model"] = self._baseline
        if outcome.plan is not None and outcome.plan.needs.max_output is None:
            body |= _room(request.dialect, target, outcome.answered)
        done = await whole(
            self._run,
            Request(
                id=new_request_id(),
                surface=Surface.QUALITY,
                dialect=request.dialect,
                model=self._baseline,
                body=body,
                tags=(QUALITY_TAG,),
                forward_headers=request.forward_headers,
            ),
        )
        spent.append(done.outcome.cost_nanos or 0)
        if not done.text.strip():
            raise NothingToJudgeError("the baseline's answer has no text")
        return done.text, done.outcome.cost_nanos

    async def _judged(
        self, request: str, routed: str, baseline: str, spent: list[Nanos]
    ) -> Judgement:
        shown, one, other = ends(request), ends(routed), ends(baseline)
        straight = await self._ask(question(self._judge, shown, one, other), spent)
        swapped = await self._ask(question(self._judge, shown, other, one), spent)
        return combined(read(straight), read(swapped))

    async def _ask(self, question: Question, spent: list[Nanos]) -> str:
        target = self._priced(question.model)
        done = await whole(
            self._run,
            Request(
                id=new_request_id(),
                surface=Surface.QUALITY,
                dialect=dialect_of(target),
                model=question.model,
                body=body_of(question, target),
                tags=(QUALITY_TAG,),
            ),
        )
        spent.append(done.outcome.cost_nanos or 0)
        return done.text


def _room(dialect: Dialect, target: Target, answered: Attempt | None) -> dict[str, int]:
    """A bound on the baseline's answer where its request has none: several times the routed
    answer's length. Without one a budget would set aside the longest answer that the model can
    give, and soon have no room for a comparison."""
    written = answered.usage.output_tokens if answered is not None else 0
    room = max(_LEAST_ROOM, _TIMES_AS_LONG * written)
    if "reasoning" in (target.capabilities or ()):
        room += THINKING_TOKENS
    if target.max_output is not None:
        room = min(room, target.max_output)
    return {bound_key(dialect, target): room}


_LEAST_ROOM = 1_024
_TIMES_AS_LONG = 4


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its 95 % interval (Student's t); the interval is None of fewer than two."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What comparisons come to.

    Attributes:
        judged: comparisons with a judgement, `same` among them.
        same: routed to the baseline itself: a tie, with no marks and no difference.
        unjudged: reason -> comparisons without a judgement.
        swayed: pairs over which the judge changed its mind with the order; they count as ties.
        verdicts: of all judged.
        as_good: share that won or tied: (share, low, high), Wilson's 95 % interval.
        scores: mean (routed, baseline) of those that were marked, 0..1; None where none was.
        difference: routed less baseline, of all judged.
        criteria: criterion -> (routed mark, baseline mark, difference) of those that were marked,
            1..5; empty where none was.
        by_model: routed model -> (judged, difference of scores).
    """

    judged: int
    same: int
    unjudged: Mapping[str, int]
    swayed: int
    verdicts: Mapping[Verdict, int]
    as_good: tuple[float, float, float]
    scores: tuple[float, float] | None
    difference: Mean
    criteria: Mapping[str, tuple[float, float, Mean]]
    by_model: Mapping[str, tuple[int, Mean]]
    routed_nanos: Nanos
    baseline_nanos: Nanos
    judging_nanos: Nanos


def summary(comparisons: Sequence[Comparison]) -> Quality:
    """Sums comparisons up. Means are over the judged ones; costs of answers too.

    Raises:
        NothingToJudgeError: none has a judgement.
    """
    pairs = [(c, c.judgement) for c in comparisons if c.judgement is not None]
    unjudged = [c.fault or "" for c in comparisons if c.judgement is None]
    if not pairs:
        reasons = "; ".join(sorted(set(unjudged))) or "there was nothing to compare"
        raise NothingToJudgeError(f"no answer could be judged: {reasons}")
    models: dict[str, list[float]] = {}
    for comparison, judgement in pairs:
        models.setdefault(comparison.routed_model, []).append(judgement.difference)
    good = sum(j.verdict is not Verdict.LOSS for _, j in pairs)
    marked = [j.marks for _, j in pairs if j.marks is not None]
    return Quality(
        judged=len(pairs),
        same=sum(c.routed_model == c.baseline_model for c, _ in pairs),
        unjudged={reason: unjudged.count(reason) for reason in sorted(set(unjudged))},
        swayed=sum(j.swayed for _, j in pairs),
        verdicts={verdict: sum(j.verdict is verdict for _, j in pairs) for verdict in Verdict},
        as_good=(good / len(pairs), *wilson(good, len(pairs))),
        scores=(fmean(score(a) for a, _ in marked), fmean(score(b) for _, b in marked))
        if marked
        else None,
        difference=mean_of([j.difference for _, j in pairs]),
        criteria={name: _criterion(marked, name) for name in CRITERIA} if marked else {},
        by_model={name: (len(found), mean_of(found)) for name, found in sorted(models.items())},
        routed_nanos=sum(c.routed_nanos or 0 for c, _ in pairs),
        baseline_nanos=sum(c.baseline_nanos or 0 for c, _ in pairs),
        judging_nanos=sum(c.judging_nanos for c in comparisons),
    )


def _criterion(marked: Sequence[tuple[Marks, Marks]], name: str) -> tuple[float, float, Mean]:
    pairs = [(routed[name], baseline[name]) for routed, baseline in marked]
    return (
        fmean(routed for routed, _ in pairs),
        fmean(baseline for _, baseline in pairs),
        mean_of([routed - baseline for routed, baseline in pairs]),
    )


def row_of(comparison: Comparison, source: str) -> dict[str, Any]:
    """A comparison as a row of the books' `judgements`.

    Args:
        source: "command" or "shadow".
    """
    said = comparison.judgement
    marks = said.marks if said is not None else None
    detail: dict[str, Any] = {"fault": comparison.fault} if comparison.fault else {}
    if said is not None and marks is not None:
        detail = {"routed": marks[0], "baseline": marks[1], "swayed": said.swayed}
    return {
        "request_id": comparison.request_id,
        "source": source,
        "routed_model": comparison.routed_model,
        "baseline_model": comparison.baseline_model,
        "judge_model": comparison.judge_model,
        "verdict": said and said.verdict.value,
        "score": marks and score(marks[0]),
        "baseline_score": marks and score(marks[1]),
        "cost_nanos": comparison.judging_nanos,
        "detail": orjson.dumps(detail).decode(),
    }


def plain(quality: Quality) -> dict[str, Any]:
    """A summary as JSON."""
    return {
        "judged": quality.judged,
        "same_model": quality.same,
        "unjudged": dict(quality.unjudged),
        "swayed_by_order": quality.swayed,
        "verdicts": {verdict.value: count for verdict, count in quality.verdicts.items()},
        "as_good_or_better": dict(zip(("share", "low", "high"), quality.as_good, strict=True)),
        "score": quality.scores and dict(zip(("routed", "baseline"), quality.scores, strict=True)),
        "difference": _plain(quality.difference),
        "criteria": {
            name: {"routed": routed, "baseline": baseline, "difference": _plain(difference)}
            for name, (routed, baseline, difference) in quality.criteria.items()
        },
        "by_model": {
            name: {"judged": count, "difference": _plain(difference)}
            for name, (count, difference) in quality.by_model.items()
        },
        "cost_nanos": {
            "routed": quality.routed_nanos,
            "baseline": quality.baseline_nanos,
            "judging": quality.judging_nanos,
        },
    }


def _plain(mean: Mean) -> dict[str, float | None]:
    return {"mean": mean.mean, "low": mean.low, "high": mean.high}


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of a sample, and where the true one lies."""
    mean = fmean(values)
    if len(values) < 2:
        return Mean(mean, None, None)
    reach = _student(len(values) - 1) * stdev(values) / sqrt(len(values))
    return Mean(mean, mean - reach, mean + reach)


def _student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t (Abramowitz & Stegun 26.7.5; exact below three)."""
    if freedom < len(_SMALL):
        return _SMALL[freedom]
    z = NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


_SMALL = (0.0, 12.706, 4.303)
