"""Does the candidate answer as well as the champion, by head, class and slice?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailweir.models.evaluation import Answer
from mailweir.models.training.gate.limits import Limits
from mailweir.models.training.gate.paired import Both, Paired, paired
from mailweir.models.training.gate.sitting import Sitting, known, tally_of
from mailweir.models.training.gate.slices import ALL, slices
from mailweir.models.training.gate.verdict import Check, Rule

__all__ = ["quality"]

_BOTH_BELOW = "like the champion below"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a figure was taken, and what it is."""

    rows_of: str
    head: str
    slice: str
    figure: str  # macro-F1, F1 …

    def __str__(self) -> str:
        return f"{self.head}, {self.slice} of the {self.rows_of} rows: {self.figure}"


@dataclass(frozen=True, slots=True)
class _Bar:
    """What a figure has to reach."""

    floor: float | None
    worse: float
    floor_chance: float
    chance: float = 1.0  # above which a loss is noise


def quality(rows_of: str, candidate: Sitting, champion: Sitting, limits: Limits) -> Iterator[Check]:
    """Floors and comparisons of every head over one set of rows."""
    for head in champion.manifest.heads:
        numbers = known(champion.answers[rows_of], head)
        if numbers:
            yield from _head(rows_of, head, _compare(rows_of, head, numbers, candidate, champion), champion, limits)
            yield from _parts(rows_of, head, numbers, (candidate, champion), limits)


def _head(rows_of: str, head: str, found: Paired, champion: Sitting, limits: Limits) -> Iterator[Check]:
    many = champion.manifest.heads[head].kind == "many"
    whole, figure = (found.micro, "micro-F1") if many else (found.macro, "macro-F1")
    bar = _Bar(limits.head_floors.get(head), limits.worse_overall, limits.floor_chance)
    yield from _checks(_Place(rows_of, head, ALL, figure), whole, bar)
    yield from _classes(rows_of, head, ALL, found, limits)


def _parts(
    rows_of: str, head: str, numbers: Sequence[int], both: tuple[Sitting, Sitting], limits: Limits
) -> Iterator[Check]:
    """Every slice of the rows that is large enough; within a language also its classes."""
    examples = [both[0].answers[rows_of][number].example for number in numbers]
    for name, places in slices(examples).items():
        if limits.slice_rows <= len(places) < len(numbers):
            found = _compare(rows_of, head, [numbers[place] for place in places], *both)
            bar = _Bar(limits.slice_floor, limits.worse_in_slice, limits.floor_chance, limits.chance)
            yield from _checks(_Place(rows_of, head, name, "micro-F1"), found.micro, bar)
            if name.startswith("language") and "," not in name:
                yield from _classes(rows_of, head, name, found, limits)


def _compare(rows_of: str, head: str, numbers: Sequence[int], candidate: Sitting, champion: Sitting) -> Paired:
    labels = champion.manifest.heads[head].labels

    def of(sitting: Sitting) -> Sequence[Answer]:
        return [sitting.answers[rows_of][number] for number in numbers]

    return paired(tally_of(champion, head, of(champion), labels), tally_of(candidate, head, of(candidate), labels))


def _classes(rows_of: str, head: str, part: str, found: Paired, limits: Limits) -> Iterator[Check]:
    bar = _Bar(limits.class_floor, limits.worse_in_slice, limits.floor_chance, limits.chance)
    for label, both in found.labels.items():
        if both.rows >= limits.slice_rows:
            name = f"label {label}" if part == ALL else f"{part}, label {label}"
            yield from _checks(_Place(rows_of, head, name, "F1"), both, bar)


def _checks(place: _Place, both: Both, bar: _Bar) -> Iterator[Check]:
    if bar.floor is not None:
        yield _floor(place, both, bar.floor, bar.floor_chance)
    yield _not_worse(place, both, bar)


def _floor(place: _Place, both: Both, floor: float, chance: float) -> Check:
    below, binds = both.candidate < floor, both.champion >= floor
    noise = both.chance >= chance
    said = (
        "at or above" if not below else "below" if binds and not noise else "within noise of" if binds else _BOTH_BELOW
    )
    told = (
        f"{place} {both.candidate:.3f} on {both.rows} rows, {said} the floor {floor:.2f} (champion {both.champion:.3f})"
    )
    return _check("floor", place, both, floor, told, passed=not below or not binds or noise)


def _not_worse(place: _Place, both: Both, bar: _Bar) -> Check:
    passed = not (both.change.high < -bar.worse and both.chance < bar.chance)
    told = f"{both.change.value:+.3f} against the champion ({both.change.low:+.3f} to {both.change.high:+.3f})"
    said = "not worse" if passed else "worse"
    reason = (
        f"{place} {both.candidate:.3f} on {both.rows} rows, {told}: {said} by more than {bar.worse:.2f} beyond noise"
    )
    return _check("not_worse", place, both, bar.worse, reason, passed=passed)


def _check(rule: Rule, place: _Place, both: Both, limit: float, reason: str, *, passed: bool) -> Check:
    return Check(
        rule,
        passed,
        reason,
        rows_of=place.rows_of,
        head=place.head,
        slice=place.slice,
        rows=both.rows,
        candidate=round(both.candidate, 4),
        champion=round(both.champion, 4),
        change=both.change,
        limit=limit,
    )
