"""Tables in docs/ that tests fill: what they see is what stands there.

A test notes a cell once it has seen it. `tests/http/test_pages.py`, which runs last, compares; with
`--write-pages` it writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

Cell = tuple[str, str, str]
"""Section, row, column."""

NOTHING = "–"


@dataclass
class Page:
    """One page of docs/.

    Attributes:
        head: the Markdown that stands above the tables.
        first: title of the tables' first column.
        cells: what this session's tests have seen.
    """

    path: Path
    head: str
    first: str
    cells: dict[Cell, str] = field(default_factory=dict)

    def note(self, section: str, row: str, column: str, cell: str) -> None:
        """A test saw this; notes of one cell must agree."""
        known = self.cells.setdefault((section, row, column), cell)
        assert known == cell, f"{section}, {row}, {column}: {known!r} and {cell!r}"

    def render(self) -> str:
        """The page: a table per section, all in the order in which they were noted."""
        parts = [self.head.strip()]
        for section in dict.fromkeys(section for section, _, _ in self.cells):
            inside = [(row, column) for s, row, column in self.cells if s == section]
            columns = list(dict.fromkeys(column for _, column in inside))
            lines = [[self.first, *columns], ["---"] * (len(columns) + 1)]
            lines += [
                [row, *(self.cells.get((section, row, c), NOTHING) for c in columns)]
                for row in dict.fromkeys(row for row, _ in inside)
            ]
            table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
            parts.append(f"## {section}\n\n{table}")
        return "\n\n".join(parts) + "\n"

    def written(self) -> dict[Cell, str]:
        """The cells of the page as it stands on disk."""
        cells: dict[Cell, str] = {}
        section = ""
        columns: list[str] = []
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            if line.startswith("## "):
                section, columns = line.removeprefix("## "), []
            elif line.startswith("| ---"):
                continue
            elif line.startswith("| "):
                row, *values = line.removeprefix("| ").removesuffix(" |").split(" | ")
                if not columns:
                    columns = values
                    continue
                found = zip(columns, values, strict=True)
                cells |= {(section, row, c): v for c, v in found if v != NOTHING}
        return cells
