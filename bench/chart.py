"""A bar chart as SVG, by hand: one block for each case, one bar for each proxy."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

WIDTH, LEFT, RIGHT = 760, 170, 90
BAR, GAP, HEAD = 18, 5, 34
OURS, OTHERS = "#2563eb", "#9ca3af"

Blocks = Mapping[str, Mapping[str, float]]


def bars(title: str, unit: str, blocks: Blocks) -> str:
    """The chart. ``blocks`` maps the title of each to its bars, name to value; each block has its own scale."""
    parts: list[str] = []
    y = 44
    for heading, values in blocks.items():
        if values:
            parts.append(_text(16, y + 14, heading, weight="600"))
            parts += _block(values, y + HEAD - 10, unit)
            y += HEAD + len(values) * (BAR + GAP)
    height = y + 8
    size = (
        f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    )
    return "\n".join(
        [
            f'<svg {size} font-family="system-ui, sans-serif" font-size="13" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text(16, 26, title, weight="700"),
            *parts,
            "</svg>\n",
        ]
    )


def _block(values: Mapping[str, float], top: int, unit: str) -> list[str]:
    scale = (WIDTH - LEFT - RIGHT) / max(values.values())
    parts = []
    for number, (name, value) in enumerate(values.items()):
        y = top + number * (BAR + GAP)
        width = max(1.0, value * scale)
        parts.append(_text(LEFT - 8, y + 13, name, anchor="end"))
        colour = OURS if name.startswith("dynbalancer") else OTHERS
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(_text(round(LEFT + width + 6), y + 13, f"{value:.1f} {unit}"))
    return parts


def _text(x: int, y: int, words: str, *, weight: str = "400", anchor: str = "start") -> str:
    style = f'font-weight="{weight}" text-anchor="{anchor}" fill="#111827"'
    return f'<text x="{x}" y="{y}" {style}>{escape(words)}</text>'
