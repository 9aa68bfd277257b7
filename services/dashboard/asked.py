"""What a reader asked for: a span of time and values of the dashboard's variables, and a query with them filled in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailweir.schemas.errors import InputError
from mailweir.services.dashboard.board import Board

__all__ = ["SPANS", "Window", "chosen", "fill", "window"]

SPANS = {"15m": 900, "1h": 3_600, "6h": 21_600, "24h": 86_400, "7d": 604_800}
"""Seconds."""
EVERY = ".*"
"""Grafana's "All" of our variables."""

_POINTS = 300  # of a line: more than the pixels of the narrowest panel show
_STEPS = (5, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_META = frozenset(r"\.^$*+?()[]{}|")


@dataclass(frozen=True, slots=True)
class Window:
    """Moments at which a graph has values: Unix seconds, all multiples of `step`, so that a refresh moves no point."""

    start: int
    end: int
    step: int
    scrape: int  # seconds from one look of Prometheus at the workers to the next

    @property
    def times(self) -> range:
        """Every one."""
        return range(self.start, self.end + 1, self.step)

    @property
    def rate_interval(self) -> int:
        """Seconds that a rate is taken over, as Grafana's `$__rate_interval`: four looks, so that one may be missing."""
        return max(self.step + self.scrape, 4 * self.scrape)


def window(span: str, until: float, scrape: int) -> Window:
    """The `span` (a key of `SPANS`) before `until`, in Unix seconds.

    Raises:
        InputError: there is no such span or moment.
    """
    if span not in SPANS:
        raise InputError(f"there is no range {span!r}; there are: {', '.join(SPANS)}")
    if not 0 < until < 2**40:
        raise InputError("until is no moment: give Unix seconds")
    least = max(scrape, SPANS[span] / _POINTS)
    step = max(scrape, next((step for step in _STEPS if step >= least), _STEPS[-1]))
    end = int(until) // step * step
    return Window(end - SPANS[span] // step * step, end, step, scrape)


def chosen(board: Board, asked: Mapping[str, str]) -> dict[str, str]:
    """A text for every variable of the dashboard, ready to stand in PromQL; one that was not asked for is "All" or its default.

    Raises:
        InputError: a price is no number.
    """
    picked = {name: _pattern(asked[name]) if asked.get(name) else EVERY for name in board.choices}
    return picked | {
        name: _number(asked.get(name) or usual) for name, usual in board.texts.items() if name != "runbooks"
    }


def fill(expression: str, values: Mapping[str, str]) -> str:
    """The expression with every `$variable` replaced.

    Raises:
        KeyError: one has no value.
    """
    return _VARIABLE.sub(lambda found: values[found[1]], expression)


def _pattern(value: str) -> str:
    """A regular expression that only this value matches, as the inside of a string of PromQL."""
    literal = "".join(f"\\{sign}" if sign in _META else sign for sign in value)
    return literal.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError(f"{text!r} is no price: give a number such as 0.04")
    return repr(value)
