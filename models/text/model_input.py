"""A mail as the text that the model sees: subject first, who writes to whom, then the newest text, then the rest."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mailweir.models.text.spans import Span
from mailweir.schemas.events import Email, EntityField, Zone, ZoneKind

_ORDER: tuple[ZoneKind, ...] = ("new", "forwarded", "quoted", "signature", "disclaimer")
_PREFIX = "query: "  # the base model was trained to expect it
_MARKS: dict[ZoneKind, str] = {"new": "", "forwarded": ">> ", "quoted": "> ", "signature": "-- ", "disclaimer": "-- "}
# No tokenizer of ours makes 1,000 tokens of fewer characters than this many words have; what is beyond is never reached.
_LONGEST = 24_000
_BLANKS = re.compile(r"\s+")


class Excerpt(NamedTuple):
    """A range of a field, and where it stands in the text before blanks are joined."""

    at: int
    field: EntityField
    start: int
    end: int
    kind: ZoneKind | None = None  # of a part of the body


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What a model is given of one mail."""

    text: str  # subject, sender, mailbox and body, one line
    cut: bool  # characters beyond any model's reach were left out
    empty: bool  # neither the subject nor the body holds a letter or digit
    whole: str = ""  # the text with its line ends
    excerpts: tuple[Excerpt, ...] = ()

    def origins(self) -> NDArray[np.int64]:
        """(characters of `text`,) where each stands in `whole`."""
        kept = np.ones(len(self.whole), bool)
        for run in _BLANKS.finditer(self.whole):
            kept[run.start() + 1 : run.end()] = False
        return np.flatnonzero(kept)

    def locate(self, spans: Iterable[Span]) -> Iterator[tuple[EntityField, Span]]:
        """Spans of the text as spans of the field that they come from; what reaches over two places of it is dropped."""
        origin = self.origins()
        for span in spans:
            start, end = int(origin[span.start]), int(origin[span.end - 1]) + 1
            for piece in self.excerpts:
                if piece.at <= start and end <= piece.at + piece.end - piece.start:
                    move = piece.start - piece.at
                    yield piece.field, Span(span.type, start + move, end + move, span.probability)


def compose(email: Email) -> ModelInput:
    """The model's view of a parsed mail."""
    return compose_fields(email.subject, email.sender.address, email.mailbox, email.body, email.zones)


def compose_fields(subject: str, sender: str, mailbox: str, body: str, zones: Sequence[Zone]) -> ModelInput:
    """`compose` from the fields that it reads; without zones the whole body counts as new."""
    parts = _ordered(body, zones or [Zone(kind="new", start=0, end=len(body))])
    written, excerpts = (
        [f"{_PREFIX}{subject}\n{_domain(sender)} > {mailbox}"],
        [Excerpt(len(_PREFIX), "subject", 0, len(subject))],
    )
    at = len(written[0])
    for kind, start, end in parts:
        mark = _MARKS[kind]
        at += 1 + len(mark)  # the line end before it
        written.append(mark + body[start:end])
        excerpts.append(Excerpt(at, "body", start, end, kind))
        at += end - start
    whole = "\n".join(written)
    text = _BLANKS.sub(" ", whole[:_LONGEST]).strip()
    empty = not _has_text(subject) and not _has_text(body)
    return ModelInput(text, len(whole) > _LONGEST, empty, whole[:_LONGEST], tuple(excerpts))


def _ordered(body: str, zones: Sequence[Zone]) -> list[tuple[ZoneKind, int, int]]:
    """Kind, start and end of each zone in reading order, without the blanks around it."""
    ordered = sorted(zones, key=lambda zone: (_ORDER.index(zone.kind), zone.start))
    return [(zone.kind, *_without_blanks(body, zone.start, zone.end)) for zone in ordered]


def _without_blanks(body: str, start: int, end: int) -> tuple[int, int]:
    stripped = body[start:end].lstrip()
    return end - len(stripped), end - len(stripped) + len(stripped.rstrip())


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _has_text(text: str) -> bool:
    return any(character.isalnum() for character in text)
