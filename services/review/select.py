"""Which decisions of a batch people are asked about. Pure: clock, log and mails are the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailweir.schemas.events import Coordinates, Decision, ReviewAsked, ReviewWhy
from mailweir.services.review.pace import FEW, Limits, Window, allowance, cut, share_wanted
from mailweir.services.review.questions import Questions
from mailweir.services.review.score import lot, teaches, uncertainty
from mailweir.services.review.sketch import Sketch

__all__ = ["Candidate", "Selector"]

_DIGITS = 4
_NEVER = 2.0  # above every score


@dataclass(frozen=True, slots=True)
class Candidate:
    """A decision that may become a question once its mail was looked at."""

    decision: Decision
    place: Coordinates  # of the decision
    mail: Coordinates
    why: ReviewWhy
    score: float
    chance: float | None = None

    def asked(self, sketch: Sketch, now: datetime) -> ReviewAsked:
        """The question."""
        decision = self.decision
        return ReviewAsked(
            decision_id=decision.decision_id,
            email_id=decision.email_id,
            source=self.mail,
            decision_source=self.place,
            model=decision.model,
            taxonomy=decision.taxonomy,
            labels={name: head.label for name, head in decision.heads.items()},
            language=decision.language,
            why=self.why,
            score=round(self.score, _DIGITS),
            chance=self.chance,
            sketch=sketch,
            asked_at=now,
        )


@dataclass(slots=True)
class Selector:
    """Keeps what came lately, so that a threshold can be told. All else it knows from the log of questions."""

    limits: Limits
    seen: Window = field(default_factory=Window)  # every decision, for the rate of the lot
    unsure: Window = field(default_factory=Window)  # uncertainty of those that teach
    rare: Window = field(default_factory=Window)  # their uncertainty × rarity

    def candidates(
        self, decisions: Sequence[tuple[Decision, Coordinates]], questions: Questions, now: datetime
    ) -> list[Candidate]:
        """Those worth a look at their mail: first what the lot fell on, then the rest, the most unsure first.

        The lot is drawn before anything is known of a decision, and falls on each of a time with the same chance; what was
        drawn is a fair sample. Before enough was seen, those are unsure whose heads abstained.
        """
        fresh = [pair for pair in decisions if pair[0].source and not questions.knows(pair[0].email_id)]
        chance = self._chance(questions, now)
        for decision, _ in fresh:
            self._note(decision, questions, now)
        least = self._cuts(questions, now)
        found = [c for pair in fresh if (c := self._candidate(pair, chance, questions, least))]
        return sorted(found, key=_rank)

    def choose(
        self,
        candidates: Sequence[Candidate],
        sketches: Mapping[Coordinates, Sketch],
        questions: Questions,
        now: datetime,
    ) -> list[ReviewAsked]:
        """The questions, added to `questions`; a mail that is not in `sketches` is gone, and nobody can be asked about it."""
        asked = []
        for candidate in candidates:
            sketch = sketches.get(candidate.mail)
            if sketch is not None and self._may(candidate, sketch, questions, now):
                asked.append(candidate.asked(sketch, now))
                questions.add(asked[-1])
        return asked

    def _may(self, candidate: Candidate, sketch: Sketch, questions: Questions, now: datetime) -> bool:
        if questions.knows(candidate.decision.email_id) or not self._allowed(candidate.why, questions, now):
            return False
        return candidate.why == "random" or questions.nearest(sketch) < self.limits.likeness

    def _allowed(self, why: ReviewWhy, questions: Questions, now: datetime) -> int:
        return allowance(self.limits.budgets[why], questions.asked(why, now), now)

    def _chance(self, questions: Questions, now: datetime) -> float:
        """Of the lot now."""
        if not self._allowed("random", questions, now):
            return 0.0
        wanted = share_wanted(self.limits.budgets["random"], questions.asked("random", now), self.seen, now)
        return round(wanted, _DIGITS + 2)

    def _note(self, decision: Decision, questions: Questions, now: datetime) -> None:
        self.seen.add(0.0, now)
        if teaches(decision):
            score = uncertainty(decision)
            self.unsure.add(score, now)
            self.rare.add(score * questions.rarity(decision), now)

    def _cuts(self, questions: Questions, now: datetime) -> Mapping[ReviewWhy, float]:
        """The least score by why; a kind that may not be asked now has none."""
        windows: dict[ReviewWhy, Window] = {"uncertain": self.unsure, "diverse": self.rare}
        return {
            why: cut(self.limits.budgets[why], questions.asked(why, now), window, now)
            for why, window in windows.items()
            if self._allowed(why, questions, now)
        }

    def _candidate(
        self,
        pair: tuple[Decision, Coordinates],
        chance: float,
        questions: Questions,
        least: Mapping[ReviewWhy, float],
    ) -> Candidate | None:
        decision, place = pair
        if decision.source is None:
            return None
        score = uncertainty(decision)
        if lot(decision) < chance:
            return Candidate(decision, place, decision.source, "random", score, chance)
        why = self._why(decision, score, questions, least) if teaches(decision) and score > 0 else None
        return Candidate(decision, place, decision.source, why, score) if why else None

    def _why(
        self, decision: Decision, score: float, questions: Questions, least: Mapping[ReviewWhy, float]
    ) -> ReviewWhy | None:
        if len(self.unsure) < FEW:
            return "uncertain" if decision.needs_review and "uncertain" in least else None
        if score >= least.get("uncertain", _NEVER):
            return "uncertain"
        rare = score * questions.rarity(decision)
        return "diverse" if 0 < rare >= least.get("diverse", _NEVER) else None


def _rank(candidate: Candidate) -> tuple[bool, float]:
    """The lot's own order, not that of scores: where the budget ends it must not end for the sure ones first."""
    if candidate.why == "random":
        return False, lot(candidate.decision)
    return True, -candidate.score
