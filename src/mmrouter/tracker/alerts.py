"""Alerts in the books: what people were told, and which of several processes tells them.

All processes look at the same books and find the same trouble; the one whose change of the row in
`alert_states` comes first speaks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mmrouter.tracker import schema
from mmrouter.tracker.store import Store, plain

_states, _alerts = schema.alert_states, schema.alerts


@dataclass(frozen=True, slots=True)
class Up:
    """An alert that was raised and has not ended: when people were last told, Unix seconds."""

    rule: str
    subject: str
    told: float


def raise_one(
    store: Store,
    rule: str,
    subject: str,
    text: str,
    *,
    now: float,
    cooldown_s: float,
    remind_s: float,
    lasts: bool,
) -> int | None:
    """Notes that a rule fires.

    Args:
        cooldown_s: after it spoke of this subject, a rule is quiet about it for so long.
        remind_s: what goes on firing is said again after this; 0 never.
        lasts: it fires until `recover`; else it is over as soon as it is said.

    Returns:
        The number of the alert that the caller must deliver; None where people know already.
    """
    this = and_(_states.c.rule == rule, _states.c.subject == subject)
    anew = and_(~_states.c.firing, _states.c.told <= now - cooldown_s)
    again = and_(_states.c.firing, _states.c.told <= now - remind_s)
    with store.change() as connection:
        _known(connection, rule, subject)
        claim = (
            update(_states)
            .where(this, or_(anew, again) if remind_s > 0 else anew)
            .values(firing=lasts, told=now, seen=now)
        )
        if connection.execute(claim).rowcount == 0:
            connection.execute(update(_states).where(this, _states.c.firing).values(seen=now))
            return None
        return _note(connection, rule, subject, "raised", text, now)


def recover(store: Store, *, now: float, unseen_s: float) -> list[tuple[int, str, str]]:
    """Ends alerts that no process has found firing for `unseen_s`.

    Returns:
        (number, rule, subject) of each that this call ended.
    """
    over = and_(_states.c.firing, _states.c.seen < now - unseen_s)
    ended = []
    with store.change() as connection:
        rows = connection.execute(select(_states.c.rule, _states.c.subject).where(over)).all()
        for rule, subject in rows:
            this = and_(_states.c.rule == rule, _states.c.subject == subject)
            done = connection.execute(update(_states).where(this, over).values(firing=False))
            if done.rowcount:
                number = _note(connection, rule, subject, "recovered", "it is over", now)
                ended.append((number, rule, subject))
    return ended


def note_test(store: Store, text: str, *, now: float) -> int:
    """Notes a trial; its number."""
    with store.change() as connection:
        return _note(connection, "test", "", "test", text, now)


def delivered(store: Store, number: int, by: Mapping[str, str | None]) -> None:
    """Notes how an alert was delivered: channel -> None, or why it failed."""
    with store.change() as connection:
        connection.execute(
            update(_alerts).where(_alerts.c.id == number).values(delivered=json.dumps(by))
        )


def history(store: Store, *, since: float = 0.0, limit: int = 100) -> list[dict[str, Any]]:
    """What people were told since an instant (Unix seconds), newest first."""
    query = select(_alerts).where(_alerts.c.at >= since).order_by(_alerts.c.id.desc()).limit(limit)
    with store.read() as connection:
        rows = [plain(row) for row in connection.execute(query)]
    return [row | {"delivered": json.loads(row["delivered"])} for row in rows]


def up(store: Store) -> list[Up]:
    """Alerts that have not ended."""
    columns = (_states.c.rule, _states.c.subject, _states.c.told)
    with store.read() as connection:
        return [Up(*row) for row in connection.execute(select(*columns).where(_states.c.firing))]


def _known(connection: Connection, rule: str, subject: str) -> None:
    """The row is there, whoever of several processes comes first."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {"rule": rule, "subject": subject, "firing": False, "told": 0.0, "seen": 0.0}
    connection.execute(dialect.insert(_states).values(row).on_conflict_do_nothing())


def _note(connection: Connection, rule: str, subject: str, kind: str, text: str, now: float) -> int:
    row = {"at": now, "rule": rule, "subject": subject, "kind": kind, "text": text}
    key = connection.execute(insert(_alerts).values(**row, delivered="{}")).inserted_primary_key
    assert key is not None  # noqa: S101 - SQLAlchemy's types allow for tables without a key
    return int(key[0])
