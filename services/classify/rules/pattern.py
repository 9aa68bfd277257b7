"""Searching a pattern in linear time, whatever the pattern and the text: an automaton, its states made when they are met.

Thompson (1968) with the lazy states of RE2: mail comes from anybody, and a backtracking matcher can be kept busy for hours by
a text that was written to do so. Here a character costs a look into a dictionary (60 ns), at worst one pass over the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from mailweir.services.classify.rules.syntax import Alternatives, Edge, EdgeKind, Node, One, Repeat, is_word, parse

__all__ = ["Pattern"]

# Points of a pattern; counts are written out, so a{50} is fifty. They bound what the worst text can cost: 50,000 characters made
# to meet a new state at each take 1.7 s with 220 points, 4.9 s with 900.
_MOST_POINTS = 250
_MOST_STEPS = 20_000  # remembered steps; after that memory is given back and filled anew

Side = Literal["edge", "line", "word", "other"]
"""What stands beside a place: the start or end of the text, a line end, a letter or digit, anything else."""


@dataclass(slots=True)
class _Point:
    """A node of the automaton: a character to pass, an edge to be at, or only ways on; no way on: the end."""

    test: Callable[[str], bool] | None = None
    edge: EdgeKind | None = None
    ways: tuple[int, ...] = ()


@dataclass(slots=True)
class _State:
    """Points that may be next, and what stands before them; `after` remembers where characters lead, None: found."""

    points: frozenset[int]
    before: Side
    after: dict[str, _State | None] = field(default_factory=dict)


class Pattern:
    """A compiled pattern. Searches remember steps: one thread at a time."""

    def __init__(self, pattern: str) -> None:
        """Compile.

        Raises:
            ValueError: it is no pattern, is too large, or matches the empty text and so every mail.
        """
        self._points: list[_Point] = [_Point()]
        self._entry = self._build(parse(pattern), 0)
        self._states: dict[tuple[frozenset[int], Side], _State] = {}
        self._steps = 0
        if self.search(""):
            raise ValueError("it matches the empty text, and so every mail")

    def search(self, text: str) -> bool:
        """True if the pattern stands anywhere in `text`."""
        state = self._state(frozenset(), "edge")
        for character in text:
            try:
                reached = state.after[character]
            except KeyError:
                reached = self._step(state, character)
            if reached is None:
                return True
            state = reached
        return 0 in self._closure(state, "edge")

    def _step(self, state: _State, character: str) -> _State | None:
        if self._steps >= _MOST_STEPS:
            self._states.clear()
            self._steps = 0
        side = _side(character)
        points = self._closure(state, side)
        reached = None if 0 in points else self._state(self._passed(points, character), side)
        self._steps += 1
        state.after[character] = reached
        return reached

    def _state(self, points: frozenset[int], before: Side) -> _State:
        return self._states.setdefault((points, before), _State(points, before))

    def _passed(self, points: Iterable[int], character: str) -> frozenset[int]:
        found = (self._points[number] for number in points)
        return frozenset(point.ways[0] for point in found if point.test and point.test(character))

    def _closure(self, state: _State, side: Side) -> set[int]:
        """All points that are reached without a character, with `side` coming next; a search may begin anywhere."""
        seen: set[int] = set()
        left = [self._entry, *state.points]
        while left:
            number = left.pop()
            if number in seen:
                continue
            seen.add(number)
            point = self._points[number]
            if point.test is None and (point.edge is None or _is_at(point.edge, state.before, side)):
                left += point.ways
        return seen

    def _build(self, node: Node, follow: int) -> int:
        """Points for `node`, leading on to `follow`; the number of the first."""
        if isinstance(node, One):
            return self._add(_Point(test=node.test, ways=(follow,)))
        if isinstance(node, Edge):
            return self._add(_Point(edge=node.kind, ways=(follow,)))
        if isinstance(node, Repeat):
            return self._build_repeat(node, follow)
        if isinstance(node, Alternatives):
            return self._add(_Point(ways=tuple(self._build(each, follow) for each in node.nodes)))
        for each in reversed(node.nodes):
            follow = self._build(each, follow)
        return follow

    def _build_repeat(self, node: Repeat, follow: int) -> int:
        if node.most is None:
            loop = self._add(_Point())
            self._points[loop].ways = (self._build(node.node, loop), follow)
            first = loop
        else:
            first = follow
            for _ in range(node.most - node.least):
                first = self._add(_Point(ways=(self._build(node.node, first), follow)))
        for _ in range(node.least):
            first = self._build(node.node, first)
        return first

    def _add(self, point: _Point) -> int:
        if len(self._points) >= _MOST_POINTS:
            raise ValueError(f"it is too large: written out, its counts need more than {_MOST_POINTS} points")
        self._points.append(point)
        return len(self._points) - 1


def _side(character: str) -> Side:
    return "word" if is_word(character) else "line" if character == "\n" else "other"


def _is_at(kind: EdgeKind, before: Side, after: Side) -> bool:
    if kind == "^":
        return before in {"edge", "line"}
    if kind == "$":
        return after in {"edge", "line"}
    return ((before == "word") != (after == "word")) == (kind == "b")
