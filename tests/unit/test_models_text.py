"""The text that a model sees, its tokens, and the entity rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailweir.models.text import compose, find_entities
from mailweir.models.text.entities import find_all
from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.tokens import MailTokenizer
from mailweir.models.training.tiny import tiny_tokenizer
from mailweir.schemas.events import Address, Email, Zone
from mailweir.schemas.ids import digest

ALL_RULES = {
    f"{kind}/{how}": 0.9
    for kind in (
        "po_number",
        "order_number",
        "quote_number",
        "invoice_number",
        "ticket_number",
        "rma_number",
        "tracking_number",
    )
    for how in ("prefix", "cue", "yours", "shape", "hash", "sap", "long")
} | {
    "spa_code/shape": 0.99,
    "edi_ref/shape": 0.98,
    "product_sku/segments": 0.8,
    "amount/currency": 0.96,
    "quantity/unit": 0.8,
    "team_mailbox/role": 0.9,
}


def email(**fields: object) -> Email:
    return Email(email_id=digest("a"), mailbox="sales", **fields)  # type: ignore[arg-type]


def found(text: str, subject: str = "") -> list[tuple[str, str]]:
    return [(e.type, e.text) for e in find_entities(subject, text, ALL_RULES)]


def test_new_text_stands_before_quoted_text() -> None:
    """The newest text comes first, whatever its place in the body."""
    body = "> we can offer 12.40\nFine, please book it."
    zones = (Zone(kind="quoted", start=0, end=21), Zone(kind="new", start=21, end=len(body)))
    text = compose(email(subject="Re: offer", body=body, zones=zones)).text
    assert text.index("please book it") < text.index("we can offer")


def test_sender_is_seen_by_domain_only() -> None:
    """The model sees the domain and the mailbox, never the local part of a person's address."""
    text = compose(email(sender=Address(name="Ann Lee", address="ann.lee@example.org"), body="hello")).text
    assert "example.org" in text
    assert "sales" in text
    assert "ann.lee" not in text


def test_every_zone_is_kept() -> None:
    """Nothing of the body is left out: what does not fit is cut by the tokenizer, which says so."""
    body = "new\nsignature\nlegal\nforwarded\nquoted"
    kinds = ("new", "signature", "disclaimer", "forwarded", "quoted")
    starts = [body.index(word) for word in ("new", "signature", "legal", "forwarded", "quoted")]
    ends = [*starts[1:], len(body)]
    zones = tuple(Zone(kind=k, start=s, end=e) for k, s, e in zip(kinds, starts, ends, strict=True))
    text = compose(email(body=body, zones=zones)).text
    assert [text.index(word) for word in ("new", "forwarded", "quoted", "signature", "legal")] == sorted(
        text.index(word) for word in ("new", "forwarded", "quoted", "signature", "legal")
    )


def test_beyond_reach_is_marked_as_cut() -> None:
    """A text longer than any model reads is cut with a mark, also when the rest is only white space to the model."""
    assert compose_fields("s", "", "m", "word " * 10_000, ()).cut
    assert not compose_fields("s", "", "m", "word " * 100, ()).cut


@pytest.mark.parametrize(("subject", "body", "empty"), [
    ("", " \n> \n--", True), ("Scan", "[image: IMG_2031.jpg]", True), ("Hi", "", True), ("Re: order", "ok", False),
    ("", "siparişim nerede", False), ("", "<photo.png>\nour contract.pdf", True), ("Contract", "signed, see contract.pdf below", False),
])  # fmt: skip
def test_empty_means_fewer_than_two_words(subject: str, body: str, empty: bool) -> None:  # noqa: FBT001 - a table
    """White space, punctuation, a single word, names of pictures and files: nothing to judge by."""
    assert compose_fields(subject, "a@b.c", "m", body, ()).empty is empty


def test_long_text_keeps_the_end_mark_and_says_truncated() -> None:
    """The limit counts special tokens, and the cut text still ends with the end mark."""
    tokenize = MailTokenizer(tiny_tokenizer(["please order twelve units query:"]), 16)
    short = tokenize(compose_fields("order", "", "", "units", ()))
    long = tokenize(compose_fields("order", "", "", "please order twelve units " * 20, ()))
    assert not short.truncated
    assert long.truncated
    assert len(long) == 16
    assert long.ids[-1] == short.ids[-1]


def test_text_cannot_spell_a_special_token() -> None:
    """A mail that contains "</s>" or "<pad>" does not end or blank itself."""
    tokenize = MailTokenizer(tiny_tokenizer(["please </s> <pad> order"]), 64)
    ids = tokenize(compose_fields("", "", "", "please </s> <pad> order", ())).ids.tolist()
    begin, end, padding = ids[0], ids[-1], 1
    assert ids.count(end) == 1
    assert ids.count(begin) == 1
    assert padding not in ids


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price per CAS-091284-B0C6Q4 please", ("spa_code", "CAS-091284-B0C6Q4")),
        ("rejected our CUST850 yesterday", ("edi_ref", "CUST850")),
        ("attached PO-2026-0417.", ("po_number", "PO-2026-0417")),
        ("our order no. 88-2041 of May", ("po_number", "88-2041")),
        ("where is your order 30418?", ("order_number", "30418")),
        ("Any news on SO-99182 yet", ("order_number", "SO-99182")),
        ("see Quote-FTQ-88213 attached", ("quote_number", "Quote-FTQ-88213")),
        ("invoice no: 2025-118 is wrong", ("invoice_number", "2025-118")),
        ("Fatura No: 2026000911627", ("invoice_number", "2026000911627")),
        ("please close INC0012345 now", ("ticket_number", "INC0012345")),
        ("Re: #48213 printer", ("ticket_number", "#48213")),
        ("sent with 1Z999AA10123456784 today", ("tracking_number", "1Z999AA10123456784")),
        ("returned under RMA 88-20417 on Monday", ("rma_number", "88-20417")),
        ("RMA-5521 is open", ("rma_number", "RMA-5521")),
        ("40 pcs of NVX-4810-48P please", ("product_sku", "NVX-4810-48P")),
        ("we need 100 units by Friday", ("quantity", "100")),
        ("12 adet gönderin", ("quantity", "12")),
        ("a total of $12,400.00 is due", ("amount", "$12,400.00")),
        ("toplam 1.250,00 TL'ye", ("amount", "1.250,00 TL")),
        ("about NOK 99 200,50 net", ("amount", "NOK 99 200,50")),
        ("write to sales4460@norvale.example please", ("team_mailbox", "sales4460@norvale.example")),
    ],
)
def test_shapes_of_the_guide(text: str, expected: tuple[str, str]) -> None:
    """Each fixed shape of the annotation guide is found with its type and exact text."""
    assert expected in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "call me at 10:30 on 14.03.2026",
        "ann.lee@example.org wrote",
        "Windows 11 and B2B",
        "https://example.org/PO-2026-0417/view",
        "session=INV-20311&x=1",
        "chapter 12 of the book",
    ],
)
def test_what_only_looks_like_a_code(text: str) -> None:
    """Times, people, links and plain numbers are no entities."""
    assert found(text) == []


def test_each_text_once_with_its_place() -> None:
    """A repeated code is given once, where it stands first; the place is the text."""
    subject, body = "PO-2026-0417", "About PO-2026-0417: RMA-5521."
    entities = find_entities(subject, body, ALL_RULES)
    assert [(e.type, e.field) for e in entities] == [("po_number", "subject"), ("rma_number", "body")]
    for entity in entities:
        assert (subject if entity.field == "subject" else body)[entity.start : entity.end] == entity.text


def test_of_overlapping_claims_the_more_precise_rule_stays() -> None:
    """Two rules on one text give one entity, by the rule that was right more often."""

    def settled(amount: float, invoice: float) -> list[tuple[str, str]]:
        rules = {"amount/currency": amount, "invoice_number/cue": invoice}
        return [(entity.type, entity.text) for entity in find_entities("", "invoice 20311 EUR", rules)]

    assert settled(0.9, 0.8) == [("amount", "20311 EUR")]
    assert settled(0.8, 0.9) == [("invoice_number", "20311")]


def test_a_mail_has_at_most_five_hundred_entities() -> None:
    """A table of six hundred order numbers is cut, from its end."""
    codes = [f"PO-2026-{number:05d}" for number in range(600)]
    entities = find_entities("", "\n".join(codes), ALL_RULES)
    assert [entity.text for entity in entities] == codes[:500]


def test_a_rule_without_precision_is_off() -> None:
    """Only rules whose precision the bundle knows are used, and the precision is the probability."""
    assert find_entities("", "PO-2026-0417 and RMA-5521", {"rma_number/prefix": 0.75})[0].probability == 0.75
    assert len(find_entities("", "PO-2026-0417 and RMA-5521", {"rma_number/prefix": 0.75})) == 1


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aA1-/#.@ ,$€TLx\nPOIN", max_size=200))
def test_finds_lie_in_the_text(text: str) -> None:
    """Whatever the text, every find is a non-empty range of it."""
    for find in find_all(text):
        assert 0 <= find.start < find.end <= len(text)


@pytest.mark.parametrize(
    "pattern", ["1", "a", "1.", "a-", "A1-", "a@", "a.", "$1 ", "EUR ", "1 222 ", "po 12345 ", "1 x ", "#", " ", "\n"]
)
def test_hostile_text_costs_linear_work(pattern: str) -> None:
    """A megabyte made to trip a pattern is searched at once: a quadratic pattern would take hours and hit the limit of the test."""
    text = pattern * (1_000_000 // len(pattern))
    assert len(find_entities("", text, ALL_RULES)) <= 500
