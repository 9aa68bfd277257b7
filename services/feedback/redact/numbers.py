"""Numbers of cards and bank accounts: their check digits say what they are."""

import re
from collections.abc import Iterator

from stdnum import iban, luhn

from mailweir.services.feedback.redact.finds import APART, Find, is_part_of_code
from mailweir.services.feedback.redact.runs import Run, Stretch

__all__ = ["find_accounts", "find_cards"]

# Issuer prefixes and the lengths that each issues (ISO/IEC 7812; the networks' own tables). Without them one in ten
# tracking and article numbers would pass for a card.
_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners
    r"|(?:6011|65\d{2}|64[4-9]\d|62\d{2}|35(?:2[89]|[3-8]\d)|9792|220[0-4]|50\d{2}|5[6-8]\d{2})\d{12}"  # Discover … Maestro
)
_SHORTEST, _LONGEST = 13, 19

_IBAN_START = re.compile(rf"{APART}(?<![^\W_])[A-Za-z]{{2}}\d{{2}}(?=[ \u00a0-]?[A-Za-z0-9])")
_IBAN_LONGEST = 34
_IBAN_SHORTEST = 15


def find_cards(run: Run) -> Iterator[Find]:
    """Card numbers: an issuer's prefix, its length, and Luhn's check digit."""
    group = 0
    while group < len(run.places):
        card = next((s for s in run.stretches(group, _SHORTEST, _LONGEST) if _is_card(run.text, s)), None)
        if card:
            yield Find("card", card.start, card.end)
        group += len(card.groups) if card else 1


def _is_card(text: str, stretch: Stretch) -> bool:
    digits = stretch.digits
    return (
        stretch.is_plain
        and _CARD.fullmatch(digits) is not None
        and luhn.is_valid(digits)
        and not is_part_of_code(text, stretch.start, stretch.end)
    )


def find_accounts(text: str) -> Iterator[Find]:
    """IBANs (ISO 13616): the country's length and form, and the remainder by 97."""
    done = 0
    for match in _IBAN_START.finditer(text):
        if match.start() < done:
            continue
        end = _iban_end(text, match.start())
        if end:
            done = end
            yield Find("bank", match.start(), end)


def _iban_end(text: str, start: int) -> int | None:
    """Where the IBAN that begins at `start` ends: the longest valid one that ends with a group."""
    place, kept, ends = start, 0, []
    while place < len(text) and kept < _IBAN_LONGEST and text[place].isascii() and text[place].isalnum():
        place, kept = place + 1, kept + 1
        if place == len(text) or not text[place].isalnum():
            ends.append((place, kept))
            if place < len(text) and text[place] in " \u00a0-":
                place += 1
    long = [end for end, characters in ends if characters >= _IBAN_SHORTEST]
    return next((end for end in reversed(long) if _is_iban(text[start:end])), None)


def _is_iban(written: str) -> bool:
    digits = "".join(str(int(character, 36)) for character in written[4:] + written[:4] if character.isalnum())
    # the remainder first: the library's table of countries takes thirty times as long
    return int(digits) % 97 == 1 and iban.is_valid(written.replace("\u00a0", ""))
