"""A replay's result, as plain data and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmrouter.eval.replay.sums import Replayed, Sums, by_bucket, by_model, flip_count, moved_count
from mmrouter.eval.replay.tally import Amount, Shown, Tally
from mmrouter.money import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a replay found.

    Attributes:
        source: the log's name.
        names: of the configs; one, or two that are compared.
        baseline: the model that savings are counted against.
        cascades: a config asks several models in turn, of which only the first is counted.
        second_look: unsure classifications were looked at again.
    """

    source: str
    names: tuple[str, ...]
    baseline: str
    sums: Sums
    results: Sequence[Replayed]
    cascades: bool
    second_look: bool = True

    @property
    def cost_increase(self) -> float:
        """Share by which the second config costs more than the first; negative where less."""
        first, second = (result.cost.nanos for result in self.results)
        if first == 0:
            return 0.0 if second == 0 else float("inf")
        return second / first - 1

    @property
    def flips(self) -> float:
        """Share of requests for which the two configs choose different models."""
        return flip_count(self.sums) / self.sums.requests if self.sums.requests else 0.0


def plain(report: Report) -> dict[str, Any]:
    """The report as JSON: amounts in USD, with 95 % intervals."""
    sums = report.sums
    found: dict[str, Any] = {
        "log": report.source,
        "requests": sums.requests,
        "second_look": report.second_look,
        "skipped": dict(sums.skipped.most_common()),
        "without_token_counts": sums.estimated,
        "logged_cost_usd": to_usd(sums.logged_nanos),
        "logged_cost_known_for": sums.logged_count,
        "baseline": report.baseline,
        "configs": [
            _plain_result(sums, name, result)
            for name, result in zip(report.names, report.results, strict=True)
        ],
    }
    if len(report.results) > 1:
        found["comparison"] = {
            "cost_increase": round(report.cost_increase, 6),
            "flips": round(report.flips, 6),
            "flipped": [
                {"from": before, "to": after, "requests": count}
                for (before, after), count in sums.flips.most_common()
            ],
        }
    return found


def _plain_result(sums: Sums, name: str, result: Replayed) -> dict[str, Any]:
    return {
        "config": name,
        "cost_usd": _usd(result.cost),
        "baseline_cost_usd": _usd(result.baseline),
        "saved_usd": _usd(result.saved),
        "saved_against_log_usd": _usd(result.saved_log),
        "moved": moved_count(result.tally),
        "models": {part.name: part.requests for part in by_model(sums, result.tally)},
        "cost_by_model_usd": {part.name: _usd(part.cost) for part in by_model(sums, result.tally)},
        "buckets": {part.name: part.requests for part in by_bucket(sums, result.tally)},
        "moves": [
            {"from": before, "to": after, "requests": count}
            for (before, after), count in result.tally.choices.most_common()
            if before != after
        ],
        "shown": [
            {
                "line": request.number,
                "prompt": request.excerpt,
                "bucket": request.bucket,
                "from": request.before,
                "to": request.after,
                "at_stake_usd": to_usd(request.stake_nanos),
                "reasons": request.reasons,
            }
            for request in shown(result.tally)
        ],
    }


def shown(tally: Tally) -> list[Shown]:
    """Requests worth a look, those with most at stake first."""
    return sorted(tally.shown, reverse=True)


def _usd(amount: Amount) -> dict[str, float]:
    low, high = amount.interval_nanos
    return {"value": to_usd(amount.nanos), "low": to_usd(low), "high": to_usd(high)}


def dollars(nanos: int) -> str:
    """An amount for people: whole cents where it is large, more digits where it is small."""
    sign, usd = "-" if nanos < 0 else "", abs(to_usd(nanos))
    digits = 2 if usd >= 1 or usd == 0 else 4 if usd >= 0.01 else 6
    return f"{sign}${usd:,.{digits}f}"


def between(amount: Amount) -> str:
    """ "$12.00 ($9.50 to $14.50)", or the amount alone where it is exact."""
    low, high = amount.interval_nanos
    if low == high:
        return dollars(amount.nanos)
    return f"{dollars(amount.nanos)} ({dollars(low)} to {dollars(high)})"


def certain(amount: Amount) -> bool:
    """Its interval does not hold zero: whether it is a saving is known."""
    low, high = amount.interval_nanos
    return low > 0 or high < 0 or low == high


def notes(report: Report) -> list[str]:
    """What a reader must know to believe the figures."""
    found = [
        "Prompts and prices are known. How long the answers of another model would have been is "
        "not: the ranges, within which the figure lies with 95 % probability, are for that."
    ]
    if not all(certain(result.saved) for result in report.results):
        found.append(
            "Where a range goes from a loss to a saving, this log does not tell which it is: "
            "a longer one, with answers of the models in question, would."
        )
    found.append(
        "Each request is decided by itself. Live, a conversation may stay with its model where "
        "that is cheaper than reading its prompt anew; and here a model that a conversation moves "
        "to is taken to have as much of the prompt in its cache as the log's had."
    )
    if not report.second_look:
        found.append(
            "The log is large: where the classifier was unsure, labels at first sight were taken. "
            "With --second-look it decides as it would live, in about four times the time."
        )
    if report.sums.skipped:
        left_out = ", ".join(f"{why}: {n}" for why, n in report.sums.skipped.most_common())
        found.append(f"Lines left out: {left_out}.")
    if report.sums.estimated:
        found.append(
            f"{report.sums.estimated} requests have no token counts in the log: estimated."
        )
    if report.sums.logged_count < report.sums.requests:
        found.append(
            f"What the log's answers cost is known for {report.sums.logged_count} of "
            f"{report.sums.requests} requests; only those are compared with the log."
        )
    if report.cascades:
        found.append("Of a cascade only the first model is counted: nobody was asked.")
    return found
