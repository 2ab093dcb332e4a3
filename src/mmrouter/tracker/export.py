"""The books as files: JSON lines or Parquet, written chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, Text

from mmrouter.errors import MissingDependencyError
from mmrouter.tracker import schema
from mmrouter.tracker.records import Row
from mmrouter.tracker.store import Filter, Store

_CHUNK = 5_000


def to_jsonl(store: Store, filter: Filter, path: Path) -> int:
    """One request a line, oldest first, its attempts nested. Returns the number of requests."""
    written = 0
    with path.open("wb") as file:
        for chunk in _chunks(store, filter):
            attempts = store.attempts([row["id"] for row in chunk])
            for row, own in zip(chunk, _nested(chunk, attempts), strict=True):
                tags, reasons = orjson.loads(row["tags"]), orjson.loads(row["reasons"])
                line = row | {"tags": tags, "reasons": reasons, "attempts": own}
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            written += len(chunk)
    return written


def to_parquet(store: Store, filter: Filter, path: Path) -> int:
    """The rows of `requests`, oldest first. Returns their number.

    Raises:
        MissingDependencyError: the extra `parquet` is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "pip install 'mmrouter[parquet]'") from error
    types = {
        Text: pa.string(),
        Double: pa.float64(),
        BigInteger: pa.int64(),
        Integer: pa.int32(),
        Boolean: pa.bool_(),
    }

    def field(column: Column[Any]) -> Any:
        return pa.field(column.name, types[type(column.type)], nullable=bool(column.nullable))

    form = pa.schema([field(column) for column in schema.requests.columns])
    written = 0
    with pq.ParquetWriter(path, form) as writer:
        for chunk in _chunks(store, filter):
            writer.write_table(pa.Table.from_pylist(chunk, schema=form))
            written += len(chunk)
    return written


def _chunks(store: Store, filter: Filter) -> Iterator[list[Row]]:
    rows = store.rows(filter)
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def _nested(requests: list[Row], attempts: list[Row]) -> Iterator[list[Row]]:
    by_request: dict[str, list[Row]] = {}
    for attempt in attempts:
        by_request.setdefault(attempt.pop("request_id"), []).append(attempt)
    for request in requests:
        yield by_request.get(request["id"], [])
