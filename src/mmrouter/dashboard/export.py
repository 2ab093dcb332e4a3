"""The filtered requests as a file to take away: CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
from pathlib import Path

from mmrouter.tracker import schema
from mmrouter.tracker.export import to_jsonl, to_parquet
from mmrouter.tracker.store import Filter, Store

MEDIA = {
    "csv": b"text/csv; charset=utf-8",
    "jsonl": b"application/x-ndjson",
    "parquet": b"application/vnd.apache.parquet",
}

_RISKY = ("=", "+", "-", "@", "\t", "\r")


def write(store: Store, filter: Filter, form: str, path: Path) -> int:
    """Writes the requests, oldest first. Returns their number.

    Raises:
        MissingDependencyError: Parquet without the extra `parquet`.
    """
    match form:
        case "parquet":
            return to_parquet(store, filter, path)
        case "jsonl":
            return to_jsonl(store, filter, path)
        case _:
            return to_csv(store, filter, path)


def to_csv(store: Store, filter: Filter, path: Path) -> int:
    """One request a line under a line of names; texts that a spreadsheet would run as a formula
    are quoted with an apostrophe, since clients choose tags and sessions."""
    names = [column.name for column in schema.requests.columns]
    written = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in store.rows(filter):
            writer.writerow([_harmless(row[name]) for name in names])
            written += 1
    return written


def _harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(_RISKY):
        return "'" + value
    return value
