"""Tags to entities and back, and where they stand in the mail."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.models.text.entities import find_entities
from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.occurrences import occurrences
from mailweir.models.text.spans import Span, decode_tags, tag_names, trim
from mailweir.models.text.zone import split_zones
from mailweir.models.training.corpus import EntityMark, MailRow, load_mails
from mailweir.models.training.entity_fit import rules_beside
from mailweir.models.training.tags import UNKNOWN, tag_targets
from mailweir.schemas.events import EntityField

NAMES = tag_names(("amount", "po_number"))
TEXT = "pay 40 EUR for PO 4500123456, now"
WORDS = [(0, 3), (4, 6), (7, 10), (11, 14), (15, 17), (18, 28), (28, 29), (30, 33)]


def logits(*tags: str, sure: float = 9.0) -> np.ndarray:
    table = np.full((len(tags), len(NAMES)), -sure, np.float32)
    table[np.arange(len(tags)), [NAMES.index(tag) for tag in tags]] = sure
    return table


def test_tags_of_types_are_begin_and_inside() -> None:
    """One tag for outside, two for each type."""
    assert NAMES == ("O", "B-amount", "I-amount", "B-po_number", "I-po_number")


def test_a_sequence_of_tags_becomes_spans() -> None:
    """Tokens of one entity are joined, the text around is left out."""
    table = logits("O", "B-amount", "I-amount", "O", "O", "B-po_number", "O", "O")
    assert [(s.type, TEXT[s.start : s.end]) for s in decode_tags(table, NAMES, WORDS, TEXT)] == [
        ("amount", "40 EUR"),
        ("po_number", "4500123456"),
    ]


def test_nothing_continues_that_did_not_begin() -> None:
    """The likeliest tags are no legal sequence: the likeliest legal one is taken."""
    table = logits("O", "O", "O", "O", "O", "O", "O", "O")
    table[1, NAMES.index("I-amount")] = 10  # alone the likeliest here, but nothing has begun
    table[1, NAMES.index("B-po_number")] = 9.2
    table[2, NAMES.index("I-po_number")] = 9.5
    found = decode_tags(table, NAMES, WORDS, TEXT)
    assert [(s.type, s.start, s.end) for s in found] == [("po_number", 4, 10)]


def test_probability_is_that_of_the_least_certain_token() -> None:
    """Two tokens, one of them doubtful; a temperature makes both more doubtful."""
    table = logits("O", "B-amount", "I-amount", "O", "O", "O", "O", "O")
    table[2] = np.log([0.3, 0.1, 0.6, 1e-9, 1e-9])
    (span,) = decode_tags(table, NAMES, WORDS, TEXT)
    assert span.probability == pytest.approx(0.7, abs=1e-3)  # B and I both say that it is part of an amount
    (warmer,) = decode_tags(table, NAMES, WORDS, TEXT, temperature=2.0)
    assert warmer.probability < 0.7


@given(st.lists(st.lists(st.floats(-6, 6), min_size=5, max_size=5), min_size=1, max_size=8))
def test_every_span_is_inside_the_text_and_none_overlap(rows: list[list[float]]) -> None:
    """Whatever the network says."""
    found = decode_tags(np.array(rows, np.float32), NAMES, WORDS[: len(rows)], TEXT)
    assert all(0 <= s.start < s.end <= len(TEXT) and 0 <= s.probability <= 1 for s in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


def test_edges_lose_punctuation_but_not_their_own_bracket() -> None:
    """`(40 EUR),` is `40 EUR`; `Rev(2)` keeps its bracket."""
    assert trim(" (40 EUR), ", 0, 11) == (2, 8)
    assert trim("Rev(2)", 0, 6) == (0, 6)


def test_annotation_and_tags_say_the_same() -> None:
    """Tags made from annotated entities give these entities back."""
    marks = [EntityMark(type="amount", text="40 EUR"), EntityMark(type="po_number", text="4500123456")]
    tags = tag_targets(TEXT, WORDS, marks, NAMES)
    table = logits(*(NAMES[tag] for tag in tags))
    assert {(s.type, TEXT[s.start : s.end]) for s in decode_tags(table, NAMES, WORDS, TEXT)} == {
        (mark.type, mark.text) for mark in marks
    }


def test_a_short_text_that_stands_twice_settles_nothing() -> None:
    """`2` of "2 units" also stands in "page 2": the loss leaves both out."""
    names = tag_names(("quantity",))
    tags = tag_targets(
        "2 units page 2", [(0, 1), (2, 7), (8, 12), (13, 14)], [EntityMark(type="quantity", text="2")], names
    )
    assert tags.tolist() == [UNKNOWN, 0, 0, UNKNOWN]


def test_a_number_is_not_found_inside_a_longer_one() -> None:
    """`40` is neither in `1.40` nor in `400` nor in `A40`; blanks and line ends are alike."""
    assert occurrences("1.40 400 A40 40", "40") == [(13, 15)]
    assert occurrences("40\n  EUR", "40 EUR") == [(0, 8)]


def test_spans_of_the_joined_text_are_found_in_their_field() -> None:
    """Line ends, double blanks, quoting and the order of zones do not move an entity away from where it stands."""
    body = "On Monday Ann wrote:\n> ship  PO 77881234\n> today\n\n\tPlease pay   40\nEUR now"
    mail = compose_fields("Re:  INV-20311", "ann@example.org", "sales", body, split_zones(body))
    for kind, written in (("invoice_number", "INV-20311"), ("po_number", "77881234"), ("amount", "40 EUR")):
        start = mail.text.index(written)
        ((field, span),) = mail.locate([Span(kind, start, start + len(written), 0.9)])
        text = {"subject": "Re:  INV-20311", "body": body}[field]
        assert text[span.start : span.end].split() == written.split()


def test_a_span_across_two_places_is_dropped() -> None:
    """Subject and body are next to each other only for the model."""
    mail = compose_fields("a", "x@y.example", "m", "b", ())
    start = mail.text.index("a")
    assert list(mail.locate([Span("amount", start, len(mail.text), 0.9)])) == []


def test_of_two_claims_the_more_probable_one_stays() -> None:
    """A rule and the model claim the same place; elsewhere both count."""
    tagged = [("body", Span("order_number", 3, 29, 0.6)), ("body", Span("amount", 34, 40, 0.8))]
    body = "on CAS-091284-B0C6Q4 and SO-1 and 40 EUR"
    rules = {"spa_code/shape": 0.99}
    assert {(e.type, e.text) for e in find_entities("", body, rules, tagged)} >= {("amount", "40 EUR")}
    loud = [("body", Span("order_number", 3, 29, 0.999))]
    assert [e.type for e in find_entities("", body, {}, loud)] == ["order_number"]


def test_a_code_has_one_type() -> None:
    """The same code claimed as two things is what the more probable claim says; other types may share a text."""
    body = "order HB-5512 and again HB-5512, 40 by 40"
    tagged: list[tuple[EntityField, Span]] = [
        ("body", Span("order_number", 6, 13, 0.5)),
        ("body", Span("po_number", 24, 31, 0.7)),
        ("body", Span("quantity", 33, 35, 0.6)),
        ("body", Span("deadline", 39, 41, 0.5)),
    ]
    assert [(e.type, e.text) for e in find_entities("", body, {}, tagged)] == [
        ("po_number", "HB-5512"),
        ("quantity", "40"),
        ("deadline", "40"),
    ]


def test_a_rule_that_seldom_speaks_beside_the_tagger_is_judged_by_all_its_finds() -> None:
    """Six finds, all right, one of them where the tagger was silent: worth having. Six wrong ones are not."""
    codes = [f"SO-1000{n}" for n in range(6)]
    marked = EntityMark(type="order_number", text=codes[0])
    right = [row.model_copy(update={"marks": (marked.model_copy(update={"text": c}),)}) for row, c in _rows(codes)]
    tagged: list[list[tuple[EntityField, Span]]] = [
        [],
        *([("body", Span("order_number", 0, 8, 0.9))] for _ in range(5)),
    ]
    assert rules_beside(right, tagged) == {"order_number/prefix": 0.9}
    assert rules_beside([row for row, _ in _rows(codes)], tagged) == {}
    assert rules_beside(right[:4], tagged[:4]) == {}


def _rows(bodies: Sequence[str]) -> list[tuple[MailRow, str]]:
    """A mail of each body, nothing marked."""
    plain = next(row for row in load_mails() if row.author == "ada")
    return [(plain.model_copy(update={"subject": "", "body": body, "marks": ()}), body) for body in bodies]
