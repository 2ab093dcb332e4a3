"""The statements that write a batch, and the rows as they take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Table

from mmrouter.errors import TrackerError
from mmrouter.tracker import schema
from mmrouter.tracker.records import Record, Row

Values = tuple[Any, ...]


class BadRecordError(TrackerError):
    """The database is well but does not take one of the batch's rows. Nothing was written."""


def insert_sql(table: Table, placeholder: str) -> str:
    """An insert of one row, in the order of the table's columns, that passes over a known key."""
    columns = ", ".join(column.name for column in table.columns)
    values = ", ".join(placeholder for _ in table.columns)
    return f"INSERT INTO {table.name} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608


def _in_order(table: Table) -> Callable[[Row], Values]:
    return itemgetter(*(column.name for column in table.columns))


_request = _in_order(schema.requests)
_attempt = _in_order(schema.attempts)


def request_values(record: Record) -> Values:
    """The record's request as parameters of its insert."""
    return _request(record.request)


def attempt_values(records: Sequence[Record]) -> Iterator[Values]:
    """All attempts of the records as parameters of their insert."""
    return (_attempt(row) for record in records for row in record.attempts)
