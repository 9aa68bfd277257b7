"""Where an annotated text stands in a mail; blanks are alike."""

import re
from collections.abc import Iterable

__all__ = ["occurrences", "standing"]


def occurrences(text: str, wanted: str) -> list[tuple[int, int]]:
    """Where `wanted` stands in `text` as a whole, not as a part of a longer word or number."""
    words = r"\s+".join(re.escape(word) for word in wanted.split())
    before = r"(?<!\w)(?<!\d[.,])" if wanted.strip()[:1].isalnum() else ""
    after = r"(?!\w)(?![.,]\d)" if wanted.strip()[-1:].isalnum() else ""
    return [match.span() for match in re.finditer(before + words + after, text)]


def standing(text: str, wanted: Iterable[str]) -> list[tuple[int, int]]:
    """Every place of every one of `wanted`, in order; of one that is no whole anywhere also inside words, as the 25 of 25kg."""
    return sorted({span for one in set(wanted) for span in occurrences(text, one) or _anywhere(text, one)})


def _anywhere(text: str, wanted: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(re.escape(wanted), text)]
