"""`mmrouter eval`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmrouter.cli.strategies import classifier_for

if TYPE_CHECKING:
    from mmrouter.cli.strategies import Labels
    from mmrouter.eval.accuracy import Accuracy, Score
    from mmrouter.eval.dataset import Row

_SHOWN_MISTAKES = 10


@dataclass(slots=True)
class _Strategy:
    """What a command line asks for, as `eval` takes classifiers."""

    name: str
    classify: Labels


@click.command("eval", short_help="How often a classifier is right, and where it is wrong.")
@click.option(
    "--classifier",
    type=click.Choice(["auto", "rules", "embeddings", "llm"]),
    help="Strategy, over the config's.",
)
@click.option("--trained-model", metavar="DIR", help="Folder that `mmrouter train` wrote.")
@click.option(
    "--dataset",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Labelled JSONL.  [default: the shipped held-out set]",
)
@click.option("--robustness", is_flag=True, help="Share of decisions that small changes turn.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all mistakes.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the confusion of buckets and the calibration (needs matplotlib).",
)
@click.pass_obj
def evaluate(
    obj: dict[str, str],
    classifier: str | None,
    trained_model: str | None,
    dataset: Path | None,
    robustness: bool,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Score a classifier on labelled prompts.

    \b
    Examples:
      mmrouter eval --classifier rules
      mmrouter eval --robustness
      mmrouter eval --dataset mine.jsonl --json
    """
    from mmrouter.eval.accuracy import evaluate as score
    from mmrouter.eval.dataset import read_rows

    rows = read_rows(dataset)
    if not rows:
        raise click.ClickException(f"{dataset} holds no row")
    with classifier_for(obj["config"], classifier, trained_model) as labels:
        strategy = _Strategy(classifier or "auto", labels)
        if robustness:
            _robustness(strategy, rows, as_json)
            return
        found = score(strategy, rows)
    if plot is not None:
        from mmrouter.eval.plot import draw

        draw(found, plot)
    if as_json:
        click.echo(json.dumps(found.data(), indent=2, ensure_ascii=False))
    else:
        _show(found)


def _show(found: Accuracy) -> None:
    overall = found.overall
    right = round(overall.both * overall.rows)
    click.echo(f"Overall:    {overall.both:.1%}  ({right}/{overall.rows})")
    click.echo(f"Complexity: {overall.complexity:.1%}")
    click.echo(f"Category:   {overall.category:.1%}")
    click.echo(f"Far misses: {overall.far:.1%}  (simple for complex or the reverse)")
    click.echo(f"Calibration error of the confidence: {found.ece:.3f}")
    _table("By kind", found.by_kind)
    _table("By length of the request", found.by_band)
    _table("By bucket", found.by_bucket)
    if found.mistakes:
        click.secho(f"\nThe surest of {len(found.mistakes)} mistakes", bold=True)
    for mistake in found.mistakes[:_SHOWN_MISTAKES]:
        row, said = mistake.row, mistake.said
        text = " ".join(mistake.text.split())[:70]
        click.echo(
            f"  {said.confidence:.2f} {said.complexity}/{said.category} for "
            f"{row.complexity}/{row.category}: {text}"
        )


def _table(title: str, scores: dict[str, Score]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for column in ("rows", "both right", "95 % interval", "complexity", "category", "far"):
        table.add_column(column, justify="right")
    for name, score in scores.items():
        table.add_row(
            name or "-",
            str(score.rows),
            f"{score.both:.1%}",
            f"{score.low:.0%}-{score.high:.0%}",
            f"{score.complexity:.1%}",
            f"{score.category:.1%}",
            f"{score.far:.1%}",
        )
    click.echo()
    Console().print(table)


def _robustness(strategy: _Strategy, rows: list[Row], as_json: bool) -> None:
    from mmrouter.eval.robustness import robustness

    found = robustness(strategy, rows)
    if as_json:
        click.echo(json.dumps(found.data(), indent=2, ensure_ascii=False))
        return
    click.echo(f"Decisions that survive: {1 - found.overall.share:.1%}")
    for name, flips in found.by_change.items():
        click.echo(f"  {name:<16}{1 - flips.share:7.1%}  ({flips.flipped} of {flips.rows} turned)")
