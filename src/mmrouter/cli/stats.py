"""`mmrouter stats`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from mmrouter.cli.books import db_option, opened
from mmrouter.cli.when import When

if TYPE_CHECKING:
    from mmrouter.config import Config
    from mmrouter.tracker.analytics import Detail, Percentiles, Stats, Totals
    from mmrouter.tracker.savings import Part, Savings

_WIDTH = 100
"""Columns of a table, whatever the terminal: names of models are long, and must not be cut."""
_GROUPS = ("model", "provider", "day", "key", "tag", "category", "complexity", "surface", "variant")


@click.command(short_help="What was spent, on what, and what routing saved.")
@click.option("--detailed", is_flag=True, help="Days, buckets, percentiles, cascade, savings.")
@click.option("--feedback", is_flag=True, help="What is believed of each model's answers, instead.")
@click.option("--since", type=When(), help="Only since: 24h, 7d, or a date.")
@click.option("--by", type=click.Choice(_GROUPS), default="model", show_default=True)
@click.option("--tag", help="Only requests with this tag.")
@click.option("--key", help="Only requests of this API key, by its name.")
@click.option("--baseline", metavar="MODEL", help="Savings against this model, over config's.")
@click.option("--json", "--json-output", "as_json", is_flag=True, help="Print one JSON object.")
@db_option
@click.pass_obj
def stats(
    obj: dict[str, str],
    detailed: bool,
    feedback: bool,
    since: float | None,
    by: str,
    tag: str | None,
    key: str | None,
    baseline: str | None,
    as_json: bool,
    db: str | None,
) -> None:
    """Show what was spent and, with --detailed, what routing saved.

    Savings are net of everything that routing caused: failed and escalated attempts, retries,
    classifier and judge calls. Answers of the small local model are left out of them.

    \b
    Examples:
      mmrouter stats --since 7d --by day
      mmrouter stats --detailed --json
      mmrouter stats --feedback
    """
    from mmrouter.config import load_config
    from mmrouter.tracker import analytics
    from mmrouter.tracker.store import Filter

    config = load_config(obj["config"])
    if feedback:
        from mmrouter.cli.beliefs import show_beliefs

        show_beliefs(config, db, as_json=as_json)
        return
    zone = ZoneInfo(config.budget.timezone)
    chosen = Filter(since=since, tag=tag, key_name=key)
    with opened(config, db) as store:
        counted = analytics.stats(store, chosen, by=analytics.By(by), zone=zone)
        detail = analytics.detail(store, chosen, zone=zone) if detailed else None
        saved = _savings(store, chosen, config, baseline) if detailed else None
    if as_json:
        click.echo(json.dumps(_plain(counted, by, detail, saved), indent=2))
        return
    _show_totals(counted.total)
    _show_groups(f"By {by}", counted.groups)
    if detail is not None and saved is not None:
        _show_detail(detail, counted.total)
        _show_savings(*saved)
        _show_budget(obj["config"], db)


def _savings(store: Any, chosen: Any, config: Config, baseline: str | None) -> tuple[str, Savings]:
    from mmrouter.providers.registry import Registry
    from mmrouter.tracker.savings import savings

    name = baseline or config.baseline_model
    target = Registry(config).priced(name)
    if target.price is None:
        raise click.ClickException(f"No price is known for the baseline '{name}'.")
    return name, savings(store, chosen, baseline=name, price=target.price)


def _show_totals(total: Totals) -> None:
    from mmrouter.money import format_usd

    average = total.average_latency_ms
    click.secho("mmrouter stats", bold=True)
    click.echo(f"  Requests:      {total.requests}")
    click.echo(f"  Total cost:    {format_usd(total.cost_nanos)}")
    if total.unpriced:
        click.secho(f"  Price unknown: {total.unpriced} requests, not in the total", fg="yellow")
    click.echo(f"  Avg latency:   {'-' if average is None else f'{average:.0f}ms'}")
    click.echo(f"  Tokens in/out: {total.prompt_tokens}/{total.output_tokens}")
    click.echo(f"  Fallbacks:     {total.fallbacks}")
    if total.failed:
        click.secho(f"  Failed:        {total.failed}", fg="red")
    if not total.requests:
        click.echo('\nNothing yet. Try: mmrouter route "What is the capital of France?"')


def _show_groups(title: str, groups: dict[str | None, Totals]) -> None:
    from rich.console import Console
    from rich.table import Table

    from mmrouter.money import format_usd

    if not groups:
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("requests", "cost", "in", "out", "avg ms", "fallbacks", "failed"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, total in groups.items():
        table.add_row(
            name or "-",
            str(total.requests),
            format_usd(total.cost_nanos),
            str(total.prompt_tokens),
            str(total.output_tokens),
            f"{total.average_latency_ms or 0:.0f}",
            str(total.fallbacks),
            str(total.failed),
        )
    click.echo()
    Console(width=_WIDTH).print(table)


def _show_detail(detail: Detail, total: Totals) -> None:
    if not total.requests:
        return
    click.secho("\nLatency (p50 / p95 / p99)", bold=True)
    click.echo(f"  Whole answer:  {_percentiles(detail.latency)}")
    click.echo(f"  First token:   {_percentiles(detail.ttft)}")
    _show_groups("Daily cost", detail.days)
    click.secho("\nDistribution (complexity/category)", bold=True)
    for (complexity, category), count in sorted(detail.buckets.items(), key=lambda b: -b[1]):
        name = f"{complexity}/{category}" if complexity else "named by the caller"
        click.echo(f"  {name:<22}{count:>8}  {count / total.requests:6.1%}")
    click.secho("\nRouting", bold=True)
    click.echo(f"  Escalated for low confidence: {total.escalated}")
    click.echo(f"  Downgraded by the budget:     {total.budget_downgraded}")
    click.echo(f"  Reranked by feedback:         {total.adaptive_reranked}")
    click.echo(f"  Cascades:                     {total.cascades}")
    click.echo(f"  Cascade answers rejected:     {total.cascade_rejected}")


def _show_budget(config: str, db: str | None) -> None:
    from mmrouter.cli.budget import budget_rows, show_standing

    loaded, rows = budget_rows(config, db)
    if rows:
        click.secho("\nBudget", bold=True)
        show_standing(loaded, rows)


def _percentiles(values: Percentiles) -> str:
    known = (values.p50, values.p95, values.p99)
    return " / ".join("-" if v is None else f"{v:.0f}ms" for v in known)


def _show_savings(baseline: str, saved: Savings) -> None:
    from mmrouter.money import format_usd

    click.secho(f"\nSavings against {baseline}", bold=True)
    low, high = saved.interval_nanos
    share = saved.saved_nanos / saved.baseline_nanos if saved.baseline_nanos else 0.0
    click.echo(f"  Actual cost:   {format_usd(saved.spent_nanos)}")
    click.echo(f"  Baseline cost: {format_usd(saved.baseline_nanos)}")
    click.echo(f"  Savings:       {format_usd(saved.saved_nanos)} ({share:.1%})")
    click.echo(f"  95% interval:  {format_usd(low)} to {format_usd(high)}")
    rows = {
        "the baseline answered: measured": saved.measured,
        "estimated from its lengths in the bucket": saved.estimated,
        "estimated from the answer's own length": saved.guessed,
        "nobody answered: a loss": saved.failed,
        "asked by ourselves to judge answers: a loss": saved.aside,
    }
    for title, part in rows.items():
        if part.requests:
            click.echo(
                f"    {part.requests} requests, {title}: {format_usd(part.spent_nanos)} for "
                f"{format_usd(part.baseline_nanos)}"
            )
    if saved.excluded:
        click.secho(f"    {saved.excluded} requests of unknown price are left out", fg="yellow")


def _plain(
    counted: Stats, by: str, detail: Detail | None, saved: tuple[str, Savings] | None
) -> dict[str, Any]:
    plain: dict[str, Any] = {
        **_totals(counted.total),
        "by": by,
        "groups": [{"name": name, **_totals(t)} for name, t in counted.groups.items()],
    }
    if detail is not None:
        plain["daily"] = [{"day": day, **_totals(t)} for day, t in detail.days.items()]
        plain["distribution"] = [
            {"complexity": complexity, "category": category, "requests": count}
            for (complexity, category), count in detail.buckets.items()
        ]
        plain["latency_ms"] = _percentile_row(detail.latency)
        plain["ttft_ms"] = _percentile_row(detail.ttft)
        plain["percentiles_sampled"] = detail.sampled
    if saved is not None:
        plain["savings"] = _savings_row(*saved)
    return plain


def _totals(total: Totals) -> dict[str, Any]:
    from mmrouter.money import to_usd

    return {
        "requests": total.requests,
        "cost_usd": to_usd(total.cost_nanos),
        "cost_nanos": total.cost_nanos,
        "unpriced": total.unpriced,
        "avg_latency_ms": total.average_latency_ms,
        "tokens_in": total.prompt_tokens,
        "tokens_out": total.output_tokens,
        "fallbacks": total.fallbacks,
        "failed": total.failed,
        "escalated": total.escalated,
        "budget_downgraded": total.budget_downgraded,
        "cascades": total.cascades,
    }


def _percentile_row(values: Percentiles) -> dict[str, float | None]:
    return {"p50": values.p50, "p95": values.p95, "p99": values.p99}


def _savings_row(baseline: str, saved: Savings) -> dict[str, Any]:
    from mmrouter.money import to_usd

    def part(of: Part) -> dict[str, Any]:
        return {
            "requests": of.requests,
            "spent_usd": to_usd(of.spent_nanos),
            "baseline_usd": to_usd(of.baseline_nanos),
        }

    low, high = saved.interval_nanos
    return {
        "baseline": baseline,
        "spent_usd": to_usd(saved.spent_nanos),
        "baseline_usd": to_usd(saved.baseline_nanos),
        "saved_usd": to_usd(saved.saved_nanos),
        "interval95_usd": [to_usd(low), to_usd(high)],
        "measured": part(saved.measured),
        "estimated": part(saved.estimated),
        "guessed": part(saved.guessed),
        "failed": part(saved.failed),
        "judging": part(saved.aside),
        "excluded": saved.excluded,
    }
