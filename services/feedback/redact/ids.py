"""Numbers that a state gives a person, told by their check digits, their shape, their language and the word before them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.tr import tckimlik
from stdnum.us import ssn

from mailweir.services.feedback.redact.finds import APART, Find, is_part_of_code, labelled

__all__ = ["find_ids"]

_LABEL = re.compile(
    r"(?<![^\W_])(?:t\.? ?c\.?(?: ?kimlik)?|tckn|kimlik|n[üu]fus|ssn|social security|national (?:id|insurance)|nino?|"
    r"steuer-?id(?:entifikationsnummer)?|idnr|identifikationsnummer|dni|nie|nif|nir|codice fiscale|bsn|burgerservicenummer|"
    r"pesel)\.?(?: ?(?:no|nr|num|num[aä]r[aá]s[ıi]|numaram|numaranız|number|card|numéro|numero|nummer)\b)?"
    r"[\s.:#()=-]{0,4}(?:is |was |ist )?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Id:
    """One country's number."""

    shape: re.Pattern[str]  # bounded, so that it is linear
    is_valid: Callable[[str], bool]
    sure: bool = False  # shape and check are enough; else the mail's language or a label must say so too
    language: str = ""


def _shape(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"{APART}(?<![^\W_])(?:{pattern})(?![^\W_])")


# HMRC's prefixes: D, F, I, Q, U, V nowhere, O not second, and seven pairs never (no check digit).
_NINO = r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
_IDS = (
    _Id(_shape(r"[1-9]\d{10}|[1-9]\d{2} \d{3} \d{3} \d{2}"), tckimlik.is_valid, language="tr"),
    _Id(_shape(r"\d{3}-\d{2}-\d{4}"), ssn.is_valid, sure=True),
    _Id(_shape(r"\d{3} \d{2} \d{4}|\d{9}"), ssn.is_valid),
    _Id(_shape(_NINO + r" \d{2} \d{2} \d{2} [A-D]"), lambda _: True, sure=True),
    _Id(_shape(_NINO + r" ?\d{6} ?[A-D]"), lambda _: True),
    _Id(_shape(r"[1-9]\d{10}|[1-9]\d \d{3} \d{3} \d{3}"), idnr.is_valid, language="de"),
    _Id(_shape(r"\d{8}[ -]?[A-Za-z]"), dni.is_valid, language="es"),
    _Id(_shape(r"[XYZxyz][ -]?\d{7}[ -]?[A-Za-z]"), nie.is_valid, sure=True),
    _Id(_shape(r"[1-478] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}"), nir.is_valid, sure=True),
    _Id(_shape(r"[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]"), codicefiscale.is_valid, sure=True),
    _Id(_shape(r"\d{9}|\d{4}\.\d{2}\.\d{3}"), bsn.is_valid, language="nl"),
    _Id(_shape(r"\d{11}"), pesel.is_valid, language="pl"),
)


def find_ids(text: str, language: str, is_free: Callable[[Find], bool]) -> Iterator[Find]:
    """National ids: Turkey, United States, United Kingdom, Germany, Spain, France, Italy, Netherlands, Poland.

    Without a label only where `is_free` says that no business code stands there.
    """
    for known in _IDS:
        for match in known.shape.finditer(text):
            find = Find("national_id", *match.span())
            if not _is_whole(text, find) or not known.is_valid(match.group()):
                continue
            likely = (known.sure or known.language == language) and is_free(find)
            if likely or labelled(text, find.start, _LABEL):
                yield find


def _is_whole(text: str, find: Find) -> bool:
    return not is_part_of_code(text, find.start, find.end)
