"""Other forms of a mail with the same labels: what people, programs and keyboards do to text.

A perturbation is a pure function of a text and a source of chance. The texts of entity marks stay as they are, or change in
text and mark alike, so that every mark is still found.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from random import Random

from mailweir.models.training.corpus import EntityMark, MailRow
from mailweir.models.training.data.substitute import substituted
from mailweir.models.training.tags import occurrences

Perturbation = Callable[[str, Random], str]

_TYPO_SHARE = 0.06  # of the words: about what thumbs do on a phone
_SHORTEST = 4  # letters of a word that gets a typo: shorter ones become other words
_HTML_SHARE = 0.08  # of the gaps between words
_LINE_SHARE = 0.5  # of the line ends
_WORD = re.compile(rf"[^\W\d_]{{{_SHORTEST},}}")
_GAP = re.compile(r"(?<=\S) (?=\S)")
_NEIGHBOURS = {a: b for row in ("qwertyuıopğü", "asdfghjklşi", "zxcvbnmöç") for a, b in pairwise(row)}
_ENTITY_SIGNS = ("&nbsp;", " &nbsp;", "&zwnj; ", "<b></b> ")  # no digits: these would be taken for quantities
_PLAIN = str.maketrans("çğıöşüâîûÇĞİÖŞÜÂÎÛ", "cgiosuaiuCGIOSUAIU")


def typos(text: str, chance: Random) -> str:
    """Letters swapped, dropped, doubled, or hit beside, in some longer words; the first letter stays."""
    return _WORD.sub(lambda word: _mistyped(word[0], chance) if chance.random() < _TYPO_SHARE else word[0], text)


def casing(text: str, chance: Random) -> str:
    """All small, as on a phone; or all capitals."""
    return text.lower() if chance.random() < 0.7 else text.upper()


def quoting(text: str, chance: Random) -> str:
    """Every line behind an arrow, as some programs show a mail that was passed on."""
    arrow = chance.choice(("> ", ">", "| "))
    return "\n".join(arrow + line for line in text.split("\n"))


def html_noise(text: str, chance: Random) -> str:
    """Remains of HTML that a converter left: empty tags, breaks, named characters."""
    noisy = _GAP.sub(lambda _: chance.choice(_ENTITY_SIGNS) if chance.random() < _HTML_SHARE else " ", text)
    lines = noisy.split("\n")
    return "".join(
        line + (chance.choice(("<br>", "</p>", "<br />")) if chance.random() < _LINE_SHARE else "") + "\n"
        for line in lines[:-1]
    ) + (lines[-1] if lines else "")


def plain_letters(text: str, chance: Random) -> str:
    """Turkish letters without their signs, as from a foreign keyboard."""
    del chance
    return text.translate(_PLAIN)


def _typos(row: MailRow, chance: Random) -> MailRow | None:
    return _around_marks(row, typos, chance)


def _casing(row: MailRow, chance: Random) -> MailRow | None:
    seed = chance.random()  # the same case in all places
    return _around_marks(row, lambda text, _: casing(text, Random(seed)), chance)  # noqa: S311  # no secret


def _quoting(row: MailRow, chance: Random) -> MailRow | None:
    return _checked(row, row.model_copy(update={"body": quoting(row.body, chance)}))


def _html(row: MailRow, chance: Random) -> MailRow | None:
    body = _between(row.body, row.entities, html_noise, chance)
    return _checked(row, row.model_copy(update={"body": body}))


def _plain(row: MailRow, chance: Random) -> MailRow | None:
    """Only where the letters are Turkish: elsewhere an accent is part of another language."""
    if row.language != "tr":
        return None
    marks = tuple(m.model_copy(update={"text": plain_letters(m.text, chance)}) for m in row.entities)
    # two marks may have become one: Mart and mart are not, but açık and acik are
    return _checked(
        row,
        row.model_copy(
            update=_plain_texts(row, chance) | {"marks": None if row.marks is None else tuple(dict.fromkeys(marks))}
        ),
    )


def _plain_texts(row: MailRow, chance: Random) -> dict[str, str]:
    return {"subject": plain_letters(row.subject, chance), "body": plain_letters(row.body, chance)}


def _substituted(row: MailRow, chance: Random) -> MailRow | None:
    return _checked(row, substituted(row, chance))


KINDS: Mapping[str, Callable[[MailRow, Random], MailRow | None]] = {
    "typos": _typos,
    "casing": _casing,
    "quoting": _quoting,
    "html": _html,
    "entities": _substituted,
    "plain_letters": _plain,
}
"""Each gives the row in another form, or None where this one has nothing to change or would lose a mark."""


def augmented(row: MailRow, kinds: Sequence[str], chance: Random) -> tuple[str, MailRow] | None:
    """One of `kinds` that changes the row, and the row with it and an id that names origin and kind; None if none does."""
    for kind in chance.sample(list(kinds), len(kinds)):
        found = KINDS[kind](row, chance)
        if found is not None:
            return kind, found.model_copy(update={"id": f"{row.id}+{kind}"})
    return None


def _around_marks(row: MailRow, change: Perturbation, chance: Random) -> MailRow | None:
    subject, body = (_between(text, row.entities, change, chance) for text in (row.subject, row.body))
    return _checked(row, row.model_copy(update={"subject": subject, "body": body}))


def _between(text: str, marks: Sequence[EntityMark], change: Perturbation, chance: Random) -> str:
    """`change` on everything but the texts of the marks."""
    parts, at = [], 0
    for start, end in _marked(text, marks):
        if start > at:
            parts.append(change(text[at:start], chance))
        parts.append(text[max(start, at) : end])
        at = max(at, end)
    return "".join([*parts, change(text[at:], chance)])


def _marked(text: str, marks: Sequence[EntityMark]) -> Iterator[tuple[int, int]]:
    found = {span for mark in marks for span in occurrences(text, mark.text) or _anywhere(text, mark.text)}
    return iter(sorted(found))


def _anywhere(text: str, wanted: str) -> list[tuple[int, int]]:
    """Also inside words, as the 25 of 25kg."""
    return [match.span() for match in re.finditer(re.escape(wanted), text)]


def _checked(row: MailRow, made: MailRow) -> MailRow | None:
    """`made`, unless it is what was there or a mark is no longer found as before."""
    if (made.subject, made.body) == (row.subject, row.body):
        return None
    before = [_found(mark, row) for mark in row.entities]
    after = [_found(mark, made) for mark in made.entities]
    return made if sum(after) >= sum(before) and len(after) == len(before) and all(after) else None


def _found(mark: EntityMark, row: MailRow) -> int:
    """2: as a word of its own; 1: inside one; 0: not at all."""
    if any(occurrences(text, mark.text) for text in (row.subject, row.body)):
        return 2
    return int(mark.text in row.subject or mark.text in row.body)


def _mistyped(word: str, chance: Random) -> str:
    at = chance.randrange(1, len(word) - 1)
    kind = chance.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[: at + 1] + word[at:]
    return word[:at] + _NEIGHBOURS.get(word[at], word[at]) + word[at + 1 :]
