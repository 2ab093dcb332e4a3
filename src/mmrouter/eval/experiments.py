"""What an experiment has shown so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple
from math import sqrt
from typing import Any

from mmrouter.eval.accuracy import wilson
from mmrouter.eval.sequential import Sample, difference, sample, still_needed
from mmrouter.tracker.experiments import Experiment, Measured, Moments

Json = dict[str, Any]

ALPHA = 0.05
EFFECT = 0.1
"""Relative to the control's mean: the difference that ought to show, unless told otherwise."""

_Z95 = 1.96


METRICS: Mapping[str, Callable[[Measured], Moments]] = {
    "cost_usd": lambda measured: measured.cost,
    "latency_ms": lambda measured: measured.latency,
    "error_rate": lambda measured: measured.error,
    "feedback": lambda measured: measured.feedback,
    "judge_score": lambda measured: measured.judged,
}
"""What is compared: means of one number per request."""


def report(experiment: Experiment, found: Mapping[str, Measured], effect: float = EFFECT) -> Json:
    """Every variant's means with 95 % intervals, and their differences from the control's. Both are
    as sure as the number of units allows; `still_needed` counts units too.

    The differences hold at all looks together (see `eval.sequential`), and for all variants
    together: with several treatments each gets its part of `ALPHA`.

    Args:
        found: of `tracker.experiments.measured`.
        effect: the difference that ought to show, relative to the control's mean.
    """
    control = found[experiment.control.name]
    alpha = ALPHA / (len(experiment.arms) - 1)
    return {
        "name": experiment.name,
        "running": experiment.stopped is None,
        "created": experiment.created,
        "stopped": experiment.stopped,
        "reason": experiment.reason,
        "unit": experiment.unit.value,
        "guardrail_error_rate": experiment.guardrail,
        "effect": effect,
        "variants": [
            {
                "name": arm.name,
                "share": arm.share,
                "source": arm.source,
                "halted": experiment.halted.get(arm.name),
                "requests": found[arm.name].requests,
                "failed": found[arm.name].failed,
                "units": found[arm.name].units,
                "metrics": {name: _mean(name, of(found[arm.name])) for name, of in METRICS.items()},
                "against_control": None
                if arm is experiment.control
                else {
                    name: _against(of(control), of(found[arm.name]), effect, alpha)
                    for name, of in METRICS.items()
                },
            }
            for arm in experiment.arms
        ],
    }


def _mean(name: str, moments: Moments) -> Json:
    of = _sample(moments)
    if of.count == 0:
        return {"count": 0, "mean": None, "low": None, "high": None}
    if name == "error_rate":
        # as many independent requests as would be as sure as these
        spread = of.mean * (1 - of.mean)
        alone = spread * of.count / of.variance if of.variance else of.count
        trials = min(alone, moments.count)
        low, high = wilson(of.mean * trials, trials)
    elif of.count < 2:
        low, high = None, None
    else:
        reach = _Z95 * sqrt(of.variance / of.count)
        low, high = of.mean - reach, of.mean + reach
    return {"count": moments.count, "mean": of.mean, "low": low, "high": high}


def _against(control: Moments, treatment: Moments, effect: float, alpha: float) -> Json:
    one, other = _sample(control), _sample(treatment)
    if one.count == 0 or other.count == 0:
        return {"value": None, "low": None, "high": None, "p": 1.0, "decided": False} | {
            "still_needed": None
        }
    found = difference(one, other, alpha)
    return asdict(found) | {
        "decided": found.decided,
        "still_needed": still_needed(one, other, effect * abs(one.mean), alpha),
    }


def _sample(moments: Moments) -> Sample:
    return sample(*astuple(moments))
