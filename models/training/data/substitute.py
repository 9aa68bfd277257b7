"""Another code, number or amount of the same shape in the place of an entity, in text and mark alike."""

import re
import string
from collections.abc import Sequence
from random import Random

from mailweir.models.text.occurrences import occurrences
from mailweir.models.training.corpus import EntityMark, MailRow

_DIGITS = frozenset(
    {"po_number", "order_number", "quote_number", "invoice_number", "ticket_number", "rma_number", "product_sku"}
    | {"tracking_number", "quantity", "amount", "spa_code"}
)
"""Not `edi_ref`, whose number is the kind of document, nor dates and addresses, which mean something elsewhere in the mail."""

_KEPT = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")  # a year in a number is part of its shape
_SPA_TAIL = re.compile(r"(?<=-)[A-Z0-9]{6}$")
_SHORT = 4  # characters: a number so short may stand for something else in another place


def substituted(row: MailRow, chance: Random) -> MailRow:
    """The row with other numbers in its entities where that is safe: the text stands alone, and no mark contains another."""
    subject, body = row.subject, row.body
    marks = list(row.entities)
    for place, mark in enumerate(row.entities):
        if mark.type in _DIGITS and _alone(mark, marks, f"{subject}\n{body}"):
            fresh = same_shape(mark, chance)
            if fresh not in subject and fresh not in body:
                subject, body = (_replaced(text, mark.text, fresh) for text in (subject, body))
                marks[place] = mark.model_copy(update={"text": fresh})
    if row.marks is None:
        return row
    return row.model_copy(update={"subject": subject, "body": body, "marks": tuple(marks)})


def same_shape(mark: EntityMark, chance: Random) -> str:
    """Another text of the mark's type: digits for digits, years and leading zeros kept, letters kept but in an SPA code's tail."""
    if mark.type == "spa_code":
        tail = "".join(chance.choice(string.ascii_uppercase + string.digits) for _ in range(6))
        return _SPA_TAIL.sub(tail, _other_digits(mark.text, chance, _SPA_TAIL.search(mark.text)))
    return _other_digits(mark.text, chance, _KEPT.search(mark.text) if mark.type != "amount" else None)


def _other_digits(text: str, chance: Random, kept: re.Match[str] | None) -> str:
    start, end = kept.span() if kept else (0, 0)
    return "".join(
        chance.choice(_other(sign)) if sign.isascii() and sign.isdigit() and not start <= place < end else sign
        for place, sign in enumerate(text)
    )


def _other(digit: str) -> str:
    """What may stand for it: zero stays, so that a round amount is round and a padded number padded."""
    return "0" if digit == "0" else "123456789"


def _alone(mark: EntityMark, marks: Sequence[EntityMark], text: str) -> bool:
    nested = any(m is not mark and (m.text in mark.text or mark.text in m.text) for m in marks)
    places = len(occurrences(text, mark.text))
    # a long one may stand inside a file's name or an address as well; a short one must stand once, and nowhere else
    return not nested and places > 0 and (len(mark.text) > _SHORT or text.count(mark.text) == 1)


def _replaced(text: str, old: str, new: str) -> str:
    """Everywhere, also in file names; blanks in the text may be line ends."""
    words = r"\s+".join(re.escape(word) for word in old.split())
    return re.sub(words, lambda _: new, text)
