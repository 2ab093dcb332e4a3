"""Alerts as plain data, and what carries them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What an alert says."""

    RAISED = "raised"
    RECOVERED = "recovered"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule found.

    Attributes:
        subject: of what it speaks: a limit, a model; empty for all requests.
        value: None where too little is known to say.
        threshold: a value above it fires (at it, too, where `at_threshold`).
        unit: "share", "ms", "usd" or "count".
        text: one sentence for people.
    """

    rule: str
    subject: str
    value: float | None
    threshold: float
    unit: str
    text: str
    at_threshold: bool = False

    @property
    def firing(self) -> bool:
        """People should be told."""
        if self.value is None:
            return False
        return self.value > self.threshold or (self.at_threshold and self.value == self.threshold)


@dataclass(frozen=True, slots=True)
class Alert:
    """What people are told.

    Attributes:
        id: its number in the books.
        at: Unix seconds.
    """

    id: int
    at: float
    rule: str
    subject: str
    kind: Kind
    text: str

    @property
    def title(self) -> str:
        """ "mmrouter: budget_warning (daily limit) recovered"."""
        of = f" ({self.subject})" if self.subject else ""
        after = " recovered" if self.kind is Kind.RECOVERED else ""
        return f"mmrouter: {self.rule}{of}{after}"


class DeliveryError(Exception):
    """An alert did not arrive. The message holds no URL and no secret.

    Args:
        retryable: it may arrive if it is sent again.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """ "webhook", "notify"."""

    async def send(self, alert: Alert) -> None:
        """Delivers it once, in bounded time.

        Raises:
            DeliveryError
        """
