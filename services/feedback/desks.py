"""Addresses of desks in a mail: team mailboxes that no rule knows by name, and that redaction must leave to learn from. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from mailweir.schemas.events import Decision, Entity, EntityMark, Feedback

__all__ = ["Places", "desks_of", "places"]

Places = Sequence[tuple[int, int]]
"""First character and character after the last, in order."""

_TYPE = "team_mailbox"
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")


def desks_of(feedback: Feedback, decision: Decision) -> frozenset[str]:
    """The addresses that the decision or the person calls a team mailbox, less those that the person strikes out.

    What is marked and is no address names nothing to keep: a mark over a whole text must not keep everybody's address in it.
    """
    marks: tuple[Entity | EntityMark, ...] = (*decision.entities, *feedback.entities_added)
    struck = {mark.text.casefold() for mark in feedback.entities_removed if mark.type == _TYPE}
    named = {mark.text for mark in marks if mark.type == _TYPE and _ADDRESS.fullmatch(mark.text)}
    return frozenset(address for address in named if address.casefold() not in struck)


def places(desks: Collection[str], text: str) -> Places:
    """Where one of the addresses stands in a text, as a whole address and in whatever case."""
    if not desks:
        return ()
    named = "|".join(re.escape(desk) for desk in sorted(desks, key=len, reverse=True))
    whole = re.compile(rf"(?<![\w.+%'-])(?:{named})(?![\w@-]|\.\w)", re.IGNORECASE)
    return [match.span() for match in whole.finditer(text)]
