"""Names for requests."""

from __future__ import annotations

import uuid


def new_request_id() -> str:
    """A fresh id: "req_" and 32 hex digits."""
    return f"req_{uuid.uuid4().hex}"
