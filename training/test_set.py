"""Copies the held-out rows (a4.jsonl, never fitted on) to where mmrouter ships its test set."""

from __future__ import annotations

import shutil
from pathlib import Path

HERE = Path(__file__).parent

if __name__ == "__main__":
    target = HERE.parent / "src" / "mmrouter" / "eval" / "data" / "test_set.jsonl"
    shutil.copyfile(HERE / "data" / "a4.jsonl", target)
