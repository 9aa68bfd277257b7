"""Which part of a body is new text, quoted history, signature, disclaimer or forwarded. Linear in the length of the body."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from mailweir.models.text import marks
from mailweir.schemas.events import Zone, ZoneKind

__all__ = ["MAX_ZONES", "split_zones"]

MAX_ZONES = 512  # a body of alternating lines would make an Email larger than its topic takes
_LINE_CHARS = 400  # what is looked at of a line
_PARAGRAPH_CHARS = 1500  # … of a paragraph
_HEADER_LINES = 8  # in which the labels of a header block stand
_ATTRIBUTION_LINES = 3  # over which mail programs wrap "On … wrote:"
_ATTRIBUTION_ENDS = (":", "wrote", "yazdı")
_SIGNATURE_LINES = 14  # with text; a longer ending is not a signature
_CARD_LINES = 8  # of a visiting card without a closing formula
_SIGNATURE_WORDS = 10  # of one line; more is a sentence


def split_zones(body: str) -> tuple[Zone, ...]:
    """Zones that cover `body` from its first to its last character, neighbours of different kinds.

    Text that somebody else wrote stays marked where there is nothing else; a body is never all signature or notice.
    """
    lines = body.splitlines(keepends=True) if "\r" in body else body.split("\n")
    texts = [line[:_LINE_CHARS].rstrip() for line in lines]
    kinds = _history(texts)
    for start, end in _runs(kinds, "new"):
        _mark_disclaimers(texts, kinds, start, end)
    first = next((number for number, text in enumerate(texts) if text and kinds[number] != "disclaimer"), len(texts))
    for start, end in _runs(kinds, "new"):
        _mark_signature(texts, kinds, start, end, alone=first >= start)
    if not any(text and kind in {"new", "quoted", "forwarded"} for text, kind in zip(texts, kinds, strict=True)):
        kinds = ["new"] * len(kinds)
    width = 0 if "\r" in body else 1
    return _zones(kinds, texts, [len(line) + width for line in lines], len(body))


def _history(texts: list[str]) -> list[ZoneKind]:
    """Lines as new, quoted or forwarded."""
    kinds: list[ZoneKind] = ["new"] * len(texts)
    position = 0
    while position < len(texts):
        position = _mark_history(texts, kinds, position)
    quoted = [number for number, kind in enumerate(kinds) if kind == "quoted"]
    if len(quoted) == 1 and any(texts[: quoted[0]]):
        kinds[quoted[0]] = "new"  # an arrow in the middle of a text ("> Confirm now") is no history
    return kinds


def _mark_history(texts: list[str], kinds: list[ZoneKind], at: int) -> int:
    """Mark what begins at line `at`; the line to go on with."""
    text = texts[at]
    if not text:
        return at + 1
    if marks.QUOTE.match(text):
        return _fill(kinds, at, at + 1, "quoted")
    if marks.FORWARD.match(text):
        return _fill(kinds, at, _end_of_forward(texts, at), "forwarded")
    if marks.ORIGINAL.match(text) or _is_header_block(texts, at):
        answered = any(text and kind == "new" for text, kind in zip(texts[:at], kinds[:at], strict=True))
        return _fill(kinds, at, len(texts), "quoted" if answered else "forwarded")
    end = _attribution_end(texts, at)
    return _fill(kinds, at, end, "quoted") if end else at + 1


def _fill(kinds: list[ZoneKind], start: int, end: int, kind: ZoneKind) -> int:
    kinds[start:end] = [kind] * (end - start)
    return end


def _end_of_forward(texts: list[str], start: int) -> int:
    for number in range(start + 1, len(texts)):
        if marks.END_OF_FORWARD.match(texts[number]):
            return number + 1
    return len(texts)


def _is_header_block(texts: list[str], at: int) -> bool:
    """From, a date, and a recipient or subject. A travel plan has From, To and Date too, but no subject and no address."""
    if not marks.HEADER_LABELS["from"].match(texts[at]):
        return False
    block = texts[at : at + _HEADER_LINES]
    found = {name for line in block for name, label in marks.HEADER_LABELS.items() if label.match(line)}
    return len(found) > 2 and "date" in found and ("subject" in found or any("@" in line for line in block))


def _attribution_end(texts: list[str], at: int) -> int:
    """Where the history ends that "On … wrote:" at line `at` begins, 0 if there is none.

    Behind it stand marked lines, which mark themselves, or unmarked ones to the end of the body.
    """
    joined = ""
    for number in range(at, min(at + _ATTRIBUTION_LINES, len(texts))):
        text = texts[number].strip()
        if not text or marks.QUOTE.match(text) or (number > at and not marks.ATTRIBUTION_START.match(texts[at])):
            return 0
        joined = f"{joined} {text}".strip()[: 2 * _LINE_CHARS]
        if not text.endswith(_ATTRIBUTION_ENDS):
            continue
        following = next((line for line in texts[number + 1 : number + 5] if line), "")
        marked = bool(marks.QUOTE.match(following))
        if marks.ATTRIBUTION.match(joined):
            return number + 1 if marked else len(texts)
        if marked and number == at and marks.SHORT_ATTRIBUTION.match(joined):
            return number + 1
    return 0


def _runs(kinds: list[ZoneKind], kind: ZoneKind) -> list[tuple[int, int]]:
    """Ranges of lines of one kind."""
    runs: list[tuple[int, int]] = []
    start = 0
    for value, group in itertools.groupby(kinds):
        end = start + sum(1 for _ in group)
        if value == kind:
            runs.append((start, end))
        start = end
    return runs


def _paragraphs(texts: list[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    first = start
    for number in range(start, end + 1):
        if number == end or not texts[number]:
            if first < number:
                yield first, number
            first = number + 1


def _mark_disclaimers(texts: list[str], kinds: list[ZoneKind], start: int, end: int) -> None:
    for first, last in _paragraphs(texts, start, end):
        paragraph = ""
        for line in texts[first:last]:
            paragraph += line + " "
            if len(paragraph) > _PARAGRAPH_CHARS:
                break
        if len(paragraph) > 60 and _is_notice(paragraph[:_PARAGRAPH_CHARS]):
            _fill(kinds, first, last, "disclaimer")


def _is_notice(paragraph: str) -> bool:
    lowered = paragraph.lower()
    return any(word in lowered for word in marks.NOTICE_WORDS) and bool(marks.DISCLAIMER.search(paragraph))


def _mark_signature(texts: list[str], kinds: list[ZoneKind], start: int, end: int, *, alone: bool) -> None:
    """The signature at the end of these lines; with no text `alone` before them, they are never all signature."""
    filled = [number for number in range(start, end) if texts[number]]
    ending = filled[-_SIGNATURE_LINES:]
    begin = _signature_start(texts, ending)
    if begin is None or (begin == filled[0] and alone):
        return
    for number in range(begin, end):
        if number > begin and marks.POSTSCRIPT.match(texts[number]):
            return
        kinds[number] = "signature"


def _signature_start(texts: list[str], ending: list[int]) -> int | None:
    for index, number in enumerate(ending):
        rest = [texts[line] for line in ending[index + 1 :]]
        if marks.SIGNATURE.match(texts[number]) or _is_list_rule(texts[number], rest):
            return number
        if marks.CLOSING.match(texts[number]) and _is_card(rest):
            return number
    return _card_start(texts, ending)


def _is_list_rule(text: str, rest: list[str]) -> bool:
    return len(text) > 15 and not text.strip("_-=") and any(map(marks.LIST_FOOTER.search, rest[:4]))


def _is_card(rest: list[str]) -> bool:
    """Names, roles, numbers: short lines, no questions."""
    ending = list(itertools.takewhile(lambda line: not marks.POSTSCRIPT.match(line), rest))
    return all(len(line.split()) <= _SIGNATURE_WORDS and not line.endswith("?") for line in ending)


def _card_start(texts: list[str], ending: list[int]) -> int | None:
    """The last paragraph if it is a visiting card: short lines, two of them with numbers or addresses."""
    if not ending:
        return None
    first = ending[-1]
    while first - 1 in ending[-_CARD_LINES:]:
        first -= 1
    card = [texts[number] for number in ending if number >= first]
    contacts = sum(1 for line in card if marks.CONTACT.search(line))
    return first if contacts > 1 and first > ending[0] and _is_card(card) else None


def _zones(kinds: list[ZoneKind], texts: list[str], widths: list[int], size: int) -> tuple[Zone, ...]:
    """Neighbouring lines of one kind as one zone; empty lines belong to what is before them."""
    zones: list[tuple[ZoneKind, int]] = []
    offset = 0
    for kind, text, width in zip(kinds, texts, widths, strict=True):
        if text and (not zones or zones[-1][0] != kind):
            zones.append((kind, offset if zones else 0))
        offset += width
    if not zones:
        return (Zone(kind="new", start=0, end=size),) if size else ()
    if len(zones) > MAX_ZONES:  # the rest is new, so that no text is hidden from the reader
        zones[MAX_ZONES - 1 :] = [("new", zones[MAX_ZONES - 1][1])]
    ends = [start for _, start in zones[1:]] + [size]
    return tuple(Zone(kind=kind, start=start, end=end) for (kind, start), end in zip(zones, ends, strict=True))
