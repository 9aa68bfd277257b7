"""Other forms of a mail to learn from, with the same labels: the ways of `models.text.perturb` that training uses, and other numbers.

The texts of entity marks stay as they are, or change in text and mark alike, so that every mark is still found.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from mailweir.models.text.occurrences import occurrences
from mailweir.models.text.perturb import (
    Change,
    between,
    capitals,
    html,
    plain_letters,
    quoting,
    small_letters,
    typos,
)
from mailweir.models.training.corpus import EntityMark, MailRow
from mailweir.models.training.data.substitute import substituted

_SMALL_SHARE = 0.7  # of mails in one case: small letters, as on a phone, are commoner than capitals


def _typos(row: MailRow, chance: Random) -> MailRow | None:
    return _around_marks(row, typos, chance)


def _casing(row: MailRow, chance: Random) -> MailRow | None:
    return _around_marks(row, small_letters if chance.random() < _SMALL_SHARE else capitals, chance)


def _quoting(row: MailRow, chance: Random) -> MailRow | None:
    return _checked(row, row.model_copy(update={"body": quoting(row.body, chance)}))


def _html(row: MailRow, chance: Random) -> MailRow | None:
    body = between(row.body, _texts(row), html, chance)
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


def _around_marks(row: MailRow, change: Change, chance: Random) -> MailRow | None:
    subject, body = (between(text, _texts(row), change, chance) for text in (row.subject, row.body))
    return _checked(row, row.model_copy(update={"subject": subject, "body": body}))


def _texts(row: MailRow) -> list[str]:
    return [mark.text for mark in row.entities]


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
