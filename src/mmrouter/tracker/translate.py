"""SQLAlchemy's errors in our own terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from mmrouter.errors import TrackerError


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Raises TrackerError, with the driver's own message, for any failure of the database."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        where = engine.url.render_as_string(hide_password=True)
        raise TrackerError(f"The tracker's database {where}: {cause}") from error
