"""What is taken out of a text before it is kept, as the agent sees it: a function and the kinds that it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["UNREDACTED", "Redact", "Redaction"]

Redact = Callable[[str, frozenset[str], str], str]
"""`redact(text, kinds, language)`: the text with personal data of these kinds replaced."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """A redaction as configured."""

    redact: Redact
    kinds: frozenset[str]

    def of(self, text: str, language: str) -> str:
        """The text as it may be kept."""
        return self.redact(text, self.kinds, language) if self.kinds and text else text

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds, sorted."""
        return tuple(sorted(self.kinds))


def _as_it_is(text: str, kinds: frozenset[str], language: str) -> str:  # noqa: ARG001 - the signature of all
    return text


UNREDACTED = Redaction(_as_it_is, frozenset())
"""Keeps everything."""
