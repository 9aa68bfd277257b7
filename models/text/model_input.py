"""A mail as the text that the model sees: subject first, who writes to whom, then the newest text, then the rest."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mailweir.models.text.fold import INVISIBLE, calm, fold, is_shouted
from mailweir.models.text.mend import mended
from mailweir.models.text.spans import Span
from mailweir.schemas.events import Email, EntityField, Zone, ZoneKind

_ORDER: tuple[ZoneKind, ...] = ("new", "forwarded", "quoted", "signature", "disclaimer")
_PREFIX = "query: "  # the base model was trained to expect it
_MARKS: dict[ZoneKind, str] = {"new": "", "forwarded": ">> ", "quoted": "> ", "signature": "-- ", "disclaimer": "-- "}
# No tokenizer of ours makes 1,000 tokens of fewer characters than this many words have; what is beyond is never reached.
_LONGEST = 24_000
_BLANKS = re.compile(r"\s+")

# What mail programs write where a picture or a file was, and lines that are a file's name.
_FILE_NAMES = re.compile(
    r"\[(?:image|cid|bild|resim|imagen?)\b[^\]\n]{0,200}\]|<[^<>\s]{1,200}\.\w{2,4}>"
    r"|^[^\n]{0,120}\.(?:jpe?g|png|gif|heic|webp|bmp|tiff?|pdf|docx?|xlsx?|pptx?|zip|mp[34]|mov|wav)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_WORDS = re.compile(r"[^\W\d_]{2,}")
_FEWEST_WORDS = 2  # every one of 5,523 corpus mails but those with an empty body and an empty subject has more


class Excerpt(NamedTuple):
    """A range of a field, and where it stands in the text before blanks are joined."""

    at: int
    field: EntityField
    start: int
    end: int
    kind: ZoneKind | None = None  # of a part of the body


@dataclass(frozen=True)  # no slots: what entities and sentences both ask for is computed once and kept
class ModelInput:
    """What a model is given of one mail."""

    text: str  # subject, sender, mailbox and body, one line; what looks the same is written the same
    cut: bool  # characters beyond any model's reach were left out
    empty: bool  # subject and body together hold fewer than two words, names of pictures and files aside
    whole: str = ""  # the text with its line ends
    excerpts: tuple[Excerpt, ...] = ()

    @cached_property
    def written(self) -> str:
        """The text, character by character, in the letters that the mail has."""
        return _one_line(self.whole) if self.whole else self.text

    @cached_property
    def origins(self) -> NDArray[np.int64]:
        """(characters of `text`,) where each stands in `whole`; read only."""
        kept = np.ones(len(self.whole), bool)
        for hidden in INVISIBLE.finditer(self.whole):
            kept[hidden.start() : hidden.end()] = False
        shown = np.flatnonzero(kept)
        for run in _BLANKS.finditer(INVISIBLE.sub("", self.whole)):
            kept[shown[run.start() + 1 : run.end()]] = False
        found = np.flatnonzero(kept)
        found.flags.writeable = False
        return found

    def locate(self, spans: Iterable[Span]) -> Iterator[tuple[EntityField, Span]]:
        """Spans of the text as whole words of the field that they come from; what reaches over two places of it is dropped."""
        for span in spans:
            written = Span(
                span.type, int(self.origins[span.start]), int(self.origins[span.end - 1]) + 1, span.probability
            )
            for whole in mended(written, self.whole):
                yield from self._in_field(whole)

    def _in_field(self, span: Span) -> Iterator[tuple[EntityField, Span]]:
        for piece in self.excerpts:
            if piece.at <= span.start and span.end <= piece.at + piece.end - piece.start:
                move = piece.start - piece.at
                yield piece.field, Span(span.type, span.start + move, span.end + move, span.probability)


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
    shown = fold(whole[:_LONGEST])
    text = _one_line(calm(shown) if is_shouted(subject + body[:_LONGEST]) else shown)
    empty = not _has_words(f"{subject}\n{body[:_LONGEST]}")
    return ModelInput(text, len(whole) > _LONGEST, empty, whole[:_LONGEST], tuple(excerpts))


def _one_line(whole: str) -> str:
    return _BLANKS.sub(" ", INVISIBLE.sub("", whole)).strip()


def _ordered(body: str, zones: Sequence[Zone]) -> list[tuple[ZoneKind, int, int]]:
    """Kind, start and end of each zone in reading order, without the blanks around it."""
    ordered = sorted(zones, key=lambda zone: (_ORDER.index(zone.kind), zone.start))
    return [(zone.kind, *_without_blanks(body, zone.start, zone.end)) for zone in ordered]


def _without_blanks(body: str, start: int, end: int) -> tuple[int, int]:
    stripped = body[start:end].lstrip()
    return end - len(stripped), end - len(stripped) + len(stripped.rstrip())


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _has_words(text: str) -> bool:
    found = _WORDS.finditer(_FILE_NAMES.sub(" ", text))
    return sum(1 for _ in islice(found, _FEWEST_WORDS)) == _FEWEST_WORDS
