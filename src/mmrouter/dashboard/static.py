"""The built page: files of `static/`, as `npm run build` in `dashboard/` wrote them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).with_name("static")

_PREFIX = "/dashboard"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page.

    Attributes:
        packed: the same, gzipped.
        forever: its name holds a hash of what is in it.
    """

    media: bytes
    data: bytes
    packed: bytes
    forever: bool


def is_page(path: str) -> bool:
    """The path is of the page itself, which holds no data; its API is not."""
    return path == _PREFIX or (
        path.startswith(_PREFIX + "/") and not path.startswith(_PREFIX + "/api/")
    )


def file(path: str) -> File | None:
    """What lies at a path for which `is_page` holds; None where nothing does.

    Every address inside the page is the page, which reads the address itself.
    """
    inner = path.removeprefix(_PREFIX).lstrip("/")
    if "." not in inner.rpartition("/")[2]:
        inner = "index.html"
    return _load(inner) if inner in _listing() else None


@lru_cache(maxsize=1)
def _listing() -> frozenset[str]:
    """The files that there are: nothing else is ever opened, whatever a path says."""
    return frozenset(
        found.relative_to(ROOT).as_posix()
        for found in ROOT.rglob("*")
        if found.is_file() and found.suffix in _TYPES
    )


@lru_cache(maxsize=100)
def _load(inner: str) -> File:
    data = (ROOT / inner).read_bytes()
    return File(
        media=_TYPES[(ROOT / inner).suffix],
        data=data,
        packed=gzip.compress(data, 9),
        forever=inner.startswith("assets/"),
    )
