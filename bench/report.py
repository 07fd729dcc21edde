"""What was measured, in tables: on the terminal, and as sections of one Markdown file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bench import machine

TITLE = """# Measured

`make bench` and its parts write this file, a section each, which says when and on what it was measured. How, and
what the figures mean: `docs/inside/performance.md`.
"""

#: Beside figures that came of fewer or shorter runs than a measurement takes.
TRIAL = "**A trial of the script, not a measurement**: it was told to run shorter."

Table = Sequence[Sequence[str]]


def aligned(rows: Table) -> str:
    """A table for the terminal: the first column to the left, the rest to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *rest = zip(row, widths, strict=True)
        lines.append(
            "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()
        )
    return "\n".join(lines)


def markdown(rows: Table) -> str:
    """The same in Markdown."""
    head, *body = rows
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, marks, *body))


def measured_on(*versions: str) -> str:
    """The line that says when, on which machine, and with which versions."""
    return f"{machine.today()}; {machine.description()}; {'; '.join(versions)}."


def write_section(file: Path, heading: str, text: str) -> None:
    """Put a section in the file, in the place of an older one with the same heading."""
    before = file.read_text() if file.exists() else TITLE
    intro, *sections = re.split(r"^(?=## )", before, flags=re.MULTILINE)
    section = f"## {heading}\n\n{text.strip()}\n"
    places = [number for number, old in enumerate(sections) if old.startswith(f"## {heading}\n")]
    if places:
        sections[places[0]] = section
    else:
        sections.append(section)
    file.write_text("\n".join(part.strip() + "\n" for part in (intro, *sections)))
    print(f"Written to {file}")


def median_and_max(seconds: Sequence[float]) -> tuple[str, str]:
    """Both in milliseconds; ``none`` where nothing was measured."""
    if not seconds:
        return "none", "none"
    ordered = sorted(seconds)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return f"{middle * 1000:.1f}", f"{ordered[-1] * 1000:.1f}"
