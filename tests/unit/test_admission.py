"""Admission: whose word counts, what is no label, and which labels and shards are not believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest

from mailweir.models.training.admission import AdmissionLimits, admit
from mailweir.models.training.admission.claims import Kept, claims_of, last_words
from mailweir.models.training.admission.known import know
from mailweir.models.training.admission.mails import admitted_rows
from mailweir.models.training.admission.people import cap, settle
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.prepare import row_input
from mailweir.schemas.ids import digest
from mailweir.schemas.taxonomy import installed_taxonomy

TAXONOMY = installed_taxonomy("email", 1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
WORDS = {
    "work": "order delivery invoice supplier quotation meeting contract",
    "spam": "winner lottery prize transfer inheritance million claim",
    "travel": "flight boarding hotel gate departure luggage booking",
}


@dataclass(frozen=True, slots=True)
class Label:
    """Of a head."""

    label: str


@dataclass(frozen=True, slots=True)
class Said:
    """Decision or correction."""

    heads: Mapping[str, Label]
    next_actions: Sequence[object] | None = None
    entities_added: Sequence[object] = ()
    entities_removed: Sequence[object] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a shard, with the names of the ledger's."""

    feedback_id: str
    decision_id: str
    email_id: str
    person: str
    origin: str
    given_at: datetime
    withdraws: str | None
    subject: str
    sender_domain: str
    mailbox: str
    body: str
    language: str
    decided: Said
    corrected: Said


def row(
    mail: str = "m1",
    person: str = "ann",
    *,
    origin: str = "human",
    decided: str = "work",
    body: str = "please look",
    minute: int = 0,
    withdraws: str | None = None,
    actions: tuple[str, ...] | None = None,
    **heads: str,
) -> Row:
    """What a person says about the decision on a mail, minutes after noon."""
    said = Said({head: Label(label) for head, label in heads.items()}, actions)
    return Row(
        digest(mail, person, str(minute)), f"decision of {mail}", mail, person, origin, NOON + timedelta(minutes=minute),
        withdraws, "a subject", "example.org", "sales", body, "en", Said({"category": Label(decided)}, ()), said,
    )  # fmt: skip


def claims(*rows: Row) -> Kept:
    """The labels of the last words."""
    return claims_of(last_words({"s": rows})[0], TAXONOMY)


def causes(kept: Kept) -> list[str]:
    """Why claims were refused."""
    return [refusal.cause for refusal in kept.refusals]


def text(label: str, seed: int) -> str:
    """Words of a kind of mail."""
    return " ".join(np.random.default_rng(seed).choice(WORDS[label].split(), 12))


def corpus(each: int = 30, author: str = "ada") -> list[MailRow]:
    """Mails that only know their category."""
    blank = {
        "language": "en",
        "subject": "a subject",
        "from": "",
        "to": (),
        "date": "",
        "mailbox": "",
        "entities": None,
    }
    return [
        MailRow.model_validate(
            blank | {"id": f"{author}-{label}-{n}", "author": author, "body": text(label, n + len(author) * 1000), "labels": {"category": label}}
        )
        for label in WORDS
        for n in range(each)
    ]  # fmt: skip


def crowd(people: Sequence[str], each: int, wrong: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """Everybody labels as many mails of their own, right unless `wrong` names what a person calls a label."""
    rows = []
    for person in people:
        for number in range(each):
            label = list(WORDS)[number % 3]
            said = wrong.get(person, {}).get(label, label)
            body = text(label, int(digest(person, str(number))[:6], 16))
            rows.append(row(f"{person} {number}", person, decided="other", body=body, minute=number, category=said))
    return rows


def test_the_last_word_of_a_person_counts() -> None:
    """An earlier word on the same decision is replaced; the same word sent twice is one."""
    early, late = row(minute=1, category="spam"), row(minute=2, category="travel")
    words, refused = last_words({"a": [late], "b": [early, early]})
    assert [(shard, word.feedback_id) for shard, word in words] == [("a", late.feedback_id)]
    assert [(r.cause, r.feedback_id) for r in refused] == [("replaced", early.feedback_id)]


def test_a_word_that_is_taken_back_is_gone_and_what_it_replaced_too() -> None:
    """The withdrawal itself says nothing; a later word of the same person counts again."""
    first, second = row(minute=1, category="spam"), row(minute=2, category="travel")
    back = row(minute=3, withdraws=second.feedback_id)
    words, refused = last_words({"s": [first, second, back]})
    assert (words, {r.cause for r in refused}, len(refused)) == ([], {"withdrawn"}, 2)
    again = row(minute=4, category="social")
    assert [word.feedback_id for _, word in last_words({"s": [first, second, back, again]})[0]] == [again.feedback_id]


def test_nobody_takes_back_another_persons_word() -> None:
    """Bob's withdrawal of Ann's word changes nothing."""
    hers = row(category="spam")
    assert len(last_words({"s": [hers, row(person="bob", withdraws=hers.feedback_id)]})[0]) == 1


@pytest.mark.parametrize("origin", ["rule", "implicit"])
def test_an_echo_of_the_model_is_no_label(origin: str) -> None:
    """A rule or a habit that repeats the decision says nothing; one that contradicts it does, and a person's yes is a label."""
    assert causes(claims(row(origin=origin, category="work"))) == ["echo"]
    assert causes(claims(row(origin=origin, actions=()))) == ["echo"]
    assert [claim.value for claim in claims(row(origin=origin, category="spam")).claims] == ["spam"]
    assert [claim.value for claim in claims(row(category="work")).claims] == ["work"]


def test_what_is_no_label_is_told() -> None:
    """An unknown label and single entities are refused, the rest of the word counts; the order of actions says nothing."""
    found = claims(row(category="nonsense", action="archive", actions=("send_quote", "check_stock")))
    assert causes(found) == ["unknown_label"]
    assert {claim.head: claim.value for claim in found.claims} == {
        "action": "archive",
        "next_actions": ("check_stock", "send_quote"),
    }
    marked = row(category="spam")
    marked = replace(marked, corrected=replace(marked.corrected, entities_added=({"type": "amount"},)))
    assert causes(claims(marked)) == ["entities"]


def test_people_who_disagree_are_not_learned_from() -> None:
    """Neither label of the head is admitted; heads on which they agree are, once."""
    both = claims(row(category="spam", action="delete"), row(person="bob", category="work", action="delete"))
    kept, conflicts = settle(both.claims)
    assert [(claim.head, claim.confirmed_by) for claim in kept.claims] == [("action", 1)]
    assert sorted(causes(kept)) == ["conflict", "conflict", "repeated"]
    assert [(c.email_id, c.head, c.said) for c in conflicts] == [("m1", "category", (("ann", "spam"), ("bob", "work")))]


def test_nobody_confirms_themselves() -> None:
    """The same person about two decisions on one mail is one voice; a second person is a second."""
    again = replace(row(minute=1, category="spam"), decision_id="a later decision")
    kept, _ = settle(claims(row(category="spam"), again).claims)
    assert [claim.confirmed_by for claim in kept.claims] == [0]
    kept, _ = settle(claims(row(category="spam"), again, row(person="bob", category="spam")).claims)
    assert [claim.confirmed_by for claim in kept.claims] == [1]


def test_a_person_outvotes_a_rule() -> None:
    """Where a person spoke, rules and habits are no party: no conflict, and the person's label stays."""
    kept, conflicts = settle(claims(row(category="spam"), row(person="bot", origin="rule", category="travel")).claims)
    assert ([claim.value for claim in kept.claims], causes(kept), conflicts) == (["spam"], ["outvoted"], [])


def test_influence_of_a_person_is_capped() -> None:
    """By label and by share; which claims stay does not depend on their order."""
    rows = [row(f"m{n}", category="spam", action="delete") for n in range(60)]
    said = claims(*rows).claims
    kept = cap(said, AdmissionLimits(person_label=40, person_least=1_000))
    assert (len(kept.claims), set(causes(kept))) == (80, {"person_label"})
    few = cap(said, AdmissionLimits(person_label=1_000, person_least=10, person_share=0.25))
    assert (len(few.claims), set(causes(few))) == (30, {"person_share"})
    backwards = cap(said[::-1], AdmissionLimits(person_label=1_000, person_least=10, person_share=0.25))
    assert {claim.key for claim in backwards.claims} == {claim.key for claim in few.claims}


def test_an_admitted_mail_knows_only_what_was_said() -> None:
    """Other heads and the entities are masked, and the model reads the text that it read when it decided."""
    given = row(category="spam", actions=("send_quote",), body="Dear all,\nplease look\n-- \nAnn")
    (made,) = admitted_rows(claims(given).claims, TAXONOMY, AdmissionLimits())
    labels = made.mail.labels
    assert labels.keys() == TAXONOMY.heads.keys()
    assert {head for head, value in labels.items() if value is not None} == {"category", "next_actions"}
    assert (made.mail.marks, made.mail.author, made.weight) == (None, "person ann", 1.0)
    assert made.feedback_ids == (given.feedback_id,)
    assert row_input(made.mail).text == "query: a subject example.org > sales Dear all, please look -- -- Ann"


def test_rules_and_habits_weigh_less_than_people() -> None:
    """Labels of one mail by origins that differ are rows of their own, each with its weight."""
    said = claims(
        row(category="spam"),
        row(person="bot", origin="rule", action="delete"),
        row(person="c", origin="implicit", priority="low"),
    )
    weights = {made.mail.author: made.weight for made in admitted_rows(said.claims, TAXONOMY, AdmissionLimits())}
    assert weights["person ann"] > weights["person bot"] > weights["person c"] > 0


FLIP = {"spam": "work"}
HONEST = ("ann", "bob", "cem", "dee", "eva", "fay", "gül", "hal")


def test_an_honest_crowd_is_admitted() -> None:
    """Nothing is contradicted where people say what the words say."""
    found = admit({"s": crowd(HONEST, 15, {})}, corpus(), corpus(20, "jonas"))
    assert found.report.causes == {}
    assert found.report.admitted == {"category": 120}
    assert [harm.harmful for harm in found.report.harms] == [False]
    assert len(found.rows) == 120


def test_who_is_contradicted_by_everybody_is_not_heard() -> None:
    """One of nine swaps every label: all of theirs is refused, nobody else's."""
    swap = {"work": "spam", "spam": "travel", "travel": "work"}
    found = admit({"s": crowd((*HONEST, "eve"), 15, {"eve": swap})}, corpus(), corpus(20, "jonas"))
    assert {(r.person, r.cause) for r in found.report.refusals} == {("eve", "person_contradicted")}
    assert found.report.admitted == {"category": 120}


def test_who_lies_about_one_label_is_not_heard_about_it() -> None:
    """Eve calls spam work and is honest otherwise: the flips are refused; all her `work`, if most of it is flips."""
    rows = crowd((*HONEST, "eve"), 30, {"eve": FLIP})
    found = admit({"s": rows}, corpus(), corpus(20, "jonas"))
    assert {(r.person, r.cause) for r in found.report.refusals} == {("eve", "contradicted")}
    assert len(found.report.refusals) == 10
    fewer = [one for n, one in enumerate(rows) if one.person != "eve" or n % 3 or n % 2]  # half of her work is left
    found = admit({"s": fewer}, corpus(), corpus(20, "jonas"))
    assert {(r.person, r.cause) for r in found.report.refusals} == {("eve", "person_contradicted")}
    assert {claim.value for claim in found.claims if claim.row.person == "eve"} == {"travel"}


def test_a_slip_of_a_trusted_person_is_believed() -> None:
    """One of Ann's fifteen labels is contradicted: hers counts; of somebody unknown it is refused."""
    rows = crowd(HONEST, 15, {})
    slip = next(
        n for n, one in enumerate(rows) if one.person == "ann" and one.corrected.heads["category"].label == "spam"
    )
    slipped = replace(rows[slip], corrected=Said({"category": Label("shopping")}))
    rows[slip] = slipped
    assert admit({"s": rows}, corpus(), corpus(20, "jonas")).report.causes == {}
    rows[slip] = replace(slipped, person="zoe")
    refused = admit({"s": rows}, corpus(), corpus(20, "jonas")).report.refusals
    assert [(r.person, r.cause) for r in refused] == [("zoe", "contradicted")]


def test_what_a_second_person_says_as_well_is_believed() -> None:
    """The same label of two people who are not known yet, against the others' mail."""
    rows = crowd(HONEST, 15, {})
    odd = replace(row("odd", "zoe", decided="other", body=text("spam", 1), category="travel"))
    refused = admit({"s": [*rows, odd]}, corpus(), corpus(20, "jonas")).report.causes
    assert refused == {"contradicted": 1}
    both = [odd, replace(odd, person="yan", feedback_id="f" * 64)]
    assert admit({"s": [*rows, *both]}, corpus(), corpus(20, "jonas")).report.causes == {"repeated": 1}


def test_nobody_vouches_for_their_own_labels() -> None:
    """Eve says more than all others, and flips a third of it: the model that is asked about her mail has not read hers."""
    rows = crowd(("ann", "bob"), 15, {}) + crowd(("eve",), 60, {"eve": FLIP})
    limits = AdmissionLimits(person_least=1_000, harm=1.0)
    found = admit({"s": rows}, corpus(each=6), corpus(20, "jonas"), limits)
    assert [(r.person, r.cause) for r in found.report.refusals] == [("eve", "contradicted")] * 20


def test_rules_teach_the_quick_model_less_than_people() -> None:
    """What admission itself learns from weighs as much as in the training."""
    said = claims(row(category="spam"), row("m2", "bot", origin="rule", category="spam")).claims
    known = know(corpus(2), [], said, TAXONOMY, AdmissionLimits())
    assert list(known.weights) == [1.0] * 7 + [0.3]


def test_a_shard_that_harms_held_out_mail_is_refused_and_its_neighbour_is_not() -> None:
    """So many people flip so much that no one is contradicted: the held-out authors still show the harm."""
    hostile = [f"e{n}" for n in range(12)]
    bad = crowd(hostile, 40, dict.fromkeys(hostile, FLIP))
    believing = AdmissionLimits(person_contradicted=1.0, person_trusted=1.0)
    found = admit({"bad": bad, "good": crowd(HONEST, 15, {})}, corpus(each=6), corpus(20, "jonas"), believing)
    assert {(harm.shard, harm.harmful) for harm in found.report.harms} == {("bad", True), ("good", False)}
    assert found.report.causes == {"shard_harms": 480}
    assert {made.shard for made in found.rows} == {"good"}
    assert "shard bad refused: category" in found.report.table()
    bearing = replace(believing, harm=0.9)
    assert admit({"bad": bad}, corpus(each=6), corpus(20, "jonas"), bearing).report.causes == {}


def test_nothing_said_is_nothing_admitted() -> None:
    """No shard at all, and shards whose words were all taken back."""
    said = row(category="spam")
    for shards in ({}, {"s": [said, row(minute=1, withdraws=said.feedback_id)]}):
        found = admit(shards, corpus(), corpus(20, "jonas"))
        assert (found.rows, found.report.admitted) == ((), {})


def test_the_report_tells_every_refusal_and_no_text() -> None:
    """Counts, causes, conflicts and limits as JSON; not a word of a mail."""
    rows = [row(category="spam"), row(person="bob", category="work"), *crowd(HONEST, 6, {})]
    report = admit({"s": rows}, corpus(), corpus(20, "jonas")).report
    told = orjson.loads(report.encode())
    assert told["causes"] == {"conflict": 2}
    assert (told["feedback"], told["people"], told["origins"]) == (50, 8, {"human": 48})
    assert len(told["refusals"]) == 2
    assert told["conflicts"][0]["said"] == [["ann", "spam"], ["bob", "work"]]
    assert told["limits"]["weights"]["human"] == 1.0
    assert not any(word in report.encode().decode() for word in ("please", "lottery", "boarding"))
    assert "for a person to decide" in report.table()
