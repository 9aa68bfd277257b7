"""Writing that looks the same to a person made the same for the model, letter by letter so that places hold.

Three ways to write a word that no reader notices and every tokenizer stumbles over: characters without width inside it,
Cyrillic or Greek letters that look like Latin ones (Unicode TR 39 calls them confusables), and a whole mail in capitals.
"""

import re

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]+"
)
"""Characters that nothing is shown for: soft hyphens, joiners, marks of direction, variation selectors, tags."""

LOOKALIKES = dict(
    zip(
        "аеорсухіјѕԁһԛԝАВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανικρτυ",
        "aeopcyxijsdhqwABEKMHOPCTXIJSABEZHIKMNOPTYXoavikptu",
        strict=True,
    )
)
"""Cyrillic and Greek letters by the Latin letter that they look like."""

_LATIN = str.maketrans(LOOKALIKES)
_LOOKALIKE = re.compile(f"[{''.join(LOOKALIKES)}]")
_OTHER_LETTER = re.compile(f"(?![{''.join(LOOKALIKES)}])[\u0370-\u03ff\u0400-\u052f]")
_LETTERS = re.compile(r"[^\W_]+")
_ASCII_LETTER = re.compile("[A-Za-z]")

_SHOUTED = 0.7  # of the letters are capitals; of 5,523 corpus mails 38 are written so
_FEWEST = 20  # letters: an acronym is no shouting
# No digit, star, plus or stroke beside it: codes, addresses and EDI segments stay as they are.
_WORD = re.compile(r"(?<![\w*+|/@.-])[^\W\d_]{2,}(?:['’][^\W\d_]+)*(?![\w*+|/@-])(?!\.\w)")
_TURKISH = re.compile("[ĞŞİ]")
_TURKISH_LOWER = str.maketrans("Iİ", "ıi")


def fold(text: str) -> str:
    """`text` with look-alikes in Latin words as Latin letters; of the same length.

    Where no letter of their alphabet stands that looks like none of ours, nobody writes in it: then every word is Latin.
    """
    if not _LOOKALIKE.search(text):
        return text
    return _LETTERS.sub(_latin, text) if _OTHER_LETTER.search(text) else text.translate(_LATIN)


def is_shouted(text: str) -> bool:
    """True if it is written in capitals."""
    capitals = sum(map(str.isupper, text))
    return capitals >= _FEWEST and capitals >= _SHOUTED * sum(map(str.isalpha, text))


def calm(text: str) -> str:
    """Shouted words in small letters, those with a digit or a hyphen left as they are; of the same length."""
    turkish = bool(_TURKISH.search(text))
    return _WORD.sub(lambda word: _lower(word.group(), turkish=turkish), text)


def _latin(word: re.Match[str]) -> str:
    """A word all of Cyrillic or Greek is a word of that language."""
    written = word.group()
    return written.translate(_LATIN) if _ASCII_LETTER.search(written) else written


def _lower(word: str, *, turkish: bool) -> str:
    if not word.isupper():
        return word
    small = (word.translate(_TURKISH_LOWER) if turkish else word.replace("\u0130", "i")).lower()
    return small if len(small) == len(word) else word
