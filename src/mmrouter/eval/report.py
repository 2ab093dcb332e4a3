"""A replay's result: as plain data, and as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from mmrouter.eval.replay import Replayed, Sums, flip_count, moved_count
from mmrouter.eval.tally import Amount, Shown, Tally
from mmrouter.money import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a replay found.

    Attributes:
        source: the log's name.
        names: of the configs; one, or two that are compared.
        baseline: the model that savings are counted against.
        cascades: a config asks several models in turn, of which only the first is counted.
    """

    source: str
    names: tuple[str, ...]
    baseline: str
    sums: Sums
    results: Sequence[Replayed]
    cascades: bool

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
        "skipped": dict(sums.skipped.most_common()),
        "without_token_counts": sums.estimated,
        "logged_cost_usd": to_usd(sums.logged_nanos),
        "logged_cost_known_for": sums.logged_count,
        "baseline": report.baseline,
        "configs": [
            _plain_result(name, result)
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


def _plain_result(name: str, result: Replayed) -> dict[str, Any]:
    return {
        "config": name,
        "cost_usd": _usd(result.cost),
        "baseline_cost_usd": _usd(result.baseline),
        "saved_usd": _usd(result.saved),
        "saved_against_log_usd": _usd(result.saved_log),
        "moved": moved_count(result.tally),
        "models": dict(_models(result.tally).most_common()),
        "buckets": dict(_buckets(result.tally).most_common()),
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


def _models(tally: Tally) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, name), count in tally.routed.items():
        found[name] += count
    return found


def _buckets(tally: Tally) -> Counter[str]:
    found: Counter[str] = Counter()
    for (bucket, _), count in tally.routed.items():
        found["/".join(part or "?" for part in bucket)] += count
    return found


def dollars(nanos: int) -> str:
    """An amount for people: whole cents where it is large, more digits where it is small."""
    sign, usd = "-" if nanos < 0 else "", abs(to_usd(nanos))
    return f"{sign}${usd:,.2f}" if usd >= 1 else f"{sign}${usd:.6f}"


def between(amount: Amount) -> str:
    """ "$12.00 ($9.50 to $14.50)", or the amount alone where it is exact."""
    low, high = amount.interval_nanos
    if low == high:
        return dollars(amount.nanos)
    return f"{dollars(amount.nanos)} ({dollars(low)} to {dollars(high)})"


def notes(report: Report) -> list[str]:
    """What a reader must know to believe the figures."""
    found = [
        "Intervals are 95 %, for the answers' lengths at models that did not give them: "
        "prompts and prices are known."
    ]
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


_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--dim:#666;--line:#ddd;--bar:#3b6ea8;--paper:#fff;
--good:#1d7a46;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#eee;--dim:#aaa;--line:#444;--bar:#7aa7d9;
--paper:#161616;--good:#6fcf97;--bad:#f28b82}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
p.dim,.dim{color:var(--dim)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:1rem}
.card{border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem}
.card b{display:block;font-size:1.5rem}.good{color:var(--good)}.bad{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{background:var(--bar);height:.7rem;border-radius:.2rem;min-width:1px}
td.text{max-width:26rem;overflow-wrap:break-word}
"""


def html(report: Report) -> str:
    """One page, with nothing to load and nothing to run."""
    compared = len(report.results) > 1
    title = f"mmrouter replay: {report.source}"
    parts = [
        f"<h1>{'Two configs on one log' if compared else 'What would I have saved?'}</h1>",
        f'<p class="dim">{escape(report.source)} · {report.sums.requests:,} requests · '
        f"{' against '.join(escape(name) for name in report.names)} · no model was called</p>",
    ]
    if compared:
        parts.append(_comparison(report))
    for name, result in zip(report.names, report.results, strict=True):
        parts.append(_section(report, name, result))
    parts.append("<h2>How to read this</h2><ul>")
    parts += [f"<li>{escape(note)}</li>" for note in notes(report)]
    parts.append("</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>\n"
    )


def _comparison(report: Report) -> str:
    increase = report.cost_increase
    cards = [
        ("Cost", f"{increase:+.1%}", "bad" if increase > 0 else "good", "second against first"),
        ("Flips", f"{report.flips:.1%}", "", "requests that change their model"),
    ]
    rows = [
        (before, after, f"{count:,}")
        for (before, after), count in report.sums.flips.most_common(20)
    ]
    return (
        _cards(cards) + "<h2>Who answers instead</h2>" + _table(("from", "to", "#requests"), rows)
    )


def _section(report: Report, name: str, result: Replayed) -> str:
    saved, saved_log = result.saved, result.saved_log
    share = saved.nanos / result.baseline.nanos if result.baseline.nanos else 0.0
    cards = [
        ("Projected cost", dollars(result.cost.nanos), "", _range(result.cost)),
        (
            f"Saved against {report.baseline} alone",
            f"{dollars(saved.nanos)} ({share:.0%})",
            "good" if saved.nanos >= 0 else "bad",
            _range(saved),
        ),
        (
            "Saved against the log",
            dollars(saved_log.nanos),
            "good" if saved_log.nanos >= 0 else "bad",
            _range(saved_log),
        ),
        (
            "Requests that move",
            f"{moved_count(result.tally):,}",
            "",
            f"of {report.sums.requests:,}, to another model than the log's",
        ),
    ]
    requests = shown(result.tally)
    rows = [
        (str(r.number), r.excerpt, r.bucket, f"{r.before} → {r.after}", dollars(r.stake_nanos))
        for r in requests
    ]
    heading = f"<h2>{escape(name)}</h2>" if len(report.results) > 1 else ""
    return (
        heading
        + _cards(cards)
        + "<h2>Who answers</h2>"
        + _bars(_models(result.tally).most_common())
        + "<h2>What is asked</h2>"
        + _bars(_buckets(result.tally).most_common())
        + (
            f"<h2>Requests that change their model ({len(requests)} with most at stake)</h2>"
            + _table(("#line", "prompt", "judged", "from → to", "#at stake"), rows)
            if rows
            else ""
        )
    )


def _range(amount: Amount) -> str:
    low, high = amount.interval_nanos
    return "exact" if low == high else f"{dollars(low)} to {dollars(high)}"


def _cards(cards: Iterable[tuple[str, str, str, str]]) -> str:
    shown = (
        f'<div class="card"><span class="dim">{escape(title)}</span>'
        f'<b class="{style}">{escape(value)}</b><span class="dim">{escape(below)}</span></div>'
        for title, value, style, below in cards
    )
    return f'<div class="cards">{"".join(shown)}</div>'


def _bars(counts: Sequence[tuple[str, int]]) -> str:
    every = sum(count for _, count in counts) or 1
    rows = (
        f'<tr><td>{escape(name)}</td><td class="n">{count:,}</td><td class="n">{count / every:.1%}'
        f'</td><td style="width:50%"><div class="bar" style="width:{100 * count / every:.2f}%">'
        "</div></td></tr>"
        for name, count in counts
    )
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns whose name begins with # hold numbers."""
    styles = ["n" if column.startswith("#") else "text" for column in columns]
    head = "".join(
        f'<th class="{style}">{escape(column.removeprefix("#"))}</th>'
        for style, column in zip(styles, columns, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{style}">{escape(cell)}</td>'
            for style, cell in zip(styles, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
