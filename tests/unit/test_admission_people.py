"""Whom admission believes: crowds, liars, slips, and shards that do harm."""

from __future__ import annotations

from dataclasses import replace

import orjson
from admitted import TAXONOMY, Label, Said, claims, corpus, crowd, row, text

from mailweir.models.training.admission import AdmissionLimits, admit
from mailweir.models.training.admission.known import know

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
