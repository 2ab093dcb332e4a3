"""`mmrouter experiment`."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import click

from mmrouter.cli.books import db_option, opened

if TYPE_CHECKING:
    from mmrouter.tracker.experiments import Arm, Experiment
    from mmrouter.tracker.store import Store

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_WIDTH = 110
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.group(short_help="Compare two or more configs on live traffic.")
def experiment() -> None:
    """Compare two or more configs on live traffic.

    Each conversation goes by one of the configs from its first turn to its last. A running server
    notices a new or stopped experiment within seconds.

    \b
    Example:
      mmrouter experiment create --name cascade-test --control configs/default.yaml \\
        --treatment configs/cascade.yaml --split 0.5
      mmrouter experiment status
      mmrouter experiment stop
    """


@experiment.command()
@click.option("--name", required=True, help="Letters, digits, '.', '_' and '-'.")
@click.option("--control", required=True, metavar="PATH|PRESET", help="What the others must beat.")
@click.option("--treatment", metavar="PATH|PRESET", help="The variant 'treatment'.")
@click.option(
    "--split",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="The treatment's share.",
)
@click.option(
    "--variant",
    "more",
    multiple=True,
    metavar="NAME=PATH=SHARE",
    help="A further variant; may be repeated. The control has what shares leave.",
)
@click.option(
    "--unit",
    type=click.Choice(["prompt", "session", "key"]),
    default="prompt",
    show_default=True,
    help="What is never split: conversations by their first turn, by their session, or API keys.",
)
@click.option(
    "--guardrail-error-rate",
    "guardrail",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Halt a variant of whose requests surely more than this fail.",
)
@_JSON
@db_option
@click.pass_obj
def create(
    obj: dict[str, str],
    name: str,
    control: str,
    treatment: str | None,
    split: float,
    more: tuple[str, ...],
    unit: str,
    guardrail: float | None,
    as_json: bool,
    db: str | None,
) -> None:
    """Start an experiment. The configs are copied: later changes of the files change nothing."""
    from mmrouter.config import load_config
    from mmrouter.decide.experiment import CONTROL, Unit
    from mmrouter.tracker.experiments import Experiment
    from mmrouter.tracker.experiments import create as write

    if not _NAME.fullmatch(name):
        raise click.BadParameter("letters, digits, '.', '_' and '-'", param_hint="--name")
    arms = [_arm("treatment", treatment, split)] if treatment is not None else []
    arms += [_further(text) for text in more]
    if not arms:
        raise click.UsageError("Give a --treatment, or a --variant NAME=PATH=SHARE.")
    names = [CONTROL, *(arm.name for arm in arms)]
    if len(set(names)) < len(names):
        raise click.UsageError(f"Variants need names of their own: {', '.join(names)}.")
    left = 1 - sum(arm.share for arm in arms)
    if left < 1e-9:
        raise click.UsageError("The shares leave nothing to the control.")
    made = Experiment(
        name=name,
        created=time.time(),
        unit=Unit(unit),
        guardrail=guardrail,
        arms=(_arm(CONTROL, control, left), *arms),
        halted={},
    )
    with opened(load_config(obj["config"]), db) as store:
        write(store, made)
    if as_json:
        click.echo(json.dumps(_plain(made), indent=2))
        return
    click.secho(f"Experiment '{name}' runs.", fg="green")
    for arm in made.arms:
        click.echo(f"  {arm.name:<12} {arm.share:6.1%}  {arm.source}")


@experiment.command()
@click.argument("name", required=False)
@click.option(
    "--effect",
    type=click.FloatRange(0, min_open=True),
    default=0.1,
    show_default=True,
    help="The difference that ought to show, relative to the control.",
)
@_JSON
@db_option
@click.pass_obj
def status(
    obj: dict[str, str], name: str | None, effect: float, as_json: bool, db: str | None
) -> None:
    """Show what an experiment has shown so far: the running one, else the last, or NAME.

    Differences hold however often you look: stop when they are clear.
    """
    from mmrouter.config import load_config
    from mmrouter.eval.experiments import report
    from mmrouter.tracker.experiments import measured

    with opened(load_config(obj["config"]), db) as store:
        found = _chosen(store, name)
        told = report(found, measured(store, found), effect)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        _show(told)


@experiment.command()
@click.argument("name", required=False)
@click.option("--reason", default="stopped by hand", help="Kept with it.")
@db_option
@click.pass_obj
def stop(obj: dict[str, str], name: str | None, reason: str, db: str | None) -> None:
    """Stop the running experiment: all requests go by the config again."""
    from mmrouter.config import load_config
    from mmrouter.tracker import experiments as book

    with opened(load_config(obj["config"]), db) as store:
        running = book.running(store)
        if running is None or name not in (None, running.name):
            raise click.ClickException(f"'{name}' does not run." if name else "None runs.")
        book.stop(store, running.name, now=time.time(), reason=reason)
    click.secho(f"Experiment '{running.name}' is stopped.", fg="green")


@experiment.command("list")
@_JSON
@db_option
@click.pass_obj
def list_(obj: dict[str, str], as_json: bool, db: str | None) -> None:
    """List all experiments, newest first."""
    from mmrouter.config import load_config
    from mmrouter.tracker.experiments import listed

    with opened(load_config(obj["config"]), db) as store:
        found = listed(store)
    if as_json:
        click.echo(json.dumps([_plain(one) for one in found], indent=2))
    elif not found:
        click.echo("None yet. Start one: mmrouter experiment create --help")
    for one in () if as_json else found:
        state = "running" if one.stopped is None else f"stopped {_day(one.stopped)}: {one.reason}"
        variants = ", ".join(f"{arm.name} {arm.share:.0%}" for arm in one.arms)
        click.echo(f"{one.name}: since {_day(one.created)}, {variants}; {state}")


def _arm(name: str, source: str, share: float) -> Arm:
    from mmrouter.bootstrap import priced_config
    from mmrouter.tracker.experiments import Arm

    config = priced_config(source).model_dump_json()
    return Arm(name=name, share=share, source=source, config=config)


def _further(text: str) -> Arm:
    parts = text.split("=")
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
        raise click.BadParameter(f"'{text}': write NAME=PATH=SHARE", param_hint="--variant")
    try:
        share = float(parts[2])
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise click.BadParameter(
            f"'{parts[2]}' is no share between 0 and 1", param_hint="--variant"
        )
    return _arm(parts[0], parts[1], share)


def _chosen(store: Store, name: str | None) -> Experiment:
    from mmrouter.tracker import experiments as book

    found = book.named(store, name) if name is not None else book.running(store)
    if found is None and name is None:
        found = next(iter(book.listed(store)), None)
    if found is None:
        raise click.ClickException(
            f"There is no experiment '{name}'." if name else "There has been no experiment yet."
        )
    return found


def _plain(found: Experiment) -> dict[str, Any]:
    return {
        "name": found.name,
        "created": found.created,
        "stopped": found.stopped,
        "reason": found.reason,
        "unit": found.unit.value,
        "guardrail_error_rate": found.guardrail,
        "halted": dict(found.halted),
        "variants": [
            {"name": arm.name, "share": arm.share, "source": arm.source} for arm in found.arms
        ],
    }


def _day(instant: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(instant))


_TITLES = {
    "cost_usd": "Cost, $",
    "latency_ms": "Latency, ms",
    "error_rate": "Failed",
    "feedback": "Feedback",
    "judge_score": "Judge",
}


def _show(told: dict[str, Any]) -> None:
    state = "running" if told["running"] else f"stopped: {told['reason']}"
    click.secho(f"{told['name']} ({state}), since {_day(told['created'])}", bold=True)
    for variant in told["variants"]:
        click.echo(
            f"\n{variant['name']}  {variant['share']:.0%} of {told['unit']}s, "
            f"{variant['requests']} requests of {variant['units']} {told['unit']}s, "
            f"{variant['source']}"
        )
        if variant["halted"]:
            click.secho(f"  halted: {variant['halted']}", fg="red")
        for metric, title in _TITLES.items():
            _line(title, metric, variant, told["effect"], told["unit"])


def _line(title: str, metric: str, variant: dict[str, Any], effect: float, unit: str) -> None:
    mean = variant["metrics"][metric]
    if not mean["count"]:
        return
    shown = f"  {title:<12} {_number(metric, mean['mean'])}"
    if mean["low"] is not None:
        shown += f" ({_number(metric, mean['low'])} to {_number(metric, mean['high'])})"
    against = variant["against_control"] and variant["against_control"][metric]
    colour = None
    if against and against["low"] is not None:
        shown += f"; against the control {_number(metric, against['value'], sign=True)} ("
        shown += f"{_number(metric, against['low'], sign=True)} to "
        shown += f"{_number(metric, against['high'], sign=True)})"
        if against["decided"]:
            shown, colour = f"{shown}: a difference", "green"
        elif against["still_needed"]:
            shown += f"; {against['still_needed']} more {unit}s to see {effect:.0%}"
    elif against:
        shown += "; too few to compare"
    click.secho(shown, fg=colour)


def _number(metric: str, value: float, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    if metric == "error_rate":
        return f"{value:{plus}.2%}"
    return f"{value:{plus}.6f}" if metric == "cost_usd" else f"{value:{plus}.3g}"
