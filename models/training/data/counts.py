"""How labels, lengths, languages and code patterns are spread."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mailweir.models.text.entities import find_all
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.data.guide import ruled_out
from mailweir.models.training.data.rows import Item, Labels
from mailweir.schemas.taxonomy import Taxonomy

Table = dict[str, dict[str, dict[str, int]]]
"""Head → label → language → rows."""

LONG = 150
"""Words above which a mail counts as long."""

UNDECIDED = "(null)"
"""Stands for a label that the annotator could not decide."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Words of the texts of one group."""

    rows: int
    median: float
    ninth_decile: float
    longest: int
    long: float  # share above LONG words


@dataclass(frozen=True, slots=True)
class Absent:
    """Two labels that no row has together, and how many rows would by chance."""

    labels: tuple[str, str]  # head=label
    expected: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an entity rule finds in the mails."""

    rule: str
    found: int
    annotated: int  # of those, with the same type and text in the row


def label_table(mails: Sequence[MailRow], taxonomy: Taxonomy) -> Table:
    """Rows per head, label and language, labels that never occur included; entity marks as the head `entities`."""
    table: Table = {head: {label: {} for label in taxonomy.labels(head)} for head in taxonomy.heads}
    table["entities"] = {kind: {} for kind in taxonomy.entities}
    for mail in mails:
        for head, label in _labels_of(mail.labels):
            _count(table, head, label, mail.language)
        for mark in mail.entities:
            _count(table, "entities", mark.type, mail.language)
    return table


def lengths(groups: Mapping[str, Sequence[str]]) -> dict[str, Lengths]:
    """Lengths of the texts of each group, in the order given."""
    return {name: _lengths([len(text.split()) for text in texts]) for name, texts in groups.items() if texts}


def texts_by(items: Iterable[Item], field: str) -> dict[str, list[str]]:
    """Texts by `language` or `author`, in the order of the names."""
    groups: dict[str, list[str]] = {}
    for item in items:
        groups.setdefault(str(getattr(item, field)), []).append(item.text)
    return dict(sorted(groups.items()))


def absent_pairs(mails: Sequence[MailRow], taxonomy: Taxonomy) -> list[Absent]:
    """Labels of two heads with one answer that never meet, the most surprising first.

    What no row has is left out, and so is what the guide rules out.
    """
    one = [head for head, asked in taxonomy.heads.items() if asked.kind == "one"]
    single: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for mail in mails:
        known = [f"{head}={label}" for head in one if (label := mail.label(head)) is not None]
        single.update(known)
        pairs.update(combinations(known, 2))
    rows = max(len(mails), 1)
    absent = [
        Absent((a, b), round(single[a] * single[b] / rows, 1))
        for first, second in combinations(one, 2)
        for a in _names(first, taxonomy)
        for b in _names(second, taxonomy)
        if single[a] and single[b] and not pairs[a, b] and not _forbidden(a, b)
    ]
    return sorted(absent, key=lambda pair: -pair.expected)


def code_patterns(mails: Iterable[MailRow]) -> list[Pattern]:
    """What each entity rule finds, and how often the annotation says the same; the most frequent first."""
    found: Counter[str] = Counter()
    annotated: Counter[str] = Counter()
    for mail in (mail for mail in mails if mail.marks is not None):
        marks = {(mark.type, mark.text) for mark in mail.entities}
        claims = {(f.rule, f.type, text[f.start : f.end]) for text in (mail.subject, mail.body) for f in find_all(text)}
        found.update(rule for rule, _, _ in claims)
        annotated.update(rule for rule, kind, text in claims if (kind, text) in marks)
    return [Pattern(rule, count, annotated[rule]) for rule, count in found.most_common()]


def _labels_of(labels: Labels) -> Iterator[tuple[str, str]]:
    for head, value in labels.items():
        for label in (value if value is not None else UNDECIDED,) if not isinstance(value, tuple) else value:
            yield head, label


def _count(table: Table, head: str, label: str, language: str) -> None:
    cells = table.setdefault(head, {}).setdefault(label, {})
    cells[language] = cells.get(language, 0) + 1


def _forbidden(first: str, second: str) -> bool:
    head, _, label = first.partition("=")
    return head == "category" and ruled_out(label, *second.split("=", 1))


def _names(head: str, taxonomy: Taxonomy) -> list[str]:
    return [f"{head}={label}" for label in taxonomy.labels(head)]


def _lengths(words: Sequence[int]) -> Lengths:
    median, ninth = np.percentile(words, (50, 90))
    long = sum(count > LONG for count in words) / len(words)
    return Lengths(len(words), float(median), float(ninth), max(words), round(long, 4))
