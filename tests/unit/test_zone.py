"""Zones: which part of a body is new text, quoted history, signature, disclaimer or forwarded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailweir.models.text.zone import MAX_ZONES, split_zones


def kinds(body: str) -> list[tuple[str, str]]:
    return [(zone.kind, body[zone.start : zone.end].strip()) for zone in split_zones(body)]


def only(body: str) -> list[str]:
    return [kind for kind, _ in kinds(body)]


def test_plain_text_is_new() -> None:
    """A mail without anything special is one zone."""
    assert kinds("Two sacks, please.\n\nBy Friday.") == [("new", "Two sacks, please.\n\nBy Friday.")]


def test_empty_body_has_no_zones() -> None:
    """Nothing to cover."""
    assert split_zones("") == ()
    assert only("\n \n") == ["new"]


@pytest.mark.parametrize(
    "attribution",
    [
        "On Mon, 2 Mar 2026 at 10:00, Odile Marchand <odile@shelf.example> wrote:",
        "On Mon, 2 Mar 2026 at 10:00, Odile Marchand\n<odile@shelf.example> wrote:",
        "2 Mar 2026 Pzt, 10:00 tarihinde Ali Veli <ali@depo.example> şunu yazdı:",
        "Ali Veli <ali@depo.example>, 2 Mar 2026 Pzt, 10:00 tarihinde\nşunu yazdı:",
        "Am Mo., 2. März 2026 um 10:00 Uhr schrieb Jan Roth <jan@werk.example>:",
        "Le lun. 2 mars 2026 à 10:00, Luc Petit <luc@port.example> a écrit :",
        "El lun, 2 mar 2026 a las 10:00, Ana Ruiz (<ana@sol.example>) escribió:",
    ],
)
@pytest.mark.parametrize("marked", [True, False])
def test_history_below_an_attribution_is_quoted(attribution: str, *, marked: bool) -> None:
    """The line of who wrote what when and the text below it are quoted, with marks and without."""
    history = "> Can you come?\n> Or not?" if marked else "Can you come?\nOr not?"
    body = f"Yes, gladly.\n\n{attribution}\n\n{history}"
    assert kinds(body) == [("new", "Yes, gladly."), ("quoted", f"{attribution}\n\n{history}")]


def test_sentence_that_ends_like_an_attribution_is_new() -> None:
    """People write `as she said:` themselves; only marked lines below make it one."""
    assert only("As the captain wrote:\n\nnever trust the tide table.") == ["new"]
    assert only("Captain wrote:\n> never trust the tide table.\n\nI agree.") == ["quoted", "new"]


def test_answers_between_quotes_are_new() -> None:
    """Text between quoted lines is the writer's."""
    body = "> When?\nAt noon.\n> Where?\nAt the mill."
    assert kinds(body) == [("quoted", "> When?"), ("new", "At noon."), ("quoted", "> Where?"), ("new", "At the mill.")]


@pytest.mark.parametrize(
    ("sender", "date", "to", "subject"),
    [
        ("From", "Sent", "To", "Subject"),
        ("Gönderen", "Gönderildi", "Kime", "Konu"),
        ("Kimden", "Tarih", "Kime", "Konu"),
        ("Von", "Gesendet", "An", "Betreff"),
        ("De", "Envoyé", "À", "Objet"),
        ("De", "Enviado el", "Para", "Asunto"),
    ],
)
def test_header_block_begins_the_history(sender: str, date: str, to: str, subject: str) -> None:
    """Below new text it is the mail that is answered; with nothing above it the mail that is passed on."""
    block = f"{sender}: Jan Roth <jan@werk.example>\n{date}: 2.3.2026 10:00\n{to}: lena@mill.example\n{subject}: Mehl\n\nHello."
    assert kinds(f"Thank you, done.\n\n{block}") == [("new", "Thank you, done."), ("quoted", block)]
    assert kinds(block) == [("forwarded", block)]


def test_travel_plan_is_no_header_block() -> None:
    """From, To and Date of a journey are the message."""
    assert only("Your booking\n\nFrom: Izmir\nTo: Ankara\nDate: 2 March\n\nHave a good trip.") == ["new"]


@pytest.mark.parametrize(
    "mark",
    [
        "-----Original Message-----",
        "-------- Ursprüngliche Nachricht --------",
        "-----Message d'origine-----",
        "-----Mensaje original-----",
        "-----Orijinal Mesaj-----",
    ],
)
def test_original_message_is_quoted(mark: str) -> None:
    """Everything below the rule is history."""
    assert only(f"Fine.\n\n{mark}\nFrom: Jan\n\nHello.\nRegards\nJan") == ["new", "quoted"]


@pytest.mark.parametrize(
    "mark",
    [
        "---------- Forwarded message ----------",
        "---------- Forwarded message ---------",
        "Begin forwarded message:",
        "-------- Weitergeleitete Nachricht --------",
        "-------- Message transféré --------",
        "-------- Mensaje reenviado --------",
        "---------- İletilen ileti ----------",
        "-------- Yönlendirilmiş Mesaj --------",
    ],
)
def test_forwarded_mail_is_forwarded(mark: str) -> None:
    """Everything below the mark is somebody else's mail, its quotes and signatures included."""
    body = f"Who takes this?\n\n{mark}\nFrom: Jan <jan@werk.example>\n\nHello.\n> old\n-- \nJan"
    assert only(body) == ["new", "forwarded"]
    assert only(body.partition("\n\n")[2]) == ["forwarded"]


def test_text_below_the_end_of_a_forward_is_new() -> None:
    """Some programs close what they opened."""
    body = "--- Forwarded message ---\nFrom: a\n\nHello.\n--- End forwarded message ---\nPlease answer her."
    assert kinds(body)[1] == ("new", "Please answer her.")


@pytest.mark.parametrize(
    "ending",
    [
        "-- \nLena Vogt\nMill & Sons",
        "Best regards,\nLena Vogt\nMill & Sons\nT +49 30 5550142",
        "Kind regards\n\nLena",
        "Thanks,\nLena",
        "Saygılarımla,\nNermin Çağlayan\nSatın Alma",
        "İyi çalışmalar\nNermin",
        "Mit freundlichen Grüßen\nJan Roth\nWerk GmbH",
        "Gruß Torben",
        "Cordialement,\nLuc Petit",
        "Un saludo,\nAna",
        "Sent from my iPhone",
        "iPhone'umdan gönderildi",
        "Von meinem iPhone gesendet",
        "Lena Vogt\nHead of grain\nPhone: +49 30 5550142\nwww.mill.example",
    ],
)
def test_ending_is_a_signature(ending: str) -> None:
    """Closing formulas with names, visiting cards and the phone's own line are signatures."""
    body = f"Please send two sacks of rye.\n\n{ending}"
    assert kinds(body) == [("new", "Please send two sacks of rye."), ("signature", ending)]


def test_postscript_is_new_again() -> None:
    """What stands below the signature on purpose is read."""
    assert kinds("Two sacks.\n\nRegards,\nLena\n\nPS: make it three.")[-1] == ("new", "PS: make it three.")


def test_thanks_before_a_question_is_no_signature() -> None:
    """A formula with sentences behind it is a part of the text."""
    assert only("Thanks,\nbut could you also send the invoice for the last two deliveries today?") == ["new"]


@pytest.mark.parametrize(
    "body",
    ["Best regards,\nLena", "-- \nLena", "Sent from my iPhone", "Thanks", "T +49 30 5550142\nM +49 170 5550142"],
)
def test_never_all_signature(body: str) -> None:
    """What would be nothing but signature is the message."""
    assert only(body) == ["new"]


@pytest.mark.parametrize(
    "notice",
    [
        "This e-mail and any attachments are confidential and intended solely for the addressee. Delete it if it is not yours.",
        "If you are not the intended recipient of this message, please notify the sender and delete every copy.",
        "Bu e-posta ve ekleri gizlidir; yalnızca gönderildiği kişi içindir. Size yanlışlıkla ulaştıysa siliniz.",
        "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind, löschen Sie sie.",
        "Ce message et ses pièces jointes sont strictement confidentiels. Si vous n'êtes pas le destinataire, effacez-le.",
        "Este mensaje y sus adjuntos pueden contener información confidencial. Si no es el destinatario, bórrelo.",
    ],
)
def test_notice_is_a_disclaimer(notice: str) -> None:
    """Notices in five languages are told from the message; a mail of nothing else keeps its text as new."""
    assert only(f"Two sacks, please.\n\nRegards,\nLena\n\n{notice}") == ["new", "signature", "disclaimer"]
    assert only(notice) == ["new"]


def test_list_footer_is_a_signature() -> None:
    """A long rule with the words of a mailing list below it ends the text."""
    rule = "_" * 47
    assert only(f"I agree.\n\n{rule}\nBells mailing list\nhttps://bells.example/listinfo") == ["new", "signature"]


def test_quote_only_stays_quoted() -> None:
    """A mail of nothing but quotes keeps them marked."""
    assert only("> one\n> two") == ["quoted"]


def test_lone_arrow_inside_a_text_is_new() -> None:
    """One line with an arrow is a button or a list, not history; as the first line it is what is answered."""
    assert only("Your account is locked.\n> CONFIRM NOW\nThe team") == ["new"]
    assert only("> Can you come?\nYes.") == ["quoted", "new"]


def test_long_dash_before_sentences_is_no_signature() -> None:
    """Newsletters part their sections with it; before short lines it begins a signature."""
    sentence = "We asked the author where the soil came from and she told us a long story about it."
    assert only(f"First section.\n\n—\n\n{sentence}") == ["new"]
    assert only("First section.\n\n—\nLena Vogt") == ["new", "signature"]


def test_escaped_from_line_is_no_quote() -> None:
    """`>From ` is how an mbox writes a line that begins with From."""
    assert only(">From here on it gets steep.") == ["new"]


def test_number_of_zones_is_bounded() -> None:
    """A body of alternating lines ends in one zone of new text, so that an Email has a size."""
    zones = split_zones("> a\nb\n" * 5000)
    assert len(zones) == MAX_ZONES
    assert zones[-1].kind == "new"


_LINES = st.sampled_from(
    ["> q", "new text", "", "-- ", "Regards,", "Lena", "From: a@b.example", "Sent: 1.1.2026", "To: c@d.example",
     "On 1 Jan 2026, Bo <b@c.example> wrote:", "---------- Forwarded message ----------", "-----Original Message-----",
     "this message is confidential and intended only for the addressee, thank you", "PS: x", "\r", "\x85", " ", "\u2028"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_LINES, st.text(max_size=30)), max_size=30))
def test_zones_cover_every_body_without_gaps(lines: list[str]) -> None:
    """Whatever the body, the zones are its text in order, neighbours differ, and it is never all ending."""
    body = "\n".join(lines)
    zones = split_zones(body)
    assert "".join(body[zone.start : zone.end] for zone in zones) == body
    assert all(one.kind != two.kind for one, two in pairwise(zones))
    if body.strip():
        assert {zone.kind for zone in zones} & {"new", "quoted", "forwarded"}


@pytest.mark.parametrize(
    "pattern",
    ["On a\n", "On " + "a" * 50, "From: a@b\nDate: x\n", "> a\nb\n", "Thanks,\n", "_" * 30 + "\n", "a wrote:\n", "\n",
     "this message is confidential ", "---------- Forwarded message\n--- end forwarded\n", "a\r", " ", "best "],
)  # fmt: skip
def test_hostile_megabyte_is_split_in_linear_work(pattern: str) -> None:
    """A megabyte made to slow the patterns down is still covered; a quadratic split would not end within the suite's limit."""
    body = pattern * (1_000_000 // len(pattern))
    zones = split_zones(body)
    assert zones[0].start == 0
    assert zones[-1].end == len(body)
