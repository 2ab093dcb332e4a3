"""A replay's result as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mmrouter.eval.replay.report import Report, certain, dollars, notes, shown
from mmrouter.eval.replay.sums import Part, Replayed, by_bucket, by_model, moved_count
from mmrouter.eval.replay.tally import Amount

_MOST_MOVES = 20

_COLUMN_STYLES = {"#": "n", "@": "name"}

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--dim:#666;--line:#ddd;--bar:#3b6ea8;--paper:#fff;
--good:#1d7a46;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#eee;--dim:#aaa;--line:#444;--bar:#7aa7d9;
--paper:#161616;--good:#6fcf97;--bad:#f28b82}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}
h2.config{font-size:1.4rem;margin-top:3rem;padding-top:1rem;border-top:2px solid var(--line)}
p.lead{font-size:1.15rem;max-width:44rem}h2{font-size:1.1rem;margin-top:2rem}
p.dim,.dim{color:var(--dim)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:1rem}
.card{border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem}
.card b{display:block;font-size:1.4rem;font-variant-numeric:tabular-nums}
.good{color:var(--good)}.bad{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{background:var(--bar);height:.7rem;border-radius:.2rem;min-width:1px}
td.text{min-width:9rem;max-width:22rem;overflow-wrap:break-word}td.name{white-space:nowrap}
td.half{width:40%;vertical-align:middle}
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
    first, second = report.names
    costs = [dollars(result.cost.nanos) for result in report.results]
    style = "bad" if increase > 0 else "good" if increase < 0 else ""
    cards = [
        ("Cost", f"{increase:+.1%}", style, f"{costs[0]} → {costs[1]}"),
        ("Flips", f"{report.flips:.1%}", "", "of requests get another model"),
    ]
    rows = [
        (before, after, f"{count:,}")
        for (before, after), count in report.sums.flips.most_common(_MOST_MOVES)
    ]
    flips = _table((first, second, "#requests"), rows) if rows else "<p>No request changes.</p>"
    return _cards(cards) + "<h2>Who answers instead</h2>" + flips


def _section(report: Report, name: str, result: Replayed) -> str:
    requests = shown(result.tally)
    rows = [
        (str(r.number), r.excerpt, r.reasons, r.before, r.after, dollars(r.stake_nanos))
        for r in requests
    ]
    moves = [
        (before, after, f"{count:,}")
        for (before, after), count in result.tally.choices.most_common()
        if before != after
    ]
    parts = [
        f'<h2 class="config">{escape(name)}</h2>' if len(report.results) > 1 else "",
        f'<p class="lead">{escape(_verdict(report, result))}</p>',
        _cards(_figures(report, result)),
        "<h2>Who answers</h2>",
        _bars(by_model(report.sums, result.tally)),
        "<h2>What is asked</h2>",
        _bars(by_bucket(report.sums, result.tally)),
    ]
    if moves:
        parts += [
            "<h2>What moves</h2>",
            _table(("in the log", "by this config", "#requests"), moves[:_MOST_MOVES]),
        ]
    if rows:
        title = f"Requests that change their model: the {len(rows)} with most at stake"
        parts += [
            f"<h2>{title}</h2>",
            _table(("#line", "prompt", "why", "@from", "@to", "#at stake"), rows),
        ]
    return "".join(parts)


def _verdict(report: Report, result: Replayed) -> str:
    """The whole page in a sentence or two."""
    sentence = (
        f"These requests would have cost {dollars(result.cost.nanos)}; {report.baseline} alone, "
        f"{dollars(result.baseline.nanos)}."
    )
    if result.saved.nanos and not certain(result.saved):
        sentence += (
            " The difference is within what the unknown lengths of answers make of it: "
            "from this log it cannot be said which is cheaper."
        )
    return sentence


def _figures(report: Report, result: Replayed) -> list[tuple[str, str, str, str]]:
    cards = [
        ("Projected cost", dollars(result.cost.nanos), "", _range(result.cost)),
        _saving(result.saved, result.baseline.nanos, f"{report.baseline} alone"),
    ]
    if report.sums.logged_count:
        logged = f"{dollars(report.sums.logged_nanos)} in the log"
        cards.append(_saving(result.saved_log, report.sums.logged_nanos, logged))
    moved = f"{moved_count(result.tally):,}"
    below = f"of {report.sums.requests:,} get another model than in the log"
    return [*cards, ("Requests that move", moved, "", below)]


def _saving(amount: Amount, of: int, against: str) -> tuple[str, str, str, str]:
    share = f" ({abs(amount.nanos) / of:.0%})" if of else ""
    value = f"{dollars(abs(amount.nanos))}{share}"
    title = f"{'Saved against' if amount.nanos >= 0 else 'Dearer than'} {against}"
    style = "" if not certain(amount) else "good" if amount.nanos >= 0 else "bad"
    return title, value, style, _range(Amount(abs(amount.nanos), amount.error_nanos))


def _range(amount: Amount) -> str:
    low, high = amount.interval_nanos
    return "exact" if low == high else f"95 %: {dollars(low)} to {dollars(high)}"


def _cards(cards: Iterable[tuple[str, str, str, str]]) -> str:
    shown = (
        f'<div class="card"><span class="dim">{escape(title)}</span>'
        f'<b class="{style}">{escape(value)}</b><span class="dim">{escape(below)}</span></div>'
        for title, value, style, below in cards
    )
    return f'<div class="cards">{"".join(shown)}</div>'


def _bars(parts: Sequence[Part]) -> str:
    every = sum(part.requests for part in parts) or 1
    rows = (
        f'<tr><td>{escape(part.name)}</td><td class="n">{part.requests:,}</td>'
        f'<td class="n">{part.requests / every:.1%}</td>'
        f'<td class="half"><div class="bar" style="width:{100 * part.requests / every:.2f}%"></div>'
        f'</td><td class="n">{dollars(part.cost.nanos)}</td></tr>'
        for part in parts
    )
    head = (
        '<tr><th></th><th class="n" colspan="2">requests</th><th></th><th class="n">cost</th></tr>'
    )
    return f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns whose name begins with # hold numbers, with @ names that are not broken."""
    styles = [_COLUMN_STYLES.get(column[0], "text") for column in columns]
    head = "".join(
        f'<th class="{style}">{escape(column.lstrip("#@"))}</th>'
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
