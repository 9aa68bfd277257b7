"""Admission: whose word counts, what is no label, and which labels and shards are not believed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from admitted import TAXONOMY, causes, claims, row

from mailweir.models.training.admission import AdmissionLimits
from mailweir.models.training.admission.claims import last_words
from mailweir.models.training.admission.mails import admitted_rows
from mailweir.models.training.admission.people import cap, settle
from mailweir.models.training.prepare import row_input


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
