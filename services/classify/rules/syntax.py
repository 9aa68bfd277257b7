r"""Patterns as trees: a subset of Python's regular expressions, without what cannot be searched in linear time.

Literals, `.`, classes (`[A-Z0-9-]`, `[^,]`, `\d \w \s` and their capitals), groups, `|`, `? * + {m} {m,} {m,n}`, the edges
`\b \B ^ $` (of words and lines), and `(?i)` in front for any case. Back-references and look-around are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Alternatives", "Edge", "EdgeKind", "Node", "One", "Repeat", "Sequence", "is_word", "parse"]

EdgeKind = Literal["b", "B", "^", "$"]
Test = Callable[[str], bool]

_LONGEST = 500  # characters of a pattern
_DEEPEST = 20  # groups in one another
_MOST = 1_000  # times that one thing may be asked to stand in a row


@dataclass(frozen=True, slots=True)
class One:
    """One character that passes a test."""

    test: Test


@dataclass(frozen=True, slots=True)
class Edge:
    """A place between two characters."""

    kind: EdgeKind


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Any of them."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`least` to `most` times in a row; `most` None: as often as it likes."""

    node: Node
    least: int
    most: int | None


Node = One | Edge | Sequence | Alternatives | Repeat


def is_word(character: str) -> bool:
    r"""What `\w` stands for."""
    return character.isalnum() or character == "_"


_SHORTHANDS: dict[str, Test] = {"d": str.isdecimal, "w": is_word, "s": str.isspace}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}
_REFUSED = {
    "=": "look-ahead",
    "!": "look-ahead",
    "<": "look-behind or a named group",
    "P": "a named group or a back-reference to one",
}


def parse(pattern: str) -> Node:
    """The tree of `pattern`.

    Raises:
        ValueError: it is no pattern, or holds what is not allowed; the message says what and where.
    """
    if len(pattern) > _LONGEST:
        raise ValueError(f"it has {len(pattern)} characters, more than {_LONGEST}")
    return _Parser(pattern).parse()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._any_case = pattern.startswith("(?i)")
        self._text = pattern.removeprefix("(?i)")
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        tree = self._alternatives()
        if self._at < len(self._text):
            raise self._error("a ) too many")
        return tree

    def _alternatives(self) -> Node:
        found = [self._sequence()]
        while self._take("|"):
            found.append(self._sequence())
        return found[0] if len(found) == 1 else Alternatives(tuple(found))

    def _sequence(self) -> Node:
        nodes = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            nodes.append(self._repeated(self._atom()))
        return Sequence(tuple(nodes))

    def _repeated(self, node: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        if isinstance(node, Edge):
            raise self._error("an edge cannot be repeated")
        self._take("?")  # as few as possible: whether it matches is the same
        if self._text[self._at : self._at + 1] in {"*", "+", "?"}:
            raise self._error("a repeat of a repeat")
        return Repeat(node, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        signs: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        for sign, bounds in signs.items():
            if self._take(sign):
                return bounds
        return self._counted() if self._take("{") else None

    def _counted(self) -> tuple[int, int | None]:
        inside, brace, _ = self._text[self._at :].partition("}")
        least, comma, most = inside.partition(",")
        if not brace or not least.isdecimal() or not (most == "" or most.isdecimal()):
            raise self._error(r"{ needs a count, as in {2}, {2,} or {2,5}; a plain one is written \{")
        self._at += len(inside) + 1
        low, high = int(least), (int(most) if most else None) if comma else int(least)
        if max(low, high or 0) > _MOST or (high is not None and high < low):
            raise self._error(f"a count is at most {_MOST}, the first not above the second")
        return low, high

    def _atom(self) -> Node:
        sign = self._next()
        if sign == "(":
            return self._group()
        if sign == "[":
            return One(self._class())
        if sign == "\\":
            return self._escaped()
        if sign == ".":
            return One(lambda character: character != "\n")
        if sign in "^$":
            return Edge("^" if sign == "^" else "$")
        if sign in "*+?{":
            raise self._error(f"nothing before {sign} to repeat")
        return One(self._cased(lambda character: character == sign))

    def _group(self) -> Node:
        if self._take("?") and not self._take(":"):
            kind = self._text[self._at : self._at + 1]
            raise self._error(
                f"{_REFUSED.get(kind, 'an extension')} is not allowed: it cannot be searched in linear time"
            )
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} groups in one another")
        inside = self._alternatives()
        if not self._take(")"):
            raise self._error("a ( without its )")
        self._depth -= 1
        return inside

    def _escaped(self) -> Node:
        sign = self._next()
        if sign in "bB":
            return Edge("b" if sign == "b" else "B")
        return One(self._escape(sign))

    def _escape(self, sign: str) -> Test:
        if sign.lower() in _SHORTHANDS:
            test = _SHORTHANDS[sign.lower()]
            return test if sign.islower() else lambda character: not test(character)
        if sign.isdecimal():
            raise self._error("a back-reference is not allowed: it cannot be searched in linear time")
        wanted = self._plain(sign)
        return self._cased(lambda character: character == wanted)

    def _plain(self, sign: str) -> str:
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign.isalnum():
            raise self._error(f"\\{sign} has no meaning here")
        return sign

    def _class(self) -> Test:
        negated = self._take("^")
        tests: list[Test] = []
        first = True
        while first or not self._take("]"):
            tests.append(self._member())
            first = False
        inside = self._cased(lambda character: any(test(character) for test in tests))
        return (lambda character: not inside(character)) if negated else inside

    def _member(self) -> Test:
        sign = self._next()
        if sign == "\\":
            sign = self._next()
            if sign.lower() in _SHORTHANDS:
                return self._escape(sign)
            sign = self._plain(sign)
        if self._text[self._at : self._at + 1] != "-" or self._text[self._at + 1 : self._at + 2] in {"", "]"}:
            return lambda character: character == sign
        self._at += 1
        last = self._next()
        last = self._plain(self._next()) if last == "\\" else last
        if last < sign:
            raise self._error(f"the range {sign}-{last} runs backwards")
        return lambda character: sign <= character <= last

    def _cased(self, test: Test) -> Test:
        if not self._any_case:
            return test
        return lambda character: test(character) or test(character.lower()) or test(character.upper())

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._error("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, sign: str) -> bool:
        there = self._text.startswith(sign, self._at)
        self._at += len(sign) if there else 0
        return there

    def _error(self, what: str) -> ValueError:
        return ValueError(f"{what} (at character {self._at + 1} of {self._text!r})")
