"""JSON that is almost right, for fuzzing: what somebody sends whose program has a fault."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

_WRONG: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, 0, -1, 2**64 - 1, 1e300, "", "data:", "image", [], {}, [[]]]),
    st.sampled_from([[None, "x", 1], {"type": []}, {"type": {}, "content": [{"type": 1}]}]),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside of some JSON."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*path, key))


@st.composite
def broken(draw: st.DrawFn, originals: list[Any]) -> Any:
    """One of the originals with up to three of its values replaced."""
    value = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(value))
        if places:
            *above, last = draw(st.sampled_from(places))
            place = value
            for key in above:
                place = place[key]
            place[last] = copy.deepcopy(draw(_WRONG))
    return value
