"""Instants in SQL: whole seconds, and a zone's clocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from math import ceil
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from mmrouter.tracker.late import HOUR_S

DAY_S = 86_400


class whole_seconds(GenericFunction[int]):  # noqa: N801  SQLAlchemy names functions by their class
    """The integer below a positive instant: PostgreSQL's CAST rounds, SQLite may have no FLOOR."""

    type = BigInteger()
    inherit_cache = True


@compiles(whole_seconds)
def _floor(element: whole_seconds, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(FLOOR({compiler.process(element.clauses, **options)}) AS BIGINT)"


@compiles(whole_seconds, "sqlite")
def _truncate(element: whole_seconds, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS INTEGER)"


def offset_of(
    started: ColumnElement[float], pieces: Sequence[tuple[float, int]]
) -> ColumnElement[int]:
    """Seconds east of UTC at an instant; `pieces` as `offsets` gave them."""
    later = [(started >= begin, seconds) for begin, seconds in reversed(pieces[1:])]
    return case(*later, else_=pieces[0][1]) if later else literal(pieces[0][1])


def in_hours(pieces: Sequence[tuple[float, int]]) -> bool:
    """The offsets, and the instants from which they hold, are whole hours."""
    changes = [begin for begin, _ in pieces[1:]]
    return all(not value % HOUR_S for value in [*changes, *(seconds for _, seconds in pieces)])


def offsets(zone: tzinfo, first: float, last: float) -> list[tuple[float, int]]:
    """The zone's offsets from UTC between two instants: (from Unix second, offset in seconds)."""

    def offset(instant: float) -> int:
        found = datetime.fromtimestamp(instant, zone).utcoffset()
        return round(found.total_seconds()) if found else 0

    pieces = [(first, offset(first))]
    low = int(first)
    while low < last:
        high = min(low + DAY_S, ceil(last))
        if offset(high) != pieces[-1][1]:
            before, after = low, high
            while after - before > 1:
                middle = (before + after) // 2
                if offset(middle) == pieces[-1][1]:
                    before = middle
                else:
                    after = middle
            pieces.append((after, offset(after)))
        low = high
    return pieces
