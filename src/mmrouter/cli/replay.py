"""`mmrouter replay`."""

from __future__ import annotations

import json
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mmrouter.eval.replay.replayer import Settings
    from mmrouter.eval.replay.report import Report
    from mmrouter.eval.replay.sums import Sums

PAST_A_GATE = 3
"""Exit code where a comparison is past `--max-cost-increase` or `--max-flips`."""

SAMPLE = "sample"


class Share(click.ParamType[float]):
    """`5%`, or `0.05`: a share."""

    name = "SHARE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", value)
        if not found:
            self.fail(f"'{value}' is no share: write 5% or 0.05", param, ctx)
        share = float(found[1])
        return share / 100 if found[2] else share


@click.command(short_help="What a config would have saved on a log of requests.")
@click.argument("log", metavar=f"LOG.jsonl|DB|{SAMPLE}")
@click.option("--config", metavar="PATH|PRESET", help="The config to replay.  [default: as -c]")
@click.option(
    "--compare", nargs=2, metavar="C1 C2", help="Replay two configs and show the difference."
)
@click.option("--max-cost-increase", type=Share(), help="With --compare: fail where C2 costs more.")
@click.option("--max-flips", type=Share(), help="With --compare: fail where more requests change.")
@click.option("--baseline", metavar="MODEL", help="Savings against this model, over config's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write a page."
)
@click.option(
    "--second-look",
    is_flag=True,
    help="Classify a log of more than 40,000 requests exactly as live; takes longer.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes.  [default: as many as CPUs]"
)
@click.pass_obj
def replay(
    obj: dict[str, str],
    log: str,
    config: str | None,
    compare: tuple[str, str] | None,
    max_cost_increase: float | None,
    max_flips: float | None,
    baseline: str | None,
    as_json: bool,
    page: Path | None,
    second_look: bool,
    workers: int | None,
) -> None:
    """Make every decision over a log again, call nobody, and show what it would have cost.

    LOG holds one request a line: OpenAI request bodies with their usage, exports of LiteLLM or
    Langfuse, mixed as they come. A tracker's database (a path or a URL) is a log too, and "sample"
    is a small one to try. With --compare the exit code is 3 where C2 is past a limit.

    \b
    Examples:
      mmrouter replay sample --html report.html
      mmrouter replay log.jsonl --config openai --baseline gpt-4.1
      mmrouter replay log.jsonl --compare old.yaml new.yaml --max-cost-increase 5% --max-flips 10%
    """
    if not compare and (max_cost_increase is not None or max_flips is not None):
        raise click.UsageError("--max-cost-increase and --max-flips need --compare C1 C2.")
    from mmrouter.eval.replay.page import html
    from mmrouter.eval.replay.report import plain

    names = compare or (config or obj["config"],)
    report = _replay(log, names, baseline, workers, second_look)
    if report.sums.requests == 0:
        raise click.ClickException(
            f"{report.source} has no request that could be replayed: {_skipped(report)}"
        )
    if page is not None:
        page.write_text(html(report), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(plain(report), indent=2, ensure_ascii=False))
    else:
        _show(report)
        if page is not None:
            click.echo(f"\nReport: {page}")
    if compare:
        _gate(report, max_cost_increase, max_flips)


def _replay(
    log: str, names: tuple[str, ...], baseline: str | None, workers: int | None, second_look: bool
) -> Report:
    from mmrouter.config import load_config
    from mmrouter.eval.replay.replayer import Settings
    from mmrouter.eval.replay.report import Report
    from mmrouter.eval.replay.run import LARGE, workers_for
    from mmrouter.eval.replay.sums import results
    from mmrouter.providers.registry import Registry

    configs = [load_config(name) for name in names]
    model = baseline or configs[0].baseline_model
    written = tuple(config.model_dump_json() for config in configs)
    requests = _requests(log)
    settings = Settings(written, model, second_look or requests <= LARGE)
    sums = _sums(log, settings, workers or workers_for(requests), requests)
    upstream = Registry(configs[0]).resolve(model).upstream
    return Report(
        source=_named(log),
        names=names,
        baseline=model,
        sums=sums,
        results=results(sums, upstream),
        cascades=any(config.cascade.enabled for config in configs),
        second_look=settings.second_look,
    )


def _requests(log: str) -> int:
    """How many there are, of a file about."""
    from mmrouter.eval.replay.run import requests_in
    from mmrouter.tracker.store import open_store

    if (url := _books(log)) is None:
        return requests_in(_file(log))
    with closing(open_store(url)) as store:
        return requests_in(store)


def _sums(log: str, settings: Settings, workers: int, requests: int) -> Sums:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    from mmrouter.eval.replay.run import file_chunks, replay, store_chunks
    from mmrouter.tracker.store import open_store

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    )
    with progress:
        bar = progress.add_task("replaying", total=None)

        def advance(size: int) -> None:
            progress.update(bar, advance=size)

        if (url := _books(log)) is not None:
            with closing(open_store(url)) as store:
                progress.update(bar, total=requests)
                return replay(settings, store_chunks(store), workers=workers, advance=advance)
        path = _file(log)
        progress.update(bar, total=path.stat().st_size)
        return replay(settings, file_chunks(path), workers=workers, advance=advance)


def _books(log: str) -> str | None:
    """The URL of a tracker's database; None where the log is a file of lines."""
    if "://" in log:
        return log
    return f"sqlite:///{_file(log)}" if Path(log).suffix in (".db", ".sqlite") else None


def _named(log: str) -> str:
    """As it is shown: a database's URL without its password."""
    if "://" not in log:
        return log
    from sqlalchemy import make_url

    return make_url(log).render_as_string(hide_password=True)


def _file(log: str) -> Path:
    path = Path(log)
    if path.is_file():
        return path
    if log == SAMPLE:
        return Path(__file__).parents[1] / "eval" / "data" / "sample-log.jsonl"
    raise click.ClickException(f"No such log: {log} (for a small one, write: {SAMPLE})")


def _show(report: Report) -> None:
    from mmrouter.eval.replay.report import between, dollars, notes
    from mmrouter.eval.replay.sums import by_model, moved_count

    sums = report.sums
    click.secho(f"mmrouter replay: {sums.requests:,} requests of {report.source}", bold=True)
    if sums.logged_count:
        click.echo(f"  In the log:       {dollars(sums.logged_nanos)}")
    for name, result in zip(report.names, report.results, strict=True):
        if len(report.names) > 1:
            click.secho(f"\n{name}", bold=True)
        click.echo(f"  Projected cost:   {between(result.cost)}")
        click.echo(f"  {report.baseline} alone: {between(result.baseline)}")
        click.echo(f"  Saved against it: {between(result.saved)}")
        if sums.logged_count:
            click.echo(f"  Saved on the log: {between(result.saved_log)}")
        click.echo(f"  Moved:            {moved_count(result.tally):,} requests")
        for part in by_model(sums, result.tally):
            share = part.requests / sums.requests
            cost = dollars(part.cost.nanos)
            click.echo(f"    {part.name:<32}{part.requests:>9,}  {share:6.1%}  {cost:>12}")
    if len(report.names) > 1:
        click.secho("\nDifference", bold=True)
        click.echo(f"  Cost:  {report.cost_increase:+.2%}")
        click.echo(f"  Flips: {report.flips:.2%}")
        for (before, after), count in sums.flips.most_common(10):
            click.echo(f"    {before} -> {after}: {count:,}")
    click.echo()
    for note in notes(report):
        click.secho(note, dim=True)


def _skipped(report: Report) -> str:
    return (
        ", ".join(f"{why} ({n})" for why, n in report.sums.skipped.most_common()) or "it is empty"
    )


def _gate(report: Report, max_cost_increase: float | None, max_flips: float | None) -> None:
    failed = False
    for name, value, most in (
        ("cost increase", report.cost_increase, max_cost_increase),
        ("flips", report.flips, max_flips),
    ):
        if most is not None and value > most:
            failed = True
            click.secho(f"{name}: {value:.2%} is more than {most:.2%}", fg="red", err=True)
    if failed:
        raise SystemExit(PAST_A_GATE)
