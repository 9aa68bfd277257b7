"""Pieces of the report page: tables, figures with their interval, pictures inside the page. Everything from outside is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan

from mailweir.models.evaluation.tally import Estimate

__all__ = ["Cell", "Row", "bar", "figure", "interval", "number", "picture", "shift", "table"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that is markup already."""

    html: str
    style: str = ""


Row = Sequence["str | int | Cell"]
"""Cells of a row; a number is a count."""


def figure(value: float) -> str:
    """Three digits, or a dash where nothing could be counted."""
    return "–" if isnan(value) else f"{value:.3f}"


def number(value: float) -> Cell:
    """A figure on the right of its column."""
    return Cell(figure(value), "n")


def bar(value: float) -> Cell:
    """A share with a bar behind it."""
    filled = 0 if isnan(value) else round(100 * value)
    return Cell(figure(value), f'n bar" style="--v:{filled}%')


def interval(estimate: Estimate) -> Cell:
    """A figure with its interval."""
    if isnan(estimate.value):
        return number(estimate.value)
    return Cell(f"{figure(estimate.value)} <small>{figure(estimate.low)}–{figure(estimate.high)}</small>", "n")


def shift(estimate: Estimate) -> Cell:
    """A change with its sign and interval; in bold where the interval is without nought."""
    if isnan(estimate.value):
        return number(estimate.value)
    said = f"{estimate.value:+.3f} <small>{estimate.low:+.3f} to {estimate.high:+.3f}</small>"
    return Cell(f"<b>{said}</b>" if estimate.low > 0 or estimate.high < 0 else said, "n")


def table(titles: Sequence[str], rows: Iterable[Row], caption: str = "") -> str:
    """A table; columns of figures are on the right. A row with a single cell is a heading between rows."""
    body = [list(row) for row in rows]
    first = next((row for row in body if len(row) > 1), [])
    right = [not isinstance(cell, str) and not (isinstance(cell, Cell) and not cell.style) for cell in first]
    right += [False] * (len(titles) - len(right))
    head = "".join(f"<th{' class=n' if n else ''}>{escape(title)}</th>" for title, n in zip(titles, right, strict=True))
    lines = "\n".join(_row(row, len(titles)) for row in body)
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{said}<thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table></div>'


def picture(png: bytes, alt: str) -> str:
    """A picture that is part of the page."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def _row(cells: Row, columns: int) -> str:
    if len(cells) == 1:
        return f'<tr class="group"><th colspan="{columns}">{escape(str(cells[0]))}</th></tr>'
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(cell: str | int | Cell) -> str:
    if isinstance(cell, Cell):
        return f'<td class="{cell.style}">{cell.html}</td>' if cell.style else f"<td>{cell.html}</td>"
    return f'<td class="n">{cell:,}</td>' if isinstance(cell, int) else f"<td>{escape(cell)}</td>"
