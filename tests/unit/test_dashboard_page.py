"""The page that is in the package is built from the sources that are in the repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mmrouter.dashboard import static

SOURCES = Path(__file__).parents[2] / "dashboard"


def test_the_built_page_is_fresh() -> None:
    """Where this fails: `make dashboard`, and commit what it writes."""
    top = ("index.html", "package-lock.json", "package.json", "sources.ts", "tsconfig.json")
    inner = [
        found.relative_to(SOURCES).as_posix()
        for folder in ("public", "src")
        for found in (SOURCES / folder).rglob("*")
        if found.is_file()
    ]
    digest = hashlib.sha256()
    for name in sorted([*top, "vite.config.ts", *inner]):
        digest.update(name.encode() + b"\0" + (SOURCES / name).read_bytes() + b"\0")
    assert (static.ROOT / "sources.sha256").read_text().strip() == digest.hexdigest()


def test_the_page_asks_nobody_else_for_anything() -> None:
    html = (static.ROOT / "index.html").read_text("utf-8")
    assert "http" not in html
    assert "<script>" not in html
    assert "<style" not in html


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/requests/req_1"])
def test_every_address_inside_is_the_page(path: str) -> None:
    found = static.file(path)
    assert found is not None
    assert found.media.startswith(b"text/html")


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/../static.py",
        "/dashboard/assets/../../api.py",
        "/dashboard//etc/passwd.txt",
        "/dashboard/sources.sha256",
        "/dashboard/nothing.js",
    ],
)
def test_nothing_else_is_read(path: str) -> None:
    assert static.file(path) is None
