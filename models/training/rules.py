"""How often the entity rules are right: counted on mail by authors whom nobody looked at while writing them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailweir.models.text.entities import find_all, find_entities
from mailweir.models.training.corpus import MailRow

WROTE_WITH = frozenset({"ada", "bram", "cleo", "dov", "ebru", "fikret", "gonca", "hana", "jonas"})
"""Authors whose mail was read while the rules were written."""

_WORTH = 0.6  # a rule that is wrong more often is switched off
FEWEST = 5  # finds below which a rule's precision is not known

Pair = tuple[str, str]


def rule_figures(rows: Sequence[MailRow], test_authors: frozenset[str]) -> tuple[dict[str, float], dict[str, Any]]:
    """Precision of each rule that is worth having, and what all of them together reach on the test authors."""
    unread = [row for row in rows if row.author not in WROTE_WITH | test_authors and row.marks is not None]
    precision = rule_precision(unread)
    test = [row for row in rows if row.author in test_authors]
    return precision, {
        "rules": precision,
        "test": type_figures(test, precision),
        "unread": type_figures(unread, precision),
    }


def rule_precision(rows: Iterable[MailRow]) -> dict[str, float]:
    """Share of each rule's finds that the annotators marked, one success and one failure added (Laplace)."""
    hits, finds = Counter[str](), Counter[str]()
    for row in rows:
        marked = {(mark.type, mark.text) for mark in row.entities}
        for rule, pair in _claims(row):
            finds[rule] += 1
            hits[rule] += pair in marked
    measured = {rule: round((hits[rule] + 1) / (finds[rule] + 2), 3) for rule in sorted(finds) if finds[rule] >= FEWEST}
    return {rule: share for rule, share in measured.items() if share >= _WORTH}


def type_figures(rows: Sequence[MailRow], precision: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Precision, recall and counts per entity type, exact text, each distinct text of a mail once."""
    hits, found, marked = Counter[str](), Counter[str](), Counter[str]()
    for row in rows:
        right = {(mark.type, mark.text) for mark in row.entities}
        given = {(e.type, e.text) for e in find_entities(row.subject, row.body, precision)}
        for counter, pairs in ((hits, right & given), (found, given), (marked, right)):
            counter.update(kind for kind, _ in pairs)
    return {kind: type_shares(hits[kind], found[kind], marked[kind]) for kind in sorted(marked | found)}


def _claims(row: MailRow) -> set[tuple[str, Pair]]:
    return {
        (find.rule, (find.type, text[find.start : find.end]))
        for text in (row.subject, row.body)
        for find in find_all(text)
    }


def type_shares(hits: int, found: int, marked: int) -> dict[str, float]:
    """Precision and recall of one type, with their counts."""
    return {
        "precision": round(hits / found, 3) if found else 0.0,
        "recall": round(hits / marked, 3) if marked else 0.0,
        "found": found,
        "marked": marked,
    }
