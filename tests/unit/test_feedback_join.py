"""A word, its decision and its mail: what does not fit together is refused, what does becomes a row."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import orjson
import pytest
from loop import NOON, decided, mail, word

from mailweir.schemas.errors import InvalidEvent, OtherTaxonomy, RecordError, UnknownDecision
from mailweir.schemas.events import (
    Coordinates,
    Correction,
    Entity,
    EntityMark,
    Feedback,
    Language,
    ModelRef,
    TaxonomyRef,
)
from mailweir.services.feedback.desks import desks_of, places
from mailweir.services.feedback.join import check, check_time, joined, withdrawal
from mailweir.services.feedback.marks import moved
from mailweir.services.feedback.redact import KINDS, redact
from mailweir.services.feedback.redaction import UNREDACTED, Redaction

PLACE = Coordinates(topic="mail.feedback", partition=2, offset=41)
MAIL = mail(7)
DECISION = decided(MAIL, Coordinates(topic="mail.parsed", partition=0, offset=7))
CODE = EntityMark(type="po_number", text="PO-00007", field="body", start=12, end=20)
DAY = EntityMark(type="deadline", text="Friday", field="body", start=45, end=51)


def _stars(text: str, kinds: frozenset[str], language: str, desks: object) -> str:
    assert (kinds, language) == ({"phone"}, "en")
    return re.sub(r"\+[\d ]+\d", "[PHONE]", text)


def test_a_word_becomes_a_row_with_the_text_that_the_model_saw() -> None:
    """The mail's fields, the decision as made, what was said, and where it lies."""
    said = word(DECISION, entities_added=(DAY,), entities_removed=(CODE,), next_actions=("process_order",))
    check(said, DECISION, MAIL)
    made = joined(said, PLACE, DECISION, MAIL, UNREDACTED)
    assert made.place == ("mail.feedback", 2, 41)
    assert (made.subject, made.sender_domain, made.mailbox, made.body) == (
        "Order 7",
        "customer.example",
        "sales",
        MAIL.body,
    )
    assert (made.feedback_id, made.language, made.redaction) == (said.event_id, "en", ())
    assert made.decided.heads["category"].model_dump() == {"label": "work", "probability": 0.91}
    assert made.decided.entities == made.corrected.entities_removed == (CODE,)
    assert made.corrected.heads == {"category": Correction(label="finance")}
    assert (made.corrected.next_actions, made.corrected.entities_added) == (("process_order",), (DAY,))


def test_redaction_takes_text_out_and_moves_the_marks() -> None:
    """The kinds are named, and every mark stands where its text is now."""
    said = word(DECISION, entities_added=(DAY,))
    made = joined(said, PLACE, DECISION, MAIL, Redaction(_stars, frozenset({"phone"})))
    assert made.body == "Please ship PO-00007 to [PHONE] by Friday."
    assert made.redaction == ("phone",)
    marks = [*made.decided.entities, *made.corrected.entities_added]
    assert [mark.text for mark in marks] == ["PO-00007", "Friday"]
    assert all(made.body[mark.start : mark.end] == mark.text for mark in marks)


@pytest.mark.parametrize(
    ("language", "mailbox", "body", "desk", "kept"),
    [
        (
            "en",
            "yardgate@quarry-freight.example",
            "Mail yardgate@quarry-freight.example (or Yardgate@Quarry-Freight.example), not lena.orr@quarry-freight.example.",
            "yardgate@quarry-freight.example",
            "Mail yardgate@quarry-freight.example (or Yardgate@Quarry-Freight.example), not [email].",
        ),
        (
            "tr",
            "ayse.koru@ciftlik-sut.example",
            "Yaylaciksut@ciftlik-sut.example adresine yazın; ayse.koru@ciftlik-sut.example izinde, tel 0532 123 45 67.",
            "Yaylaciksut@ciftlik-sut.example",
            "Yaylaciksut@ciftlik-sut.example adresine yazın; [email] izinde, tel [phone].",
        ),
    ],
)
def test_a_team_mailbox_stays_whatever_its_name(language: str, mailbox: str, body: str, desk: str, kept: str) -> None:
    """Decided or marked by a person, wherever the mail names it; people's addresses beside it go, and so does one struck out."""
    email = MAIL.model_copy(
        update={"body": body, "mailbox": mailbox, "language": Language(code=language, probability=0.9)}
    )
    start = body.index(desk)
    mark = EntityMark(type="team_mailbox", text=desk, field="body", start=start, end=start + len(desk))
    found = DECISION.model_copy(update={"entities": (Entity(**mark.model_dump(), probability=0.98),)})
    unfound = DECISION.model_copy(update={"entities": ()})
    full = Redaction(redact, KINDS)
    for said, decision in ((word(found), found), (word(unfound, entities_added=(mark,)), unfound)):
        made = joined(said, PLACE, decision, email, full)
        assert made.body == kept
        assert made.mailbox == (mailbox if mailbox == desk else "[email]")
        marked = [*made.decided.entities, *made.corrected.entities_added]
        assert [one.text for one in marked] == [desk]
    struck = joined(word(found, entities_removed=(mark,)), PLACE, found, email, full)
    assert desk.casefold() not in f"{struck.body} {struck.mailbox}".casefold()


@pytest.mark.parametrize(
    ("desk", "text", "kept"),
    [
        ("ops@firm.example", "ask desktop.ops@firm.example or ops@firm.example.tr", ""),
        ("jo@a.example, al@b.example", "write to jo@a.example, al@b.example", ""),
        ("ops@firm.example", "see <OPS@firm.example>.", "OPS@firm.example"),
    ],
)
def test_a_desk_keeps_its_own_address_and_no_other(desk: str, text: str, kept: str) -> None:
    """A part of a longer address is another address, and a mark over several names none of them."""
    mark = EntityMark(type="team_mailbox", text=desk, field="body", start=0, end=len(desk))
    found = places(desks_of(word(DECISION, entities_added=(mark,)), DECISION), text)
    assert "".join(text[start:end] for start, end in found) == kept


def test_a_mark_whose_text_was_taken_out_is_left_out() -> None:
    """Also where the same text stood twice and one of them went: which one was meant could only be guessed."""
    before = {"subject": "", "body": "call 123, 123 or 77"}
    marks = [
        EntityMark(type="po_number", text=text, field="body", start=start, end=start + len(text))
        for text, start in (("123", 5), ("123", 10), ("77", 17))
    ]
    kept = moved(marks, before, {"subject": "", "body": "call [X], 123 or 77"})  # type: ignore[arg-type]
    assert [(mark.text, mark.start) for mark in kept] == [("77", 17)]
    assert moved(marks, before, before) == tuple(marks)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"decision_id": "f" * 64}, UnknownDecision, "is not about mail"),
        ({"email_id": "f" * 64}, UnknownDecision, "is not about mail"),
        ({"taxonomy": TaxonomyRef(name="task", version=1), "heads": {}}, OtherTaxonomy, "the decision is in email 1"),
        ({"model": ModelRef(name="email", version="9")}, InvalidEvent, "model: not the one"),
        ({"heads": {"category": Correction(label="spam", confirmed=True)}}, InvalidEvent, "another label"),
        ({"heads": {"intent": Correction(label="complaint", confirmed=True)}}, InvalidEvent, "another label"),
        ({"entities_added": (DAY.model_copy(update={"start": 44}),)}, InvalidEvent, "another text from 44 to 51"),
        ({"entities_added": (DAY.model_copy(update={"text": "", "end": 45}),)}, InvalidEvent, "another text"),
        ({"entities_removed": (DAY,)}, InvalidEvent, "the decision has no deadline there"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_cause(
    changes: dict[str, Any], kind: type[RecordError], message: str
) -> None:
    """Nothing is guessed, and no text of the mail is in the message."""
    with pytest.raises(kind, match=message) as caught:
        check(word(DECISION, **changes), DECISION, MAIL)
    assert "Friday" not in caught.value.message


def test_confirming_the_decisions_own_label_is_right() -> None:
    """With the mark or without it."""
    for confirmed in (True, False):
        check(word(DECISION, heads={"category": Correction(label="work", confirmed=confirmed)}), DECISION, MAIL)


def test_a_mere_withdrawal_has_neither_text_nor_decision() -> None:
    """It says nothing but what it takes back."""
    back = word(DECISION, heads={}, withdraws="a" * 64)
    assert back.says_nothing
    assert not word(DECISION).says_nothing
    assert not word(DECISION, heads={}, next_actions=()).says_nothing
    made = withdrawal(back, PLACE)
    assert (made.body, made.subject, made.corrected.empty, made.withdraws) == ("", "", True, "a" * 64)


def test_a_word_from_a_time_to_come_is_refused() -> None:
    """It would be the last word for years; a clock that is ten minutes fast is a clock, and an old word is one that came late."""
    check_time(word(DECISION), NOON - timedelta(minutes=10))
    check_time(word(DECISION), NOON + timedelta(days=80))
    with pytest.raises(InvalidEvent, match="given_at: 11 minutes ahead of the record's own time, at most 10 are taken"):
        check_time(word(DECISION), NOON - timedelta(minutes=11))


def test_an_id_of_a_person_is_what_one_can_see() -> None:
    """Of 1 to 256 characters, in whatever script; nothing empty, invisible, or with a space around it; also of who speaks for another."""
    for person in ("u-17", "ayşe.öztürk", "0", "a b", "x" * 256):
        assert word(DECISION, person).person == person
    said = orjson.loads(word(DECISION).encode())
    for person in ("", " ", "u-1 ", "\tu-1", "u\n1", "u\x001", "u\u200b1", "\u202eu1", "\ufeffu1", "x" * 257):
        with pytest.raises(InvalidEvent, match=r"person: .+") as found:
            Feedback.from_json(said | {"person": person})
        assert "\n" not in found.value.message
    back = said | {"heads": {}, "withdraws": "f" * 64}
    assert Feedback.from_json(back | {"given_by": "operator"}).given_by == "operator"
    with pytest.raises(InvalidEvent, match="given_by: "):
        Feedback.from_json(back | {"given_by": "\x7f"})
