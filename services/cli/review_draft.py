"""An answer in the making: which key changes what. Pure; the screen and the topics are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from string import ascii_letters
from types import MappingProxyType
from typing import Literal

from mailweir.schemas.events import Decision, Feedback
from mailweir.schemas.taxonomy import installed_taxonomy
from mailweir.services.cli.words import word_about

__all__ = ["ACTIONS", "BACK", "LEAVE_OUT", "Command", "Draft"]

Command = Literal["send", "skip", "quit", "undo", "mail"]

ACTIONS = "next_actions"
LEAVE_OUT = "-"
"""Key that says nothing of a head: not even the reader can tell."""
BACK = frozenset("\x1b\x7f\x08\r\n")
_COMMANDS: Mapping[str, Command] = {
    "\r": "send", "\n": "send", "s": "skip", "q": "quit", "\x04": "quit", "": "quit", "u": "undo", "m": "mail",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """What was said so far about one decision; heads of which nothing was said are right as they are."""

    decision: Decision
    said: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))  # None: nothing is said of it
    actions: tuple[str, ...] | None = None  # None: nobody looked at them
    menu: str = ""  # head whose labels are shown

    @property
    def heads(self) -> tuple[str, ...]:
        """In the order of their digits; the next actions are the last, where the taxonomy has them."""
        known = installed_taxonomy(self.decision.taxonomy.name, self.decision.taxonomy.version).heads
        return (*self.decision.heads, *([ACTIONS] if ACTIONS in known else []))

    @property
    def labels(self) -> Mapping[str, str]:
        """Letter → label of the menu."""
        taxonomy = installed_taxonomy(self.decision.taxonomy.name, self.decision.taxonomy.version)
        return dict(zip(ascii_letters, taxonomy.labels(self.menu), strict=False)) if self.menu else {}

    @property
    def chosen(self) -> tuple[str, ...]:
        """The next actions as they stand."""
        decided = tuple(action.label for action in self.decision.next_actions)
        return decided if self.actions is None else self.actions

    def press(self, key: str) -> Draft | Command:
        """The draft after a key, or what the key asks for; a key without meaning changes nothing."""
        if self.menu:
            return self._in_menu(key)
        if key.isdecimal() and 0 < int(key) <= len(self.heads):
            return self._open(self.heads[int(key) - 1])
        return _COMMANDS.get(key, self)

    def word(self, person: str) -> Feedback | None:
        """The answer; None if nothing is said in it."""
        right = [f"{name}={label}" for name, label in self.said.items() if label is not None]
        unchanged = [name for name in self.decision.heads if name not in self.said]
        if not (right or unchanged or self.actions is not None):
            return None
        return word_about(self.decision, person, [*right, *unchanged], self.actions)

    def _open(self, head: str) -> Draft:
        """Who looks at the next actions says something of them: as they are, unless they are changed."""
        return replace(self, menu=head, actions=self.chosen if head == ACTIONS else self.actions)

    def _in_menu(self, key: str) -> Draft:
        if key in BACK:
            return replace(self, menu="")
        if self.menu == ACTIONS:
            return self._toggled(key)
        if key == LEAVE_OUT:
            return replace(self, menu="", said={**self.said, self.menu: None})
        if key not in self.labels:
            return self
        return replace(self, menu="", said={**self.said, self.menu: self.labels[key]})

    def _toggled(self, key: str) -> Draft:
        if key == LEAVE_OUT:
            return replace(self, menu="", actions=None)
        label = self.labels.get(key)
        if label is None:
            return self
        kept = tuple(one for one in self.chosen if one != label)
        return replace(self, actions=kept if label in self.chosen else (*kept, label))
