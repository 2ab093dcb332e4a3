"""Takes off the paragraphs that a harness put before or after a person's.

Editors, CI bots and consoles write what is open, staged, on call or in the schema into the turn of
the request, a blank line apart. Only paragraphs at the edges go, and never the last one left.
"""

from __future__ import annotations

import re

from mmrouter.classifier.lines import MARK, OTHER, PROSE, kind_of

_LABEL = (
    r"recently (?:viewed|opened|edited)|open (?:files?|tabs?|editors?|buffers?)|"
    r"visible (?:files?|lines)|staged|unstaged|untracked|changed files|files changed|cursor|"
    r"selection|diagnostics|lint|kernel|variables|dataframes?|tables?|columns|schema|"
    r"active (?:sheet|tab|file|record|document)|checks?|pipeline(?: summary)?|connectors?|"
    r"on[- ]call(?: \w+){0,2}|row limit|rate limit|reminder|previous actions?|last actions?|"
    r"dashboard filters?|notebook|workspace|deploy(?:ment)?s?|"
    r"alerts?|incident|runbook|team message(?: pinned)?|pinned|calendar|"
    r"inbox|unread|devices?|sensors?|cart|order history|shell|terminal|exit code|last commit|"
    r"branch|git status|working tree|permissions?|user role"
)
_STATUS = re.compile(
    rf"\W{{0,3}}(?:{_LABEL})\b[^:=|?\n]{{0,40}}[:=|][^?\n]{{0,300}}$"
    r"|(?:PR|MR|issue|pull request|merge request|run|build|job|ticket) ?#\d+\b[^?\n]{0,300}$"
    r"|\w+\((?:\w+ \w+(?: \w+){0,3}(?:\(\d+(?:, ?\d+)?\))?(?:, ?|\)$)){2,40}\s*$"
    r"|(?:[\w.-]{1,40}=(?:'[^']{0,60}'|\"[^\"]{0,60}\"|\S{1,80})(?:\s+|$)){2,30}$"
    r"|[\w.]{1,40}\(\):?$"
    r"|new (?:comment|message|mention|reply|e-?mail)\b[^?\n]{0,60}:$"
    r"|[\w -]{2,30}: -?\d[\d.,]* ?[\w%/]{0,6}$|\w+ \d+ took [\d.]+ ?m?s\b[^?\n]{0,40}$"
    r"|\w{3,30}Warning: [^?\n]*$|</?[\w-]{1,40} ?/?>$"
    r"|step \d+/\d+\b|\s*-+> |done in [\d.]+ ?m?s\b"
    r"|(?:warning|error|info|note)(?: \w{1,20})?: [^?\n]*$",
    re.IGNORECASE,
)
_HEADING = re.compile(
    rf"(?:\W{{0,3}}(?:{_LABEL})\b[^?\n]{{0,60}}|[\w./-]{{1,60}}\.\w{{1,5}}):\s*$", re.IGNORECASE
)
_TABLE_HEAD = re.compile(r"(?:[A-Z][A-Z-]{1,15}\s+){2,12}[A-Z][A-Z-]{1,15}\s*$")
_ITEM = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s")
_FORM = re.compile(
    r"(?:please )?(?:reply|respond|answer|output|return|write|post)\b[^?\n]{0,60}"
    r"\b(?:plain text|json|yaml|markdown|html|english|xml|csv|comment|thread|channel)\b"
    r"[^?\n]{0,60}$",
    re.IGNORECASE,
)
"""What the answer is to be written in."""

_LEAST_ITEMS = 3
_MOST_LINE = 600
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")


def without_surroundings(text: str) -> str:
    """The text without what a harness wrote around it."""
    if "\n" not in text:
        return text
    paragraphs = [part for part in _PARAGRAPHS.split(text.strip()) if part]
    kept = paragraphs[_first(paragraphs) :]
    kept = kept[: len(kept) - _first(kept[::-1], ends=True)]
    rest = "\n\n".join(kept) if len(kept) < len(paragraphs) else text
    *before, last = rest.rstrip().rsplit("\n", 1)
    return before[0] if before and before[0].strip() and _FORM.match(last) else rest


def _first(paragraphs: list[str], *, ends: bool = False) -> int:
    """How many paragraphs at the start (or, read backwards, at the end) are not a person's."""
    count = 0
    while count < len(paragraphs) - 1 and _written_by_machine(paragraphs[count], ends):
        count += 1
    whole = all(_written_by_machine(part, ends) for part in paragraphs[count:])
    return 0 if whole else count


def _written_by_machine(paragraph: str, ends: bool) -> bool:
    rows = [row for row in paragraph.split("\n") if row.strip() and row != MARK]
    if not rows:
        return True
    if _HEADING.match(rows[0]) and all(_ITEM.match(row) or _not_prose(row) for row in rows[1:]):
        return True
    if not ends and len(rows) >= _LEAST_ITEMS and all(map(_ITEM.match, rows)):
        return True
    return all(_status(row) or (kind_of(row) == OTHER and "?" not in row) for row in rows)


def _status(row: str) -> bool:
    return len(row) <= _MOST_LINE and bool(_STATUS.match(row) or _TABLE_HEAD.match(row))


def _not_prose(row: str) -> bool:
    return kind_of(row) != PROSE and "?" not in row
