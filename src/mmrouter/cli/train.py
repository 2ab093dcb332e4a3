"""`mmrouter train`."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(short_help="Train the embeddings classifier on labelled prompts of your own.")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML or JSONL of {prompt | messages, complexity, category}.",
)
@click.option(
    "--output",
    default=Path("models/custom"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that --trained-model takes.",
)
@click.option(
    "--eval-split",
    type=click.FloatRange(0, 0.9),
    default=0.2,
    show_default=True,
    help="Share that is held out to measure on.",
)
@click.option("--method", type=click.Choice(["heads", "knn"]), default="heads", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="The same gives the same.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def train(
    data: Path, output: Path, eval_split: float, method: str, seed: int, as_json: bool
) -> None:
    """Train on top of the shipped encoder, in seconds; nothing is sent anywhere.

    \b
    Example:
      mmrouter train --data my_data.yaml --output models/custom --eval-split 0.2
      mmrouter classify "..." --classifier embeddings --trained-model models/custom
    """
    from rich.console import Console
    from rich.progress import Progress

    from mmrouter.errors import MissingDependencyError

    try:
        from mmrouter.classifier.examples import read_examples
        from mmrouter.classifier.training import train as fit
    except ImportError as error:
        mend = 'pip install "mmrouter[embeddings]"'
        raise MissingDependencyError(str(error.name), mend) from None
    examples = read_examples(data)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Training", total=1.0)
        report = fit(
            examples,
            output,
            method="knn" if method == "knn" else "heads",
            eval_split=eval_split,
            seed=seed,
            progress=lambda share: progress.update(task, completed=share),
        )
    if as_json:
        plain = {
            "examples": len(examples),
            "fitted": report.fitted,
            "held_out": report.held_out,
            "accuracy": report.accuracy,
            "accuracy_before": report.before,
            "folder": str(report.folder),
        }
        click.echo(json.dumps(plain, indent=2))
        return
    click.echo(f"Loaded {len(examples)} examples")
    click.echo(f"Eval split: {report.fitted} train, {report.held_out} eval")
    click.echo("Training... done")
    if report.accuracy is not None and report.before is not None:
        click.echo(f"Eval accuracy: {report.accuracy:.1%}  (before training: {report.before:.1%})")
    click.echo(f"Saved to {report.folder}/")
