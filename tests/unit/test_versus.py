"""Two bundles on the same mails: where they differ, who was right, and how sure that is."""

from __future__ import annotations

from typing import Any

import pytest
from loop import decided, mail, word

from mailweir.schemas.events import Coordinates, Correction, Decision, Feedback, HeadDecision
from mailweir.services.cli.binomial import interval, sign_test
from mailweir.services.cli.versus import Answer, answer_of, truths, versus


def decision(number: int = 1) -> Decision:
    """A decision on mail.parsed."""
    return decided(mail(number), Coordinates(topic="mail.parsed", partition=0, offset=number))


def answers(*labels: str, taxonomy: str = "email:1") -> dict[str, Answer]:
    """Mail 0, 1, 2 … with these categories and no next action."""
    return {str(n): Answer(taxonomy, {"category": label, "next_actions": ""}) for n, label in enumerate(labels)}


def said(*labels: str) -> dict[tuple[str, str], frozenset[str]]:
    """What people call right; several with a slash, nothing where empty."""
    return {(str(n), "category"): frozenset(label.split("/")) for n, label in enumerate(labels) if label}


@pytest.mark.parametrize(
    ("hits", "count", "wanted"),
    [
        (0, 0, (0.0, 1.0)),
        (0, 5, (0.0, 0.52182)),
        (5, 5, (0.47818, 1.0)),
        (3, 10, (0.06674, 0.65245)),
        (37, 100, (0.27557, 0.47235)),
        (999_000, 1_000_000, (0.998936, 0.999061)),
    ],
)
def test_the_interval_of_a_share_is_the_exact_one(hits: int, count: int, wanted: tuple[float, float]) -> None:
    """Values of scipy's `binomtest(hits, count).proportion_ci(0.95, "exact")`."""
    assert interval(hits, count) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "wanted"), [(0, 0, 1.0), (0, 1, 1.0), (5, 5, 1.0), (3, 10, 0.0922852), (500, 400, 0.000956444)]
)
def test_the_sign_test_is_the_exact_one(one: int, other: int, wanted: float) -> None:
    """Values of scipy's `binomtest(one, one + other)`; whichever side is asked."""
    assert (sign_test(one, other), sign_test(other, one)) == (pytest.approx(wanted), pytest.approx(wanted))


def test_pairs_of_labels_are_counted_and_agreement_is_a_share() -> None:
    """Of four mails one is alike; the pairs say which label became which; a head that neither has is left out."""
    found = versus(answers("work", "spam", "spam", "work"), answers("work", "work", "work", "spam"), {})
    assert (found.mails, found.differ, found.alone, set(found.heads)) == (4, 3, 0, {"category"})
    figures = found.heads["category"].figures()
    assert (figures["mails"], figures["same"], figures["agreement"]) == (4, 1, 0.25)
    assert figures["pairs"] == [
        {"champion": "spam", "shadow": "work", "mails": 2},
        {"champion": "work", "shadow": "spam", "mails": 1},
    ]
    assert (figures["judged"], figures["shadow_share_of_wins"], figures["p"]) == (0, None, 1.0)


def test_who_was_right_is_counted_where_people_agree() -> None:
    """Each of the four outcomes once or more; a mail that people dispute is no one's."""
    champion = answers("work", "work", "spam", "spam", "spam", "work")
    shadow = answers("work", "spam", "work", "work", "work", "spam")
    found = versus(champion, shadow, said("work", "work", "work", "work", "social", "work/spam"))
    head = found.heads["category"]
    assert (head.both_right, head.champion_right, head.shadow_right, head.both_wrong) == (1, 1, 2, 1)
    assert (head.judged, head.disputed) == (5, 1)
    figures = head.figures()
    assert figures["shadow_share_of_wins"] == pytest.approx(2 / 3)
    assert figures["shadow_share_of_wins_interval"] == interval(2, 3)
    assert figures["p"] == 1.0


def test_mails_that_one_did_not_decide_or_in_another_label_space_are_no_pair() -> None:
    """They are counted apart."""
    found = versus(answers("work"), answers("work", "spam"), {})
    assert (found.mails, found.alone) == (1, 1)
    other = versus(answers("work"), answers("work", taxonomy="email:2"), {})
    assert (other.mails, other.alone, other.heads) == (0, 1, {})


def test_an_answer_has_every_head_and_the_actions_as_one() -> None:
    """In alphabetical order: the order of what comes next is its probability, not its meaning."""
    made = decision().model_copy(
        update={"heads": {"intent": HeadDecision(label="none", probability=1, abstained=False)}}
    )
    assert answer_of(made).labels == {"intent": "none", "next_actions": "validate_po"}
    assert answer_of(made).taxonomy == "email:1"


def _said(*words: Feedback) -> dict[str, Any]:
    return {head: set(labels) for (_, head), labels in truths(words).items()}


def test_the_last_word_of_a_person_counts_and_only_people_speak() -> None:
    """Two people may disagree; a rule is nobody."""
    made = decision()
    first, last = word(made, "ann", "spam"), word(made, "ann", "work", minute=1)
    assert _said(last, first) == {"category": {"work"}}
    assert _said(first, word(made, "bob", "finance")) == {"category": {"spam", "finance"}}
    assert _said(first, word(made, "ann", "work", minute=2, origin="rule")) == {"category": {"spam"}}
    assert _said(word(made, "ann", heads={}, next_actions=("open_ticket", "validate_po"))) == {
        "next_actions": {"open_ticket, validate_po"}
    }


def test_what_was_withdrawn_was_never_said() -> None:
    """The word before it stands again; nobody withdraws another's; a withdrawn withdrawal never happened."""
    made = decision()
    first, last = word(made, "ann", "spam"), word(made, "ann", "work", minute=1)
    taken = word(made, "ann", heads={}, minute=2, withdraws=last.event_id)
    assert _said(first, last, taken) == {"category": {"spam"}}
    assert _said(first, last, taken.model_copy(update={"person": "bob"})) == {"category": {"work"}}
    again = word(made, "ann", heads={}, minute=3, withdraws=taken.event_id)
    assert _said(first, last, taken, again) == {"category": {"work"}}
    assert Correction(label="spam") in first.heads.values()
