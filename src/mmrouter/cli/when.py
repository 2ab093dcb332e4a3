"""Instants as command lines give them."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

import click

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class When(click.ParamType[float]):
    """An age (`30m`, `24h`, `7d`, `2w`) or an ISO date: Unix seconds."""

    name = "WHEN"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        age = re.fullmatch(r"(\d+)([mhdw])", value)
        if age:
            return time.time() - int(age[1]) * _UNITS[age[2]]
        try:
            return datetime.fromisoformat(value).astimezone().timestamp()
        except ValueError:
            self.fail(f"'{value}' is neither an age (24h, 7d) nor a date (2026-01-31)", param, ctx)
