"""What a page asks: a query string as a filter, a zone, a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mmrouter.errors import InvalidRequestError
from mmrouter.money import NANOS_PER_USD
from mmrouter.tracker.store import Filter
from mmrouter.types import Category, Complexity, Nanos, Status

E = TypeVar("E", bound=StrEnum)

_MOST_USD = 1_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """A call of the API.

    Attributes:
        name: what the path names beyond the page, such as a request's id; else empty.
        query: the query string's pairs; the last of a repeated name.
        body: a posted JSON object.
    """

    name: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def filter(self) -> Filter:
        """`since`, `until` (Unix seconds), `model`, `key`, `tag`, `session`, `category`,
        `complexity`, `status`, `min_cost`, `max_cost` (USD).

        Raises:
            InvalidRequestError: a value that means nothing.
        """
        query = self.query
        return Filter(
            since=self.number("since"),
            until=self.number("until"),
            model=query.get("model"),
            key_name=query.get("key"),
            tag=query.get("tag"),
            session=query.get("session"),
            category=self._one_of("category", Category),
            complexity=self._one_of("complexity", Complexity),
            status=self._one_of("status", Status),
            min_cost_nanos=self._nanos("min_cost"),
            max_cost_nanos=self._nanos("max_cost"),
        )

    @property
    def zone(self) -> ZoneInfo:
        """The viewer's time zone (`zone`), in which days begin; UTC where none is given."""
        name = self.query.get("zone", "UTC")
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidRequestError(f"No time zone '{name[:64]}'", param="zone") from None

    def number(self, name: str) -> float | None:
        """A finite number, or None where it is not given."""
        value = self.query.get(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not abs(number) < 1e15:
            raise InvalidRequestError(f"'{name}' must be a number", param=name)
        return number

    def text(self, name: str, most: int) -> str:
        """A text of the body, of 1 to `most` characters."""
        value = self.body.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise InvalidRequestError(
                f"'{name}' must be a text of 1 to {most} characters", param=name
            )
        return value

    def _nanos(self, name: str) -> Nanos | None:
        usd = self.number(name)
        if usd is not None and not 0 <= usd <= _MOST_USD:
            raise InvalidRequestError(
                f"'{name}' takes US dollars from 0 to {_MOST_USD}", param=name
            )
        return None if usd is None else round(usd * NANOS_PER_USD)

    def _one_of(self, name: str, values: type[E]) -> str | None:
        value = self.query.get(name)
        if value is not None and value not in list(values):
            raise InvalidRequestError(f"'{name}' is one of: {', '.join(values)}", param=name)
        return value
