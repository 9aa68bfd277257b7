"""What is taken out of a text before it is kept, as the agent sees it: a function and the kinds that it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from mailweir.services.feedback.desks import Places, places

__all__ = ["UNREDACTED", "Redact", "Redaction"]

Redact = Callable[[str, frozenset[str], str, Places], str]
"""`redact(text, kinds, language, desks)`: the text with personal data of these kinds replaced, but not at these places."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """A redaction as configured."""

    redact: Redact
    kinds: frozenset[str]

    def of(self, text: str, language: str, desks: Collection[str] = ()) -> str:
        """The text as it may be kept; the addresses `desks` are no person's and stay."""
        return self.redact(text, self.kinds, language, places(desks, text)) if self.kinds and text else text

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds, sorted."""
        return tuple(sorted(self.kinds))


def _as_it_is(text: str, kinds: frozenset[str], language: str, desks: Places) -> str:  # noqa: ARG001 - as all
    return text


UNREDACTED = Redaction(_as_it_is, frozenset())
"""Keeps everything."""
