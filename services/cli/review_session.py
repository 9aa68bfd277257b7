"""One person at a terminal: question after question, answers by key, the last one can be taken back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.console import Console

from mailweir.schemas.errors import MailExpired
from mailweir.schemas.events import Feedback, ReviewAsked, utc_now
from mailweir.services.cli.keys import Keys
from mailweir.services.cli.review_draft import Command, Draft
from mailweir.services.cli.review_place import Asked, Place
from mailweir.services.cli.review_screen import draw

__all__ = ["Session"]


@dataclass(slots=True)
class Session:
    """Goes through the open questions."""

    place: Place
    keys: Keys
    to: Console
    person: str
    sent: list[tuple[ReviewAsked, Feedback]] = field(default_factory=list)  # answers that stand, of this sitting
    skipped: int = 0
    gone: int = 0  # questions whose mail expired

    async def run(self, count: int | None = None) -> None:
        """Until nothing is open, `count` questions were shown, or the person has had enough."""
        waiting = deque((await self.place.questions())[:count])
        total = len(waiting)
        while waiting:
            command = await self._one(waiting[0], f"question {total - len(waiting) + 1} of {total}")
            if command == "quit":
                break
            if command == "undo":
                await self._undo(waiting)
            else:
                waiting.popleft()
        self._end(len(waiting))

    async def _one(self, question: ReviewAsked, place: str) -> Command:
        if not await self.place.is_open(question):
            return "skip"  # somebody else was faster
        try:
            asked = await self.place.asked(question)
        except MailExpired:
            self.gone += 1
            return "skip"
        command, draft = await self._keys(asked, place)
        word = draft.word(self.person) if command == "send" else None
        if word is not None:
            await self._send(question, word)
        self.skipped += command == "skip" or (command == "send" and word is None)
        return command

    async def _keys(self, asked: Asked, place: str) -> tuple[Command, Draft]:
        draft, whole = Draft(asked.decision), False
        while True:
            draw(self.to, asked, draft, place, whole=whole)
            pressed = draft.press(await self.keys.next())
            if isinstance(pressed, Draft):
                draft = pressed
            elif pressed == "mail":
                whole = not whole
            elif pressed != "undo" or self.sent:
                return pressed, draft

    async def _send(self, question: ReviewAsked, word: Feedback) -> None:
        word = word.model_copy(update={"decision_source": question.decision_source})
        await self.place.send(word)
        self.sent.append((question, word))

    async def _undo(self, waiting: deque[ReviewAsked]) -> None:
        """Take the last answer back, as a word of its own, and ask again."""
        question, word = self.sent.pop()
        nothing: dict[str, object] = {
            "heads": {},
            "next_actions": None,
            "withdraws": word.event_id,
            "given_at": utc_now(),
        }
        await self.place.send(Feedback.model_validate(word.model_dump() | nothing))
        waiting.appendleft(question)

    def _end(self, left: int) -> None:
        gone = f", {self.gone} of which the mail is gone" if self.gone else ""
        self.to.print(f"{len(self.sent)} answered, {self.skipped} skipped, {left} not shown{gone}")
