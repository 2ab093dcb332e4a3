"""`mmrouter quality`."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmrouter.cli.books import db_option
from mmrouter.cli.when import When

if TYPE_CHECKING:
    from mmrouter.eval.quality import Comparison, Mean, Quality
    from mmrouter.eval.sample import Body
    from mmrouter.router.parts import Parts
    from mmrouter.tracker.store import Store

BOOKS = "tracker"


@click.command(short_help="Whether routed answers are as good as the baseline's.")
@click.option(
    "--sample", type=click.IntRange(min=1), default=20, show_default=True, help="How many requests."
)
@click.option(
    "--from",
    "source",
    metavar=f"FILE|{BOOKS}",
    help="JSONL of prompts or messages, or the prompts that the books keep "
    "(tracker.store_prompts).  [default: the shipped test set]",
)
@click.option("--since", type=When(), help=f"--from {BOOKS}: only from then on (7d, 2026-01-31).")
@click.option("--baseline", metavar="MODEL", help="Compare with this model, over config's.")
@click.option(
    "--judge",
    metavar="MODEL",
    help="Who judges.  [default: quality.judge_model, else the model for complex reasoning]",
)
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0, min_open=True),
    metavar="USD",
    help="Begin no further comparison once this is spent.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which requests are drawn.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@db_option
@click.pass_obj
def quality(
    obj: dict[str, str],
    sample: int,
    source: str | None,
    since: float | None,
    baseline: str | None,
    judge: str | None,
    max_cost: float | None,
    seed: int,
    as_json: bool,
    db: str | None,
) -> None:
    """Route a sample of requests, answer them with the baseline too, and let a model judge.

    The judge sees each pair twice, with the places swapped: what it says only once is a tie. It
    marks relevance, accuracy and completeness from 1 to 5. Ctrl-C shows what had been judged by
    then. The calls cost money and are in the books (surface "quality").

    \b
    Examples:
      mmrouter quality --sample 20
      mmrouter quality --from tracker --since 7d --sample 100 --max-cost 2
      mmrouter quality --from prompts.jsonl --baseline gpt-4.1 --judge claude-opus-4-6 --json
    """
    from mmrouter.bootstrap import build
    from mmrouter.config import load_config
    from mmrouter.eval.quality import plain, summary
    from mmrouter.eval.sample import drawn

    config = load_config(obj["config"])
    baseline, judge = baseline or config.baseline_model, judge or config.judge_model
    with asyncio.Runner() as runner:
        parts = build(config, db=db)
        try:
            for name in (judge, baseline):
                parts.registry.priced(name)
            rng = random.Random(seed)  # noqa: S311 - which requests are drawn is no secret
            bodies = drawn(_bodies(source, parts.store, since), sample, rng)
            comparisons = _judged(runner, parts, bodies, judge, baseline, max_cost)
        finally:
            runner.run(parts.aclose())
    found = summary(comparisons)
    if as_json:
        head = {"baseline": baseline, "judge": judge, "drawn": len(bodies)}
        click.echo(json.dumps(head | plain(found), indent=2, ensure_ascii=False))
    else:
        _show(found, len(bodies), baseline, judge)


def _bodies(source: str | None, store: Store, since: float | None) -> Iterator[Body]:
    from mmrouter.eval.sample import from_books, from_file, shipped

    if source == BOOKS:
        return from_books(store, since)
    if since is not None:
        raise click.UsageError(f"--since needs --from {BOOKS}.")
    return shipped() if source is None else from_file(Path(source))


def _judged(
    runner: asyncio.Runner,
    parts: Parts,
    bodies: list[Body],
    judge: str,
    baseline: str,
    max_cost: float | None,
) -> list[Comparison]:
    from rich.console import Console
    from rich.progress import Progress

    from mmrouter.eval.quality import Referee, row_of
    from mmrouter.eval.rating import rate
    from mmrouter.money import NANOS_PER_USD

    referee = Referee(parts.policies.run, parts.registry.priced, judge=judge, baseline=baseline)
    comparisons: list[Comparison] = []
    progress = Progress(
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    )
    with progress:
        bar = progress.add_task("judging", total=len(bodies))

        def noted(comparison: Comparison) -> None:
            comparisons.append(comparison)
            parts.store.add_judgement(row_of(comparison, "command"))
            progress.advance(bar)

        most = None if max_cost is None else round(max_cost * NANOS_PER_USD)
        try:
            runner.run(rate(parts.policies.run, referee, bodies, noted, most_nanos=most))
        except KeyboardInterrupt:
            click.secho("Interrupted: this is what had been judged.", fg="yellow", err=True)
    return comparisons


def _show(found: Quality, drawn: int, baseline: str, judge: str) -> None:
    from mmrouter.eval.pairwise import BEST_MARK, Verdict
    from mmrouter.money import to_usd

    click.secho(f"{found.judged} of {drawn} answers judged", bold=True)
    click.echo(f"  Baseline: {baseline}, judge: {judge}")
    for reason, count in found.unjudged.items():
        click.echo(f"  Not judged: {count} ({reason})")
    scale = BEST_MARK - 1
    if found.scores is not None:
        click.echo(f"\n{'Marks of 5':<14}{'routed':>8}{'baseline':>10}   difference (95 %)")
        for name, (routed, other, difference) in found.criteria.items():
            click.echo(
                f"{name.capitalize():<14}{routed:>8.2f}{other:>10.2f}   {_between(difference)}"
            )
    verdicts = found.verdicts
    share, low, high = found.as_good
    click.echo(
        f"\nBetter {verdicts[Verdict.WIN]}, as good {verdicts[Verdict.TIE]} (of these routed to "
        f"the baseline itself: {found.same}; the order swayed the judge: {found.swayed}), "
        f"worse {verdicts[Verdict.LOSS]}"
    )
    click.echo(f"As good or better: {share:.0%} ({low:.0%} to {high:.0%})")
    click.echo(f"Difference in marks: {_between(found.difference, scale)}")
    for model, (count, difference) in found.by_model.items():
        click.echo(f"  {model}: {count}, {_between(difference, scale)}")
    click.echo(
        f"\nCost: routed ${to_usd(found.routed_nanos):.6f}, baseline "
        f"${to_usd(found.baseline_nanos):.6f}; this comparison ${to_usd(found.judging_nanos):.6f}"
    )


def _between(mean: Mean, scale: int = 1) -> str:
    if mean.low is None or mean.high is None:
        return f"{scale * mean.mean:+.2f}"
    return f"{scale * mean.mean:+.2f} ({scale * mean.low:+.2f} to {scale * mean.high:+.2f})"
