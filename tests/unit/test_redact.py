"""Redaction: personal data goes, what the model learns from stays, and doing it twice changes nothing."""

from __future__ import annotations

import re
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailweir.schemas.errors import SettingsError
from mailweir.services.feedback.redact import KINDS, Kind, inspect, placeholder, redact
from mailweir.services.settings import load_settings

SAMPLES: dict[str, list[str]] = tomllib.loads(
    (Path(__file__).parents[1] / "samples" / "redact.toml").read_text("utf-8")
)
MAILS = [(language, number) for language, mails in SAMPLES.items() for number in range(len(mails))]
_MARK = re.compile(r"\{\{(\w+)\|([^}]*)\}\}")


def original(marked: str) -> str:
    """The mail as it was written."""
    return _MARK.sub(lambda match: match[2], marked)


def expected(marked: str, kinds: frozenset[Kind]) -> str:
    """The mail with what is marked as one of `kinds` replaced."""
    return _MARK.sub(lambda match: f"[{match[1]}]" if match[1] in kinds else match[2], marked)


def test_the_samples_have_every_kind_in_both_languages() -> None:
    """A kind without a sample would be tested nowhere."""
    assert {language: len(mails) for language, mails in SAMPLES.items()} == {"en": 12, "tr": 12}
    for mails in SAMPLES.values():
        assert {match[1] for mail in mails for match in _MARK.finditer(mail)} == KINDS


@pytest.mark.parametrize(("language", "number"), MAILS)
def test_personal_data_goes_and_nothing_else(language: str, number: int) -> None:
    """With every kind on: what is marked is replaced, each other character stays."""
    mail = SAMPLES[language][number]
    assert redact(original(mail), KINDS, language) == expected(mail, KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(("language", "number"), MAILS)
def test_each_kind_is_a_choice(language: str, number: int, kind: Kind) -> None:
    """Alone it is the only one that goes; left out it is the only one that stays: no other kind takes its place."""
    mail = SAMPLES[language][number]
    for kinds in (frozenset({kind}), KINDS - {kind}):
        assert redact(original(mail), kinds, language) == expected(mail, kinds)


def test_no_kind_changes_nothing() -> None:
    """An empty choice keeps every mail as it is."""
    mail = original(SAMPLES["tr"][0])
    assert redact(mail, frozenset(), "tr") == mail


@pytest.mark.parametrize(
    "text",
    [
        "PO 4500771203",
        "PO number 5321234567, please confirm",
        "order 0532 is late",
        "Order no. 2125550144 of 12.03.2026",
        "sipariş no 5321234567",
        "invoice 2026-0417-5512",
        "card 4111 1111 1111 1112 fails Luhn",
        "GB28 NWBK 6016 1331 9268 19 has wrong check digits",
        "TR14 0006 2000 0000 1234 5678 90 da hatalı",
        "TC 21436587973 geçersiz",
        "666-12-3456 is no SSN that was ever given",
        "SO-99182-4111111111111111",
        "tracking 00340434161094042557",
        "takip no 9400 1118 9922 3304 4175 06",
        "12.03.2026 14:30 - 16:00",
        "call on 12.03.2026 at 14:30",
        "2026-03-11 09:42:00",
        "€ 28.914,00 and 1.250.000,00 TL",
        "192.168.10.254",
        "12 Street lamps and 40 Road signs, 3 Way valves",
        "5 adet Sok. tabelası, No: 3 kutu",
        "orders@norvale.example, ap@norvale.example, sales.uk@norvale.example",
        "4417-4418-4419-4420-4421",
        "v1.2.3.4 build 20260311",
        "#5551230147",
    ],
)
@pytest.mark.parametrize("language", ["en", "tr"])
def test_what_only_looks_like_it_stays(text: str, language: str) -> None:
    """Codes, dates and amounts, and numbers whose check digits are wrong."""
    assert redact(text, KINDS, language) == text


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("Tel.: 5551230147", "en", "Tel.: [phone]"),
        ("532 000 41 18", "tr", "[phone]"),
        ("Telefon: 030 / 555 01 44", "de", "Telefon: [phone]"),
        ("044051401359", "pl", "044051401359"),
        ("PESEL 44051401359", "en", "PESEL [national_id]"),
        ("44051401359", "pl", "[national_id]"),
        ("BSN: 111222333", "en", "BSN: [national_id]"),
        ("DNI 54362315-K", "en", "DNI [national_id]"),
        ("C.F. RCCMNL83S18D969H", "en", "C.F. [national_id]"),
        ("nl91 abna 0417 1643 00", "en", "[bank]"),
        ("GSM +90 532 000 22 76 / +90 532 000 22 77", "tr", "GSM [phone] / [phone]"),
        ("AB123456C", "en", "AB123456C"),
        ("NINO: AB123456C", "en", "NINO: [national_id]"),
        ("<mailto:jo@firm.example>", "en", "<mailto:[email]>"),
    ],
)
def test_a_label_or_the_language_decides(text: str, language: str, wanted: str) -> None:
    """Bare digits are a number of somebody only where the word before them or the country says so."""
    assert redact(text, KINDS, language) == wanted


def test_stretches_move_with_the_text() -> None:
    """A marked entity is found again in the redacted text; one that was redacted is not."""
    text = "Call 07700 900417 about PO 4500771203, mail jo@firm.example."
    found = inspect(text, KINDS, "en")
    start = text.index("4500771203")
    assert found.kinds == ("email", "phone")
    moved = found.moved(start, start + 10)
    assert moved is not None
    assert found.text[slice(*moved)] == "4500771203"
    assert found.moved(0, 4) == (0, 4)
    assert found.moved(text.index("900417"), text.index("900417") + 6) is None


def test_the_address_of_a_known_desk_stays() -> None:
    """What a person or the model marked as a team's mailbox is one, whatever its name."""
    text = "Write to yardsys@grocer.example or to jo@grocer.example."
    desk = (text.index("yardsys"), text.index(" or"))
    assert inspect(text, KINDS, "en", desks=[desk]).text == "Write to yardsys@grocer.example or to [email]."


_PIECES = st.sampled_from(
    [
        *"0123456789 ./-+()@#,:\n", "0532", "000", "41 18", "+90 ", "Tel ", "T ", "order ", "PO ", "TC ", "call ", "IBAN ",
        "TR13 0006 2000 0000 1234 5678 90", "21436587972", "4111 1111 1111 1111", "jo@firm.example", "[phone]", "[card]",
        "[national_id]", "sales@firm.example", "14 Marlowe Crescent", "Gül Mah. ", "Ay Sok. ", "No: 4", "CAS-091284-B0C6Q4",
        "DE89 3704 0044 0532 0130 00", "EUR ", "901 555 0132", "536-90-4399", "a", "ı",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=24).map("".join), st.sampled_from(["en", "tr", "de", "other"]))
def test_twice_is_as_once(text: str, language: str) -> None:
    """What redaction wrote is nothing to redact, and gives nothing else away to be found."""
    once = redact(text, KINDS, language)
    assert redact(once, KINDS, language) == once


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.sets(st.sampled_from(sorted(KINDS))))
def test_any_text_is_taken(text: str, kinds: set[Kind]) -> None:
    """Nothing raises, finds are in order and apart, and what lies between them is the text's own."""
    found = inspect(text, frozenset(kinds), "en")
    done, rebuilt = 0, ""
    for find in found.finds:
        assert done <= find.start < find.end
        rebuilt += text[done : find.start] + placeholder(find.kind)
        done = find.end
    assert rebuilt + text[done:] == found.text


@pytest.mark.parametrize(
    "piece",
    ["1", "1 ", "0532 ", "a@", "a.", "a@b.", "TR13 ", "Aa ", "12 Aa Bb ", "Ay Sok. ", "(", "+", "No: 1 ", "1-", "[phone]",
     "4111 1111 1111 1111 ", "Tel ", "\n", "1.1.", "AB 12 34 56 ", "A" * 25 + " ", "Mah. "],
)  # fmt: skip
def test_hostile_text_takes_linear_time(piece: str) -> None:
    """Eight times the text takes about eight times as long: the better of two, with room for a busy machine."""

    def seconds(size: int) -> float:
        text, best = (piece * size)[:size], 9.0
        for _ in range(2):
            began = time.process_time()
            redact(text, KINDS, "tr")
            best = min(best, time.process_time() - began)
        return best

    assert seconds(4_000) < max(seconds(500), 0.01) * 8 * 2.5


def test_an_unknown_kind_is_refused() -> None:
    """A misspelt kind would leave in what it names."""
    with pytest.raises(ValueError, match="no kinds of personal data: phones; there are address, "):
        redact("07700 900417", frozenset({"phones"}), "en")


def test_the_kinds_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """All by default; a list chooses; an unknown kind is refused by name."""
    assert frozenset(load_settings().redact) == KINDS
    monkeypatch.setenv("MAILWEIR_REDACT", '["phone", "card"]')
    assert load_settings().redact == ("phone", "card")
    monkeypatch.setenv("MAILWEIR_REDACT", "[]")
    assert load_settings().redact == ()
    monkeypatch.setenv("MAILWEIR_REDACT", '["phone", "fax"]')
    with pytest.raises(SettingsError, match=r"MAILWEIR_REDACT\.1.*'national_id' or 'phone'"):
        load_settings()
