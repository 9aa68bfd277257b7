"""Everything that can be said about annotated rows without training on them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mailweir.models.training.data.counts import (
    Absent,
    Lengths,
    Pattern,
    Table,
    absent_pairs,
    code_patterns,
    label_table,
    lengths,
    texts_by,
)
from mailweir.models.training.data.phrases import Phrase, shared_phrases
from mailweir.models.training.data.rows import Item, Labels, Note, Rows
from mailweir.models.training.data.similar import similar_pairs
from mailweir.schemas.taxonomy import installed_taxonomy

Side = Literal["training", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Twins:
    """Two rows whose texts are nearly the same."""

    ids: tuple[str, str]
    authors: tuple[str, str]
    sides: tuple[Side, Side]
    similarity: float  # Jaccard, of word triples
    differ: tuple[str, ...]  # heads that are labelled differently

    @property
    def leaks(self) -> bool:
        """What is measured on one side was seen on the other."""
        return self.sides[0] != self.sides[1]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in the rows; the parts that a person reads come first."""

    mails: int
    tasks: int
    references: int  # mails with a reference summary
    authors: dict[Side, tuple[str, ...]]
    breaks: tuple[Note, ...]  # of the guide: the rows cannot be trained on as they are
    doubts: tuple[Note, ...]
    twins: tuple[Twins, ...]
    phrases: tuple[Phrase, ...]
    absent: tuple[Absent, ...]
    labels: Table
    lengths: dict[str, Lengths]  # of mails, by language
    lengths_by_author: dict[str, Lengths]
    patterns: tuple[Pattern, ...]

    @property
    def leaks(self) -> tuple[Twins, ...]:
        """Near-duplicates between training, validation and test."""
        return tuple(pair for pair in self.twins if pair.leaks)

    @property
    def conflicts(self) -> tuple[Twins, ...]:
        """Near-duplicates with different labels."""
        return tuple(pair for pair in self.twins if pair.differ)

    @property
    def crossing(self) -> tuple[Phrase, ...]:
        """Phrases that stand on more than one side of the split."""
        side = {author: name for name, authors in self.authors.items() for author in authors}
        return tuple(phrase for phrase in self.phrases if len({side[author] for author in phrase.authors}) > 1)

    @property
    def sound(self) -> bool:
        """Nothing breaks the guide and nothing leaks."""
        return not self.breaks and not self.leaks

    def json(self) -> dict[str, Any]:
        """For scripts."""
        named = {"leaks": [list(p.ids) for p in self.leaks], "conflicts": [list(p.ids) for p in self.conflicts]}
        return {"sound": self.sound, **asdict(self), **named}


def check_rows(rows: Rows, *, test: Collection[str], validation: Collection[str], least: float = 0.5) -> Findings:
    """Look at the rows; `least` is the Jaccard similarity from which two texts are near-duplicates."""
    items, taxonomy = rows.items(), installed_taxonomy("email", 1)
    mails = items[: len(rows.mails)]
    sides = {author: _side(author, test, validation) for author in sorted({item.author for item in items})}
    return Findings(
        mails=len(rows.mails),
        tasks=len(rows.tasks),
        references=rows.references,
        authors=_authors(sides),
        breaks=rows.breaks,
        doubts=rows.doubts,
        twins=tuple(_twins(items, sides, least)),
        phrases=tuple(shared_phrases(items)),
        absent=tuple(absent_pairs(rows.mails, taxonomy)),
        labels=label_table(rows.mails, taxonomy) | {"task": _task_table(items[len(mails) :])},
        lengths=lengths(texts_by(mails, "language")),
        lengths_by_author=lengths(texts_by(mails, "author")),
        patterns=tuple(code_patterns(rows.mails)),
    )


def _side(author: str, test: Collection[str], validation: Collection[str]) -> Side:
    return "test" if author in test else "validation" if author in validation else "training"


def _authors(sides: dict[str, Side]) -> dict[Side, tuple[str, ...]]:
    names: tuple[Side, ...] = ("training", "validation", "test")
    return {name: tuple(author for author, side in sides.items() if side == name) for name in names}


def _twins(items: Sequence[Item], sides: dict[str, Side], least: float) -> Iterator[Twins]:
    for pair in similar_pairs([item.text for item in items], least):
        one, other = items[pair.first], items[pair.second]
        yield Twins(
            (one.id, other.id),
            (one.author, other.author),
            (sides[one.author], sides[other.author]),
            round(pair.similarity, 3),
            tuple(_differ(one.labels, other.labels)),
        )


def _differ(one: Labels, other: Labels) -> Iterator[str]:
    """Heads that both decide, and decide differently; the order of several labels says nothing."""
    for head in sorted(one.keys() & other.keys()):
        first, second = one[head], other[head]
        if first is not None and second is not None and _as_set(first) != _as_set(second):
            yield head


def _as_set(value: str | tuple[str, ...]) -> set[str]:
    return {value} if isinstance(value, str) else set(value)


def _task_table(tasks: Sequence[Item]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {label: {} for label in installed_taxonomy("task", 1).labels("category")}
    for task in tasks:
        cells = table.setdefault(str(task.labels["task"]), {})
        cells[task.language] = cells.get(task.language, 0) + 1
    return table
