"""Digits that belong together: groups of a number with what stands between them. One pass, linear."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailweir.services.feedback.redact.finds import APART

__all__ = ["Run", "Stretch", "digit_runs"]

# What stands between two groups of one number. Digits and joints are disjoint, so there is one way to match.
_JOINT = r"(?:[ \u00a0]?[./-][ \u00a0]?|[ \u00a0](?![./-])|\)[ \u00a0-]?|[ \u00a0]?\()"
_RUN = re.compile(rf"{APART}(?<![^\W_])\d+(?:{_JOINT}\d+)*")
_GROUP = re.compile(r"\d+")
_GROUPS_AT_MOST = 8  # of one number: `+49 (0) 69 555 01 40 0`
_TIME = re.compile(r":\d")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring groups of a run, as a candidate for one number."""

    start: int
    end: int
    groups: tuple[str, ...]
    joints: tuple[str, ...]  # between the groups
    is_cut: bool  # out of a longer row whose next group is joined as closely as its own

    @property
    def digits(self) -> str:
        """All digits."""
        return "".join(self.groups)

    @property
    def is_plain(self) -> bool:
        """Joined by one kind of single blank or hyphen, or not at all."""
        return len(set(self.joints)) <= 1 and set(self.joints) <= {" ", "\u00a0", "-"}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Digits of each group."""
        return tuple(map(len, self.groups))


@dataclass(frozen=True, slots=True)
class Run:
    """All groups of digits that follow one another."""

    text: str
    places: tuple[tuple[int, int], ...]  # of each group

    def stretches(self, first: int, least: int, most: int) -> Iterator[Stretch]:
        """Candidates that begin at group `first` and have `least` to `most` digits, longest first."""
        last, total = first, 0
        beyond = min(len(self.places), first + _GROUPS_AT_MOST)
        while last < beyond and total + self._length(last) <= most:
            total += self._length(last)
            last += 1
        while last > first and total >= least:
            yield self._stretch(first, last)
            last -= 1
            total -= self._length(last)

    def _length(self, group: int) -> int:
        start, end = self.places[group]
        return end - start

    def _joint(self, group: int) -> str:
        """What stands before a group; nothing before the first and behind the last."""
        inside = 0 < group < len(self.places)
        return self.text[self.places[group - 1][1] : self.places[group][0]] if inside else ""

    def _stretch(self, first: int, last: int) -> Stretch:
        places = self.places[first:last]
        groups = tuple(self.text[start:end] for start, end in places)
        joints = tuple(self._joint(group) for group in range(first + 1, last))
        is_cut = any(joint and (not joints or joint in joints) for joint in (self._joint(first), self._joint(last)))
        return Stretch(places[0][0], places[-1][1], groups, joints, is_cut)


def digit_runs(text: str) -> Iterator[Run]:
    """Every run of `text`; a last group that goes on as a word or a time is left out."""
    for match in _RUN.finditer(text):
        places = [group.span() for group in _GROUP.finditer(text, *match.span())]
        if text[match.end() : match.end() + 1].isalnum() or _TIME.match(text, match.end()):
            places.pop()
        if places:
            yield Run(text, tuple(places))
