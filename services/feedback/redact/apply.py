"""Redaction of one text: what is found, what must stay, and the text with placeholders."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from mailweir.models.text.codes import find_codes
from mailweir.models.text.shapes import find_amounts
from mailweir.services.feedback.redact.finds import KINDS, PLACEHOLDER, Find, Kind, placeholder
from mailweir.services.feedback.redact.ids import find_ids
from mailweir.services.feedback.redact.numbers import find_accounts, find_cards
from mailweir.services.feedback.redact.phones import PhoneFinder
from mailweir.services.feedback.redact.places import find_emails, find_streets
from mailweir.services.feedback.redact.runs import digit_runs

__all__ = ["Redacted", "inspect", "redact"]

# What goes may leave a number standing that was part of something longer before. In 10,000 generated texts two rounds were
# enough; a mail in which nothing is found takes one.
_ROUNDS = 4


class Kept(NamedTuple):
    """A stretch that stays, whatever it looks like."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its personal data, and where that was."""

    text: str
    finds: tuple[Find, ...]  # in the original text, in order, not overlapping

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What was found, sorted."""
        return tuple(sorted({find.kind for find in self.finds}))

    def moved(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a stretch of the original stands now; None if part of it is gone."""
        shift = 0
        for find in self.finds:
            if find.start < end and start < find.end:
                return None
            if find.end <= start:
                shift += len(placeholder(find.kind)) - (find.end - find.start)
        return start + shift, end + shift

    def origin(self, find: Find) -> tuple[int, int]:
        """Where a stretch of the redacted text, apart from its placeholders, stood in the original."""
        shift = 0
        for gone in self.finds:
            if gone.start + shift >= find.end:
                break
            shift += len(placeholder(gone.kind)) - (gone.end - gone.start)
        return find.start - shift, find.end - shift


def redact(text: str, kinds: frozenset[str], language: str, desks: Iterable[tuple[int, int]] = ()) -> str:
    """`text` with personal data of these kinds as placeholders such as `[phone]`; done twice it is as done once.

    Linear in the length of the text. `language` (ISO 639-1) says which countries' phone numbers and ids to expect, `desks` where
    addresses stand that are no person's (see `inspect`).

    Raises:
        ValueError: a kind that does not exist: it would be kept in silence.
    """
    return inspect(text, kinds, language, desks).text


def inspect(text: str, kinds: frozenset[str], language: str, desks: Iterable[tuple[int, int]] = ()) -> Redacted:
    """`redact`, with what was found and where.

    `desks` are stretches that are known to be addresses of a desk and no person's (entities of type `team_mailbox`): what
    overlaps one stays, also where its name is no role that we know.
    """
    if unknown := kinds - KINDS:
        raise ValueError(
            f"no kinds of personal data: {', '.join(sorted(unknown))}; there are {', '.join(sorted(KINDS))}"
        )
    kept = _joined(desks)
    redacted = Redacted(text, ())
    for _ in range(_ROUNDS):
        found = _found(redacted.text, kinds, language)
        places = (Find(find.kind, *redacted.origin(find)) for find in found)
        new = [find for find in places if find.kind != "email" or _is_free(kept, find)]
        if not new:
            break
        finds = tuple(sorted([*redacted.finds, *new], key=lambda find: find.start))
        redacted = Redacted("".join(_pieces(text, finds)), finds)
    return redacted


def _found(text: str, kinds: frozenset[str], language: str) -> list[Find]:
    """A kind that stays still claims its place: an account must not become a phone number because accounts may stay."""
    return [find for find in _claimed(text, language) if find.kind in kinds]


def _pieces(text: str, finds: Iterable[Find]) -> Iterator[str]:
    done = 0
    for find in finds:
        yield text[done : find.start]
        yield placeholder(find.kind)
        done = find.end
    yield text[done:]


def _claimed(text: str, language: str) -> list[Find]:
    """All finds in order; where two overlap the surer kind has it."""
    codes = _codes(text)
    runs = list(digit_runs(text))
    phones = PhoneFinder(language)
    claimed: list[Find] = []
    _claim(claimed, find_emails(text))
    _claim(claimed, find_accounts(text))
    _claim(claimed, (find for run in runs for find in find_cards(run) if _is_free(codes, find)))
    _claim(claimed, find_ids(text, language, partial(_is_free, codes)))
    _claim(claimed, (find for run in runs for find in phones.find(run) if _is_free(codes, find)))
    _claim(claimed, find_streets(text))
    return claimed


def _codes(text: str) -> list[Find | Kept]:
    """What the model learns from and a number could be mistaken for: business codes and money, in order, joined."""
    calm = PLACEHOLDER.sub(lambda match: "0" * len(match.group()), text)  # a placeholder is no word that names a number
    places = [(find.start, find.end) for find in find_codes(calm)]
    return _joined([*places, *find_amounts(calm, 0, len(calm))])


def _joined(places: Iterable[tuple[int, int]]) -> list[Find | Kept]:
    joined: list[Find | Kept] = []
    for start, end in sorted(places):
        if joined and start < joined[-1].end:
            joined[-1] = Kept(joined[-1].start, max(end, joined[-1].end))
        else:
            joined.append(Kept(start, end))
    return joined


def _claim(claimed: list[Find], finds: Iterable[Find]) -> None:
    """Add the finds whose place is free; `claimed` stays in order."""
    for find in finds:
        if _is_free(claimed, find):
            claimed.insert(_after(claimed, find), find)


def _is_free(owned: Sequence[Find | Kept], find: Find) -> bool:
    """True where nothing of `owned` (in order, not overlapping) overlaps."""
    before = _after(owned, find) - 1
    return before < 0 or owned[before].end <= find.start


def _after(owned: Sequence[Find | Kept], find: Find) -> int:
    return bisect_left(owned, find.end, key=lambda place: place.start)
