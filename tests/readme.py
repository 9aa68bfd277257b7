"""README.md as the tests read it: sections, tables, code."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read() -> str:
    """All of it."""
    return README.read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under `## title`, to the next of its kind."""
    headings = [*re.finditer(r"^## (.+)$", read(), re.MULTILINE)]
    ends = [*(following.start() for _, following in pairwise(headings)), len(read())]
    [found] = [read()[at.end() : end] for at, end in zip(headings, ends, strict=True) if at[1] == title]
    return found


def table(title: str) -> list[list[str]]:
    """The rows of the one table under `## title`, cell by cell; an escaped bar belongs to its cell."""
    rows = [line for line in section(title).splitlines() if line.startswith("|")]
    assert set(rows[1]) == {"|", "-"}, f"## {title} has no table"
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


def snippet(language: str) -> str:
    """The one block of code in a language."""
    [found] = [code for name, code in _FENCE.findall(read()) if name == language]
    return str(found)


def code() -> list[str]:
    """Every block and span of code."""
    prose = _FENCE.sub("", read())
    return [*(block for _, block in _FENCE.findall(read())), *re.findall(r"`([^`\n]+)`", prose)]


def links() -> list[str]:
    """Targets of all links."""
    return re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", read()))
