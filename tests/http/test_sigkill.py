"""Every answer that a client received in whole has its row, also where the server is killed.

`benchmarks/durability.py` does the same many times over.
"""

from __future__ import annotations

from pathlib import Path

from mmrouter.tracker.store import Filter, open_store
from tests.support.configs import two_dialects
from tests.support.faults import healthy
from tests.support.sigkill import killed_under_load
from tests.support.upstream import running


def test_whatever_was_answered_is_in_the_books_of_a_killed_server(
    books_url: str, tmp_path: Path
) -> None:
    with running(healthy) as upstream:
        config = two_dialects(upstream.base_url)
        for answers in (40, 61):
            got = killed_under_load(config, tmp_path, books_url, clients=12, answers=answers)
            assert got.broken == 12, "it was killed with requests under way"
            assert min(len(got.whole), len(got.streamed)) > 10
            store = open_store(books_url)
            assert got.ids <= {row["id"] for row in store.rows(Filter())}
            assert store.verify() == []
            store.close()
