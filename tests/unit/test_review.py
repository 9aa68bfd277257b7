"""Choosing what people are asked: within the budget, the unsure first, nothing twice, and a share by lot that is a fair sample."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from asked import place, question, unsure
from hypothesis import given
from hypothesis import strategies as st
from loop import NOON, word

from mailweir.schemas.events import Coordinates, Decision, ReviewAsked
from mailweir.services.review.answers import Answers, open_questions
from mailweir.services.review.pace import FEW, Limits, Window, allowance, cut, share_wanted
from mailweir.services.review.questions import Questions
from mailweir.services.review.score import lot, uncertainty
from mailweir.services.review.select import Selector
from mailweir.services.review.sketch import likeness, sketch_of

MIDNIGHT = NOON.replace(hour=0)
LABELS = ["work"] * 3 + ["travel", "finance", "personal"]
LIMITS = Limits(budget=48, random_share=0.25, diverse_share=0.25)


def stream(
    selector: Selector, decisions: list[Decision], start: datetime, hours: float, batch: int = 10
) -> list[ReviewAsked]:
    """All that is asked while decisions come evenly; every mail is unlike the others."""
    asked: list[ReviewAsked] = []
    for first in range(0, len(decisions), batch):
        now = start + timedelta(hours=hours * first / len(decisions))
        part = [(one, place(first + n)) for n, one in enumerate(decisions[first : first + batch])]
        questions = Questions(asked)
        candidates = selector.candidates(part, questions, now)
        sketches = {one.mail: sketch_of(f"mail {one.decision.email_id} only") for one in candidates}
        asked += selector.choose(candidates, sketches, questions, now)
    return asked


def day(count: int, seed: int = 0) -> list[Decision]:
    """Decisions of random margins and labels, half of them of one."""
    draw = random.Random(seed)
    return [unsure(seed * count + n, draw.random(), draw.choice(LABELS)) for n in range(count)]


def test_a_tie_is_as_unsure_as_can_be_and_a_certainty_not_at_all() -> None:
    """The margin of label over runner-up, mean of the heads."""
    assert [uncertainty(unsure(1, margin)) for margin in (0.0, 0.25, 1.0)] == pytest.approx([1, 0.75, 0])


def test_a_day_is_asked_about_within_its_budget_and_until_its_evening() -> None:
    """Each kind has its share, never is more asked than the day has paid for and an hour ahead, and no six hours go without."""
    asked = stream(Selector(LIMITS), day(1_000), MIDNIGHT, 24)
    kinds = Counter(one.why for one in asked)
    assert kinds["uncertain"] in range(20, 25)
    assert kinds["diverse"] in range(6, 13)
    assert kinds["random"] in range(5, 13)
    for count, one in enumerate(asked, 1):
        assert count <= LIMITS.budget * ((one.asked_at - MIDNIGHT) / timedelta(days=1) + 1 / 24)
    quarters = Counter(one.asked_at.hour // 6 for one in asked)
    assert min(quarters[part] for part in range(4)) >= 6


def test_what_is_uncertain_is_far_more_so_than_what_the_lot_fell_on() -> None:
    """Margins are drawn evenly: the lot's scores are about a half, the chosen ones near 1."""
    asked = stream(Selector(LIMITS), day(1_000), MIDNIGHT, 24)
    scores = {why: [one.score for one in asked if one.why == why] for why in ("uncertain", "random")}
    assert min(scores["uncertain"][2:]) > 0.9
    assert 0.25 < sum(scores["random"]) / len(scores["random"]) < 0.75


def test_the_lot_is_a_fair_sample() -> None:
    """Weighed by the inverse of its chance it tells the mean uncertainty of 15 days of mail, though the rest is chosen by it."""
    found: list[ReviewAsked] = []
    selector = Selector(Limits(budget=40, random_share=0.5, diverse_share=0.0))
    for number in range(15):
        found += stream(selector, day(200, number), MIDNIGHT + timedelta(days=number), 24, batch=20)
    lots = [one for one in found if one.why == "random"]
    weights = [1 / (one.chance or 0) for one in lots]
    mean = sum(w * one.score for w, one in zip(weights, lots, strict=True)) / sum(weights)
    assert len(lots) > 200
    assert mean == pytest.approx(0.5, abs=0.05)
    assert all(one.chance is None for one in found if one.why != "random")


def test_before_enough_was_seen_what_abstained_is_asked_about() -> None:
    """A few decisions tell no threshold; sure ones are let go."""
    asked = stream(Selector(LIMITS), [unsure(n, 0.1 if n % 2 else 0.9) for n in range(FEW - 10)], NOON, 0.1)
    assert {one.why for one in asked} <= {"uncertain", "random"}
    assert sum(one.why == "uncertain" for one in asked) >= 5
    assert all(one.score == pytest.approx(0.9) for one in asked if one.why == "uncertain")


def test_nothing_is_asked_twice_and_nothing_alike() -> None:
    """The same mail under another decision, and a mail of which other numbers stand in the same words, are left out; a lot is not."""
    selector, now = Selector(Limits(480, 0.0, 0.0)), NOON
    text = "Dear customer, your parcel {} will be brought to you on Monday between eight and ten"
    questions = Questions([question(1, sketch=sketch_of(text.format(17)))])
    again = unsure(1, 0.0).model_copy(update={"decision_id": unsure(9, 0.0).decision_id})
    two, three = unsure(2, 0.0), unsure(3, 0.0)
    found = selector.candidates([(again, place(1)), (two, place(2)), (three, place(3))], questions, now)
    sketches = {one.mail: sketch_of(text.format(18)) for one in found if one.decision == two}
    sketches |= {one.mail: sketch_of("We would like to order forty of these pumps") for one in found[1:]}
    assert [one.decision_id for one in selector.choose(found, sketches, questions, now)] == [three.decision_id]


def test_a_mail_that_is_gone_is_not_asked_about() -> None:
    """Nobody could read it."""
    selector, questions = Selector(LIMITS), Questions()
    found = selector.candidates([(unsure(1, 0.0), place(1))], questions, NOON)
    assert found
    assert selector.choose(found, {}, questions, NOON) == []


@pytest.mark.parametrize("cause", ["empty", "language", "out_of_scope"])
def test_what_the_model_is_not_made_for_teaches_nothing(cause: str) -> None:
    """Only the lot may fall on it."""
    about = unsure(1, 0.0).model_copy(update={"review_cause": cause})
    assert Selector(Limits(480, 0.0, 0.5)).candidates([(about, place(1))], Questions(), NOON) == []
    every = Limits(480, 1.0, 0.0)
    found = Selector(every)
    found.seen.add(0, NOON)
    assert [one.why for one in found.candidates([(about, place(1))], Questions(), NOON)] == ["random"]


def test_labels_that_were_seldom_asked_about_are_rarer() -> None:
    """Of two decisions that are equally unsure the one with the new label is the more diverse."""
    questions = Questions([question(n) for n in range(20)])
    known, new = (questions.rarity(unsure(99, 0.1, label)) for label in ("work", "travel"))
    assert 0 <= known < new <= 1


def test_a_question_of_yesterday_is_known_and_not_paid_for_today() -> None:
    """The budget is that of the UTC day, wherever the clock stands."""
    questions = Questions([question(1, NOON - timedelta(days=1)), question(2)])
    assert questions.asked_today(NOON) == 1
    assert questions.asked("uncertain", NOON - timedelta(days=1)) == 1
    assert questions.knows(question(1).email_id)


def test_the_lot_follows_from_the_decision() -> None:
    """Delivered again it draws the same; over many it is even."""
    lots = [lot(unsure(n, 0.5)) for n in range(500)]
    assert lots == [lot(unsure(n, 0.5)) for n in range(500)]
    assert 0.4 < sum(lots) / len(lots) < 0.6


def test_budgets_are_whole_and_add_up() -> None:
    """What is left after both shares goes to the uncertain ones."""
    assert Limits(50, 0.2, 0.2).budgets == {"uncertain": 30, "diverse": 10, "random": 10}
    assert all(sum(Limits(n, 0.3, 0.7).budgets.values()) == n for n in range(40))


def test_the_budget_comes_in_over_the_day() -> None:
    """An hour ahead; nothing beyond it, and nothing that was used."""
    at = [MIDNIGHT, MIDNIGHT.replace(hour=11), MIDNIGHT.replace(hour=23)]
    assert [allowance(24, 0, moment) for moment in at] == [1, 12, 24]
    assert allowance(24, 30, NOON) == 0


def test_the_threshold_follows_what_comes() -> None:
    """With much mail only the best are worth a question; with little everything is, and none once the budget is used."""
    busy, quiet = Window(), Window()
    for number in range(1_000):
        busy.add(number / 1_000, NOON)
    quiet.add(0.3, NOON)
    assert cut(12, 0, busy, NOON) > 0.99
    assert share_wanted(1_000, 0, quiet, NOON) == 1
    assert cut(1_000, 0, quiet, NOON) == 0.3
    assert share_wanted(10, 10, busy, NOON) == 0
    assert (Window().rate(NOON), Window().best(0.5)) == (0, 0)


WORDS = st.lists(
    st.sampled_from(
        ["order", "ship", "invoice", "monday", "tuesday", "please", "the", "of", "pump", "valve", "price", "late"]
    )
)


@given(WORDS, WORDS)
def test_likeness_is_a_share_and_symmetric(one: list[str], other: list[str]) -> None:
    """The same text is wholly alike, and no text is alike to none."""
    a, b = sketch_of(" ".join(one)), sketch_of(" ".join(other))
    assert likeness(a, b) == likeness(b, a)
    assert 0 <= likeness(a, b) <= 1
    assert likeness(a, a) == (1 if one else 0)


def test_a_question_is_open_until_a_word_about_it_stands() -> None:
    """Anybody's; one that was taken back is none, and a mere withdrawal says nothing. Old ones are forgotten."""
    now = NOON + timedelta(days=1)
    first, second, old = question(1), question(2), question(3, NOON - timedelta(days=40))
    answers = Answers()
    assert open_questions([second, first, first, old], answers, now) == [
        *sorted([first, second], key=lambda one: one.decision_id)
    ]
    said = word(unsure(1, 0.1))
    answers.add(said)
    assert open_questions([first, second], answers, now) == [second]
    answers.add(word(unsure(1, 0.1), heads={}, withdraws=said.event_id, minute=1))
    assert open_questions([first], answers, now) == [first]


def test_a_place_without_a_mail_is_no_candidate() -> None:
    """What was decided outside Kafka can be shown to nobody."""
    about = unsure(1, 0.0).model_copy(update={"source": None})
    here = Coordinates(topic="mail.classified", partition=0, offset=1)
    assert Selector(LIMITS).candidates([(about, here)], Questions(), NOON) == []
