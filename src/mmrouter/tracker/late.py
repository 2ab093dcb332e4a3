"""Rows that come late, or go: their hour may be summed up already, and has to be summed up again.

A row is late where its hour has been over for `LATE_H` hours, and hours are summed up an hour later
than that, so that clocks may differ by an hour. Marking is a part of the transaction that writes or
deletes the row.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmrouter.tracker.records import Record

HOUR_S = 3_600
LATE_H = 1


def late_hours(records: Sequence[Record], now: float) -> set[int]:
    """The hours of late rows; none, as a rule."""
    first = now // HOUR_S - LATE_H
    hours = {int(record.request["started"] // HOUR_S) for record in records}
    return {hour for hour in hours if hour < first}


def due(hour: int, now: float) -> bool:
    """No row can come into this hour any more without being late."""
    return hour < now // HOUR_S - LATE_H - 1


def mark_stale(parameter: str) -> str:
    """The statement that marks an hour; `parameter` is the driver's place for a value."""
    return (
        f"INSERT INTO stale_hours (hour, version) VALUES ({parameter}, 1) "  # noqa: S608
        "ON CONFLICT (hour) DO UPDATE SET version = stale_hours.version + 1"
    )
