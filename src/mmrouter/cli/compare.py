"""`mmrouter compare`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click


@click.command(short_help="All local classifiers side by side: accuracy and speed.")
@click.option(
    "--dataset",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Labelled JSONL.  [default: the shipped held-out set]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compare(dataset: Path | None, as_json: bool) -> None:
    """Score every classifier that is installed on the same labelled prompts.

    Latency is of one call on one thread, in microseconds.
    """
    from rich.console import Console
    from rich.table import Table

    from mmrouter.classifier.select import select
    from mmrouter.eval.compare import compare as measured
    from mmrouter.eval.dataset import read_rows

    rows = read_rows(dataset)
    table = Table(box=None, pad_edge=False)
    table.add_column("Classifier")
    for column in ("Overall", "95 %", "Complexity", "Category", "Far", "p50 us", "p99 us", "Time"):
        table.add_column(column, justify="right")
    plain = {}
    for name in ("rules", "embeddings"):
        chosen = select(name)
        if chosen.degraded is not None:
            click.secho(f"{name}: {chosen.degraded}", fg="yellow", err=True)
            continue
        began = time.perf_counter()
        (found,) = measured([chosen.classifier], rows)
        took = time.perf_counter() - began
        plain[name] = {**found.data(), "seconds": took}
        score, latency = found.accuracy.overall, found.latency
        table.add_row(
            name,
            f"{score.both:.1%}",
            f"{score.low:.0%}-{score.high:.0%}",
            f"{score.complexity:.1%}",
            f"{score.category:.1%}",
            f"{score.far:.1%}",
            f"{latency.p50:.0f}",
            f"{latency.p99:.0f}",
            f"{took:.2f}s",
        )
    if as_json:
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        Console().print(table)
