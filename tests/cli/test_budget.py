"""`mmrouter budget`, as users run it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import mmrouter
from tests.support.configs import PRICE, config_for
from tests.support.upstream import Upstream

COST = 18_000  # 12 tokens in, 3 out


@pytest.fixture
def folder(upstream: Upstream, tmp_path: Path) -> Path:
    row = {"provider": "at-a", "price": PRICE, "max_output": 1000}
    config = config_for(
        {"a": upstream.base_url},
        models={"a": row},
        budget={"enabled": True, "daily_limit": 0.00002, "hard_limit_action": "reject"},
    )
    wide = config_for({"a": upstream.base_url})  # the first call is held to no limit
    (tmp_path / "limited.json").write_text(config.model_dump_json())
    (tmp_path / "wide.json").write_text(wide.model_dump_json())
    return tmp_path


def as_json(*arguments: str, cwd: Path) -> Any:
    done = mmrouter("-c", "limited.json", "budget", *arguments, "--json", cwd=cwd)
    return json.loads(done.out)


def test_status_shows_what_is_left_and_the_tier(folder: Path) -> None:
    assert mmrouter("-c", "wide.json", "route", "hi", cwd=folder).code == 0
    (row,) = as_json("status", cwd=folder)["limits"]
    assert (row["limit"], row["tier"]) == ("daily limit", "downgrade")
    assert (row["limit_nanos"], row["settled_nanos"]) == (20_000, COST)
    assert (row["reserved_nanos"], row["left_nanos"]) == (0, 20_000 - COST)
    shown = mmrouter("-c", "limited.json", "budget", "status", cwd=folder)
    assert "$0.000018" in shown.out
    assert "At a limit: reject." in shown.out


def test_audit_finds_no_drift_until_somebody_edits_the_books(folder: Path) -> None:
    mmrouter("-c", "wide.json", "route", "hi", cwd=folder)
    done = mmrouter("-c", "limited.json", "budget", "audit", cwd=folder)
    assert done.code == 0
    assert "what the books say" in done.out
    with sqlite3.connect(folder / "mmrouter.db") as connection:
        connection.execute("UPDATE attempts SET cost_nanos = cost_nanos + 5")
    done = mmrouter("-c", "limited.json", "budget", "audit", cwd=folder)
    assert done.code == 1
    assert "differ" in done.out
    (row,) = as_json("audit", cwd=folder)["limits"]
    assert (row["counter_nanos"], row["books_nanos"], row["drift_nanos"]) == (COST, COST + 5, -5)


def test_a_spent_limit_ends_a_command_with_one_clear_line(folder: Path) -> None:
    mmrouter("-c", "wide.json", "route", "hi", cwd=folder)
    done = mmrouter("-c", "limited.json", "route", "hi", cwd=folder)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert done.err.splitlines()[-1].startswith("Error: The daily limit would be passed")


def test_without_limits_it_says_how_to_set_them(folder: Path) -> None:
    done = mmrouter("-c", "wide.json", "budget", "status", cwd=folder)
    assert done.code == 0
    assert "budget:" in done.out
