"""Names for requests."""

from __future__ import annotations

import os


def new_request_id() -> str:
    """A fresh id: "req_" and 32 hex digits."""
    return "req_" + os.urandom(16).hex()
