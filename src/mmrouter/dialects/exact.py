"""JSON in and out without loss: integers of any length stay what they are.

orjson reads an integer beyond 64 bits as a float, and writes none. Where there is one, which is
next to never, the standard library's slower module does the work.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

_LONG = b"0" * 19
"""The shortest integer that may not fit: -9223372036854775809."""
_STEP = 6
_HINT = _LONG[: len(_LONG) // _STEP]
"""As many digits of every sixth byte fall into it: a look at these spares most texts the whole."""
_AS_ZEROS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))


def loads(raw: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises:
        orjson.JSONDecodeError
    """
    value = orjson.loads(raw)
    if _HINT in raw[::_STEP].translate(_AS_ZEROS) and _LONG in raw.translate(_AS_ZEROS):
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return value  # thousands of digits, or of levels: nobody means them
    return value


def dumps(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """A value as JSON text in UTF-8.

    Args:
        default: what to say in the place of a value that JSON cannot say.

    Raises:
        TypeError: JSON cannot say it.
    """
    try:
        return orjson.dumps(value, default, orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        try:
            return json.dumps(
                value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=default
            ).encode()
        except (TypeError, ValueError, RecursionError):
            raise error from None
