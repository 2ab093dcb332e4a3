"""Tells the lines that a person typed from those that a machine wrote."""

from __future__ import annotations

import re

MARK = "\x1f"
"""Stands for a paste that was taken out before."""

_CODE = re.compile(
    r"^\s*(?:"
    r"(?:def|class|import|from|return|const|let|var|function|async|await|public|private|protected|"
    r"static|final|func|fn|impl|struct|enum|interface|type|package|using|namespace|template|export|"
    r"module|require|include|typedef|extern|unsigned|void|int|float|double|char|bool|string|for|"
    r"while|if|elif|else|switch|case|try|except|catch|finally|with|yield|raise|throw|print|echo|"
    r"end|begin|begin|do|then|fi|done|esac|local|set|use|pub|mod|match|loop|val|override|"
    r"defmodule|defp|Sub|Dim|Next|End)\b.*(?:[;:{}()\[\]=]|\bthen|\bdo)\s*(?:(?://|#|--).*)?$"
    r"|return(?: [\w.]+)?\s*$|.*[;{}]\s*(?:(?://|#|--|/\*).*)?$"
    r"|[\])}>]+[;,)]*\s*$"
    r"|#include\b|#!|@\w+(?:\(.*\))?\s*$|//|/\*|\*/|<!--|<\?|<!"
    r"|(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE|JOIN|LEFT|INNER|GROUP|ORDER|HAVING|"
    r"LIMIT|VALUES|AND|OR|BEGIN|COMMIT|UNION|WITH|ON)\b.*[\w)'\"*;,=]$"
    r"|[A-Za-z_][\w.\[\]'\"]*\s*(?:[-+*/|&]?=|:=|<-|=>)\s*\S"
    r"|[A-Za-z_][\w.]*\([^)]*\)\s*$"
    r"|(?:FROM|RUN|COPY|CMD|ENV|WORKDIR|EXPOSE|ENTRYPOINT)\s\S"
    r"|</?[A-Za-z][^>]*>\s*.*$"
    r")"
)
_MACHINE = re.compile(
    r"^\s*(?:"
    r"[>|│⋮]|::\w+"
    r"|\[?\(?\d{4}[-/]\d\d[-/]\d\d"
    r"|\[?\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?\]?\s"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+\d"
    r"|\[?(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|TRACE|CRITICAL|NOTICE)\b"
    r"|Traceback \(|File \"|at \S+\s?\(|Caused by:|\.\.\. \d+ more"
    r"|\w+(?:\.\w+){0,8}(?:Error|Exception)\b"
    r"|(?:\+\+\+|---|@@|diff --git|index [0-9a-f]{7})"
    r"|[-+]\S.*[;{}(),=]\s*$"
    r"|[$%#]\s\S"
    r"|(?:PS )?[A-Za-z]:\\|\w+@[\w.-]+[:~]"
    r"|[{\[]\s*(?:[\"'{\[].*)?$|\"[\w .-]+\"\s*:\s"
    r"|(?:From|To|Cc|Bcc|Subject|Sent|Date|Von|An|Betreff|De|Para|Asunto|Objet|À|Reply-To|Message-ID|"
    r"Received|Content-Type|MIME-Version|X-[\w-]{1,40}|Return-Path|Delivered-To|User-Agent)"
    r":\s"
    r"|(?:On|Am|Le|El|Il|Op)\s.{6,80}(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef)\b"
    r"|-{2,}\s?(?:Original|Forwarded|Weitergeleitete)"
    r"|[drwx-]{10}\s|total \d+\s*$|[ MADRCU?]{1,2}\s[\w./-]+$"
    r"|(?:\.{0,2}/)?[\w.@-]{1,80}(?:/[\w.@-]{1,80}){1,20}/?$"
    r"|[0-9a-f]{7,40}\s"
    r"|[\w .-]{1,30}\s{2,}[\w.-]+\s{2,}"
    r"|\|.*\||[-=+|\s]{5,}$|={4,}|\*{4,}|_{4,}"
    r"|\S+\.(?:py|js|ts|tsx|jsx|go|rs|java|kt|rb|php|c|h|cpp|cs|sql|sh|yml|yaml|json|toml|md)"
    r"(?::\d+|,|\s*$)"
    r"|(?:\d+[,;\t]){2,}"
    r"|\[[\w .:#/-]{1,40}\](?:\s*\[[\w .:#/?-]{1,40}\])*\s*$"
    r"|(?:at|in) line \d"
    r")"
)
_FIELD = re.compile(r"^\s*[-*]?\s*[\w.@$/\"'-]{1,40}(?: [\w-]{1,20}){0,2}\s?[:=]\s*\S{0,80}\s*$")
_DATA = re.compile(r"[\d{}\[\]<>|=;,\t\\/$%#@^_*+]")

PROSE, CODE, OTHER = 0, 1, 2
_MOST_LINE = 600
"""Characters of a line that are looked at."""


def kind_of(line: str) -> int:
    """PROSE, CODE or OTHER (logs, mail headers, tables, listings)."""
    line = line[:_MOST_LINE]
    if _MACHINE.match(line):
        return OTHER
    if _CODE.match(line):
        return CODE
    size = len(line)
    if size > 12:
        marks = len(_DATA.findall(line))
        if marks * 4 > size:
            return OTHER
    if _FIELD.match(line):
        return OTHER
    return PROSE


def without_machine_lines(text: str) -> tuple[str, int]:
    """Text without runs of two or more machine lines, and the characters of code among them.

    Where a person wrote nothing, the text stays as it is.
    """
    rows = _relayed(text.split("\n"))
    kinds = [kind_of(row) if row.strip() and row != MARK else None for row in rows]
    _join_runs(rows, kinds)
    _drop_signature(rows, kinds)
    _drop_edges(rows, kinds)
    kept: list[str] = []
    code = 0
    for row, kind in zip(rows, kinds, strict=True):
        if kind is None or kind == PROSE:
            kept.append(row)
        else:
            if kind == CODE:
                code += len(row) + 1
            if not kept or kept[-1] != "":
                kept.append("")
            if len(kept) < 2 or kept[-2] != MARK:
                kept.extend((MARK, ""))
    rest = "\n".join(_without_introduced(kept))
    if not any(c.isalpha() for c in rest):
        return text, 0
    return rest, code


def _join_runs(rows: list[str], kinds: list[int | None]) -> None:
    """A lone machine line amid prose is prose; a lone indented line amid code is code."""
    filled = [i for i, kind in enumerate(kinds) if kind is not None]
    before = list(kinds)
    for place, index in enumerate(filled):
        near = [before[filled[p]] for p in (place - 1, place + 1) if 0 <= p < len(filled)]
        kind = before[index]
        if kind == PROSE:
            if len(near) == 2 and CODE in near and PROSE not in near and (
                rows[index][:1] in " \t" or len(rows[index]) < 40
            ) and "?" not in rows[index]:  # fmt: skip
                kinds[index] = CODE
        elif near and all(k == PROSE for k in near) and not _certain(rows[index]):
            kinds[index] = PROSE


_HEADER = re.compile(r"\s*(?:[A-Z]{2,10}[ -]?#?\d|[^|?]{1,60}\|[^|?]{1,60}(?:\||$))")
_SAID = re.compile(r"(?:\d{1,2}:\d\d\s+)?[^\W\d][\w .]{0,30}[:：]\s+(?=\S)")
"""Who said it, in a thread."""


def _relayed(rows: list[str]) -> list[str]:
    """A ticket or chat bot quotes the ask itself: under a "#77", "@name" or a ticket's title stands
    but a quote, or a thread that ends with the ask."""
    quoted = [row[1:].strip(" /") for row in rows if row[:1] == ">"]
    if not quoted:
        return rows
    own = [row for row in rows if row[:1] != ">" and row.strip() and kind_of(row) == PROSE]
    first = own[0] if own else ""
    short = sum(map(len, own)) < 60 and "?" not in first
    named = ("#" in first or "@" in first) and (short or first.rstrip().endswith(":"))
    titled = all(_HEADER.match(row) for row in own)
    if own and not named and not titled:
        return rows
    said = [match.end() if (match := _SAID.match(quote)) else 0 for quote in quoted]
    if len(quoted) > 2 and sum(map(bool, said)) * 2 > len(quoted):
        return [quoted[-1][said[-1] :]]
    return [max(quoted, key=len)]


_REGARDS = re.compile(
    r"\s*(?:(?:kind|best|warm|many)?\s?(?:regards|wishes|thanks)|best|cheers|sincerely|thanks|thx|"
    r"mit freundlichen|viele grüße|liebe grüße|cordialement|bien à vous|saludos|un saludo|"
    r"atenciosamente|abraços|cordiali saluti|saluti|met vriendelijke|groeten|pozdrawiam|"
    r"с уважением|saygılarımla|--)"
    r"[^\n?]{0,24}[,!.]?\s*$",
    re.IGNORECASE,
)


def _drop_signature(rows: list[str], kinds: list[int | None]) -> None:
    """A mail's closing and what is under it."""
    filled = [i for i, kind in enumerate(kinds) if kind is not None]
    for place in filled[max(1, len(filled) - 6) :]:
        if _REGARDS.match(rows[place]) and not any("?" in row for row in rows[place:]):
            for i in range(place, len(rows)):
                if kinds[i] is not None:
                    kinds[i] = OTHER
            return


_ENVELOPE = re.compile(r"\s*(?:(?:\[[^\]?]{0,300}\]\s*)+|\([^)?]{0,300}\)|-{3,}[^?]*|[—•·].*)\s*$")


def _drop_edges(rows: list[str], kinds: list[int | None]) -> None:
    """First and last lines that are an envelope ("[device: …]", "iteration: 0/8") go."""
    filled = [i for i, kind in enumerate(kinds) if kind is not None]
    if sum(1 for i in filled if kinds[i] == PROSE) < 2:
        inner = [i for i in filled if kinds[i] == PROSE and not _ENVELOPE.match(rows[i])]
        if not inner:
            return
    for edge in (filled, filled[::-1]):
        for i in edge:
            row = rows[i]
            if kinds[i] == PROSE and not (_ENVELOPE.match(row) or _FIELD.match(row)):
                break
            if kinds[i] == PROSE or kinds[i] == OTHER:
                kinds[i] = OTHER


def _certain(row: str) -> bool:
    """One such line alone is a paste already: a long JSON, a quoted mail, a path."""
    return bool(re.match(r"\s*(?:>|\{\"|\[\{|\[device|\[speaker|From:|To:|Subject:)", row)) or (
        len(row) > 200 and kind_of(row) == OTHER
    )


_INTRODUCES = re.compile(
    r"(?:[:：]|\bbelow\b.*|\bpasted?\b.*|\bhere (?:it )?is\b.*|\bfollowing\b.*)\s*$", re.IGNORECASE
)
_LIST = re.compile(r"\s*(?:[-*•·]|\d{1,2}[.)])\s")
_LEAST_PASTE = 160


def _without_introduced(rows: list[str]) -> list[str]:
    """Drops the long paragraphs that a line such as "Summarise this:" introduces.

    Lists stay, for they are often the constraints, and so does a last paragraph that asks.
    """
    paragraphs: list[list[str]] = [[]]
    for row in rows:
        if row.strip():
            paragraphs[-1].append(row)
        elif paragraphs[-1]:
            paragraphs.append([])
    if not paragraphs[-1]:
        paragraphs.pop()
    if len(paragraphs) < 2:
        return rows
    kept = [paragraphs[0]]
    introduced = bool(_INTRODUCES.search(paragraphs[0][-1][-200:]))
    last = len(paragraphs) - 1
    for index, paragraph in enumerate(paragraphs[1:], 1):
        if paragraph[0] == MARK:
            introduced = False
            continue
        size = sum(map(len, paragraph))
        listed = sum(1 for row in paragraph if _LIST.match(row)) * 2 >= len(paragraph)
        asks = index == last and ("?" in paragraph[-1] or "？" in paragraph[-1])
        if introduced and size > _LEAST_PASTE and not listed and not asks:
            continue
        kept.append(paragraph)
        if index < last and _INTRODUCES.search(paragraph[-1][-200:]):
            introduced = True
    return [row for paragraph in kept for row in [*paragraph, ""]][:-1]
