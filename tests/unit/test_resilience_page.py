"""docs/resilience.md says of each error what its class says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mmrouter.errors import ProviderError

_PAGE = Path(__file__).parents[2] / "docs" / "resilience.md"
_ROW = re.compile(r"^\| `(\w+Error)` \| (yes|no) \| (yes|no) \|", re.M)


def _below(kind: type[ProviderError]) -> Iterator[type[ProviderError]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _below(inner)


def test_the_table_of_errors_is_that_of_the_classes() -> None:
    written = {
        name: (again == "yes", ill == "yes") for name, again, ill in _ROW.findall(_PAGE.read_text())
    }
    assert written == {
        kind.__name__: (kind.retryable, kind.health) for kind in _below(ProviderError)
    }
