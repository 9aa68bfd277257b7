"""Sentences: where they end in five languages, what is left out of them, and that no character is lost."""

from __future__ import annotations

import itertools
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.newest import is_greeting, newest_sentences
from mailweir.models.text.sentences import split_sentences
from mailweir.models.text.zone import split_zones


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


def newest(body: str, subject: str = "") -> list[str]:
    given = compose_fields(subject, "ann@example.org", "sales", body, split_zones(body))
    return [sentence.text for sentence in newest_sentences(given)]


ENGLISH = ["The crate from Messrs. Oakley arrived at 5 p.m. Friday.", "Dr. A. Bell (ext. 12) signed for it, e.g. the lid.", "Is No. 7 yours?", "Call me!"]  # fmt: skip
TURKISH = ["Kaya Ltd. Şti. adına 3. kattaki kasa için 1.250,00 TL ödedik.", "Fatura No. 4417 ve bkz. ek.", "Ödeme 14. Mart günü mü yapıldı?", "Bekliyoruz."]  # fmt: skip
GERMAN = ["Die Ware kommt am 3. Mai, z. B. um 8 Uhr.", "Hr. Vogt hat ca. 40 St. bestellt, inkl. MwSt.", "Passt Ihnen das?", "Bitte melden."]  # fmt: skip
FRENCH = ["M. Roux attend le devis réf. 88-B de Mme. Petit.", "Il a dit : « On verra demain. »", "Pouvez-vous confirmer ?", "C'est pressé !"]  # fmt: skip
SPANISH = ["La Sra. Gil pide la fra. 25-00412 por 1.250,00 €.", "¿La mandan hoy?", "¡Gracias por todo!", "Aprox. 40 cajas."]  # fmt: skip


@pytest.mark.parametrize("wanted", [ENGLISH, TURKISH, GERMAN, FRENCH, SPANISH], ids=["en", "tr", "de", "fr", "es"])
def test_a_paragraph_falls_into_its_sentences(wanted: list[str]) -> None:
    """Titles, firms, ordinal numbers, dates, amounts and quotation end nothing."""
    assert split(" ".join(wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ship v2.1.3 of CAS-091284.B0 today. Thanks", ["Ship v2.1.3 of CAS-091284.B0 today.", "Thanks"]),
        ("see www.example.org/a.b?c=1 and reply", ["see www.example.org/a.b?c=1 and reply"]),
        ("we stop at 4. no truck came. tell me", ["we stop at 4.", "no truck came.", "tell me"]),
        ("Well... that was it. Bye", ["Well... that was it.", "Bye"]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("It is 36 m. The pump is 40 m.", ["It is 36 m.", "The pump is 40 m."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("1. First thing\n2. Second thing. With more", ["1. First thing", "2. Second thing.", "With more"]),
        ("a. Blazer    420    Rs. 2,150", ["a. Blazer    420    Rs. 2,150"]),
        ("PO: 4417\nDate: 3 May", ["PO: 4417", "Date: 3 May"]),
        ("We need:\nfour hinges\none lid", ["We need:", "four hinges", "one lid"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_codes_lists_and_careless_writing(text: str, wanted: list[str]) -> None:
    """A point inside a word is part of it; a line of a list stands alone; who writes small begins sentences small."""
    assert split(text) == wanted


def test_a_sentence_goes_on_where_a_program_wrapped_it() -> None:
    """Lines of about 72 characters are one paragraph; a short line, a list and a blank line end it."""
    body = (
        "The two crates that you sent to our Ghent site in the first week of May\n"
        "Have never been unloaded, because nobody had told the gate that they were\n"
        "coming. Please call them.\n"
        "- gate 4\n"
        "- gate 5\n\n"
        "Regards"
    )
    first = body[: body.index(" Please")]
    assert split(body) == [first, "Please call them.", "- gate 4", "- gate 5", "Regards"]


@given(st.text(alphabet="aB1 .!?\n\t-:,»’ğ\u00a0\r|", max_size=200) | st.text(max_size=200))
def test_nothing_but_blanks_is_lost(text: str) -> None:
    """Whatever is written: sentences are in order, do not overlap, have no blanks at their edges, and hold all else."""
    found = list(split_sentences(text))
    assert all(bounds.start < bounds.end for bounds in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert all(text[start:end] == text[start:end].strip() for start, end in found)
    edges = [0, *itertools.chain.from_iterable(found), len(text)]
    assert not "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)).strip()


@pytest.mark.parametrize("piece", ["a. ", "? ", ".", "z.B. ", "A.B.", "Abc: ", "x   ", "word "])
def test_the_time_grows_with_the_length(piece: str) -> None:
    """Four times as much text takes no more than nine times as long: a quadratic splitter would take sixteen."""

    def seconds(size: int) -> float:
        text, times = piece * (size // len(piece)), []
        for _ in range(5):
            start = process_time()
            list(split_sentences(text))
            times.append(process_time() - start)
        return min(times)

    assert seconds(40_000) < 9 * seconds(10_000) + 0.005


BODY = """Hi Tom,

the two crates for Ghent (PO 4417) never came. Could you trace them by Friday?

- crate 1: hinges
- crate 2: lids

Best regards
Ann Keller
+44 20 7946 0958

On 3 May 2026 Tom wrote:
> We shipped both on Monday. Please confirm.
"""


def test_only_the_newest_text_can_sum_a_mail_up() -> None:
    """No greeting, no signature, no quoted history; bullets are not a part of what they mark."""
    assert newest(BODY) == [
        "the two crates for Ghent (PO 4417) never came.",
        "Could you trace them by Friday?",
        "crate 1: hinges",
        "crate 2: lids",
    ]


def test_what_is_passed_on_counts_without_its_header() -> None:
    """A forwarded mail is read after what was written above it."""
    body = (
        "This one is for you.\n\n---------- Forwarded message ----------\nFrom: Sam <sam@example.org>\n"
        "Date: Fri, 6 Feb 2026 09:02\nSubject: two hum\nTo: <hello@example.com>\n\nTwo of the four speakers hum.\n"
    )
    assert newest(body) == ["This one is for you.", "Two of the four speakers hum."]


@pytest.mark.parametrize("body", ["", "\n\n", "> old\n> older\n", "-- \nAnn", "12 34", "x" * 2_000])
def test_some_mails_have_no_sentence_of_their_own(body: str) -> None:
    """Empty, only quoted, only numbers, or a blob."""
    assert [text for text in newest(body) if text not in {"-- Ann", "Ann"}] == []


def test_a_sentence_stands_where_it_says() -> None:
    """Its places are those of the text that the model is given, with blanks joined."""
    given = compose_fields("PO  4417", "ann@example.org", "sales", BODY, split_zones(BODY))
    found = newest_sentences(given)
    assert [given.text[one.start : one.end] for one in found] == [one.text for one in found]


@pytest.mark.parametrize(
    ("text", "greets"),
    [
        ("Hi Tom,", True),
        ("Dear Mr. van Dorsten,", True),
        ("Ayşe Hanım merhaba,", True),
        ("Sayın Yetkili,", True),
        ("Mehmet Bey", True),
        ("Sehr geehrte Damen und Herren,", True),
        ("Bonjour,", True),
        ("Buenos días, Clara:", True),
        ("Hi Tom, please call me back today", False),
        ("Hello, is PO 4417 there?", False),
        ("Team lunch moves to Friday", False),
        ("Dear customer relations need a new lead", False),
    ],
)
def test_greetings_are_told_from_sentences(text: str, greets: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """By their first words, their length and how they end."""
    assert is_greeting(text) is greets
