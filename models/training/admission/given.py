# ruff: noqa: D102 - the fields are described where they are written, at `FeedbackRow`
"""A word of feedback as the ledger keeps it, as far as admission reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

__all__ = ["Corrected", "Decided", "Given", "Labelled"]


class Labelled(Protocol):
    """Anything with a label."""

    @property
    def label(self) -> str: ...


class Decided(Protocol):
    """The decision as it was made."""

    @property
    def heads(self) -> Mapping[str, Labelled]: ...
    @property
    def next_actions(self) -> Sequence[Labelled]: ...


class Corrected(Protocol):
    """What was said about it; `next_actions` is None where nothing was said of them."""

    @property
    def heads(self) -> Mapping[str, Labelled]: ...
    @property
    def next_actions(self) -> Sequence[str] | None: ...
    @property
    def entities_added(self) -> Sequence[object]: ...
    @property
    def entities_removed(self) -> Sequence[object]: ...


class Given(Protocol):
    """A row of ledger or shard (`FeedbackRow`), as far as admission reads it."""

    @property
    def feedback_id(self) -> str: ...
    @property
    def decision_id(self) -> str: ...
    @property
    def email_id(self) -> str: ...
    @property
    def person(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def given_at(self) -> datetime: ...
    @property
    def withdraws(self) -> str | None: ...
    @property
    def subject(self) -> str: ...
    @property
    def sender_domain(self) -> str: ...
    @property
    def mailbox(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def decided(self) -> Decided: ...
    @property
    def corrected(self) -> Corrected: ...
