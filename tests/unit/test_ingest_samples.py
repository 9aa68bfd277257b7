"""Each own-written sample mail comes out as a mail reader would show it, with the warnings that say what was repaired."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailweir.schemas.events import Email
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.notes import NOTES
from mailweir.services.ingest.parse import parse
from mailweir.services.ingest.raw import RawMail

SAMPLES = Path(__file__).parents[1] / "samples" / "ingest"
TRUSTED = ParseLimits(trusted_hosts=("mx.grain.example",))


@dataclass(frozen=True)
class Expected:
    """What a sample must give."""

    body: str  # all of it
    warnings: set[str] = field(default_factory=set)
    subject: str | None = None
    attachments: tuple[str, ...] = ()
    zones: tuple[str, ...] | None = None


def _forwarded(*lines: str) -> str:
    return "\n".join(("---------- Forwarded message ----------", *lines))


EXPECTED = {
    "alternative": Expected("We open at eight."),
    "alternative-empty-text": Expected("Only the HTML half says that the ferry is late."),
    "alternative-stub": Expected(
        "Two tickets for the lighthouse tour,\nSaturday at ten.\n\nAdult\t2\nChild\t1\n\nPrint them"
    ),
    "attached-text-only": Expected(
        "Present: four of us. Absent: the treasurer.", {"body_from_attachment"}, attachments=("minutes.txt",)
    ),
    "attachments": Expected("Three drawings attached.", attachments=("Çizim 1.pdf", "plãn.png", "plan.dwg")),
    "authentication": Expected("Who says so?"),
    "base64-damaged": Expected(
        "The bell rings at noon on Sundays\n_______________________________________________\n"
        "Bells mailing list, unsubscribe at bells.example",
        {"base64_repaired"},
        zones=("new", "signature"),
    ),
    "base64-not": Expected("This text was never encoded, whatever the header says.", {"base64_repaired"}),
    "bounce": Expected(
        "Reporting-MTA: dns; relay.example\n\nFinal-Recipient: rfc822; nobody@grain.example\n"
        "Action: failed\nStatus: 5.1.1",
        {"body_from_status"},
    ),
    "boundary-missing": Expected("First part, found all the same.\n\nSecond part.", {"boundary_guessed"}),
    "boundary-none": Expected("Just text where parts should be.", {"boundary_unusable"}),
    "boundary-unclosed": Expected("The line went dead after thi", {"truncated_multipart"}),
    "charset-cyrillic-undeclared": Expected(
        "Здравствуйте, мы получили ваше письмо о поставке муки и ответим вам завтра утром.",
        {"charset_guessed"},
    ),
    "charset-latin5-as-latin1": Expected("Paketiniz yarın dağıtıma çıkacak."),
    "charset-missing": Expected(
        "İki düzine gül ve şakayık rica ediyorum, öğleden önce.",
        {"charset_guessed"},
        "Çiçek siparişi",
    ),
    "charset-unknown": Expected("El año próximo habrá más."),
    "charset-wrong": Expected("Größere Mühlsteine kosten mehr, schöne Grüße.", {"charset_wrong"}),
    "control-characters": Expected("nul  here", {"characters_removed"}, "bell and nul"),
    "date-absurd": Expected("Clock not set.", {"date_absurd"}),
    "date-future": Expected("Top of the list.", {"date_absurd"}),
    "date-no-zone": Expected("Where?", {"date_without_zone"}),
    "date-unreadable": Expected("When?", {"date_unreadable"}),
    "encoded-words": Expected("Short.", {"address_unreadable"}, "Re: ücretsiz nakliye ü for =?broken"),
    "encrypted": Expected("", {"encrypted"}, attachments=("", "encrypted.asc")),
    "enriched": Expected("Mind the step at the mill."),
    "flowed": Expected(
        "This paragraph was wrapped by the sender and is one line.\n\n> quoted lines\n> stay.\n--\nLena",
        zones=("new", "quoted", "signature"),
    ),
    "forward-encoded": Expected(
        _forwarded("From: ada@pump.example", "Subject: pump 7", "", "Pump seven drips again."),
        {"part_encoded_mail"},
        attachments=("pump.eml",),
        zones=("forwarded",),
    ),
    "forward-inline": Expected(
        "See below, who has the keys?\n\n-------- Forwarded Message --------\nSubject: keys\n"
        "Date: Mon, 2 Mar 2026 08:00:00 +0000\nFrom: Hal <hal@lock.example>\nTo: lena@mill.example\n\n"
        "I left them with the porter.",
        zones=("new", "forwarded"),
    ),
    "forward-nested": Expected(
        "Can you answer him?\n\n"
        + _forwarded(
            "From: Pavel Novak <pavel@jars.example>",
            "Date: Mon, 02 Mar 2026 18:00:00 +0100",
            "Subject: prasklé sklenice",
            "To: lena@mill.example",
            "",
            "Dvě sklenice byly prasklé.",
        ),
        attachments=("jar.jpg",),
        zones=("new", "forwarded"),
    ),
    "header-broken": Expected(
        "Text below a broken header.",
        {"header_broken"},
        "a long subject that some program folded without indenting it",
    ),
    "header-doubled-returns": Expected("Every line ends twice.", {"line_endings_repaired"}),
    "header-mbox": Expected("Taken out of an mbox."),
    "header-no-separator": Expected("The text follows without an empty line\nand goes on.", {"separator_missing"}),
    "header-repeated": Expected("Who wrote this?", {"header_repeated"}, "one"),
    "html-hidden-only": Expected("The whole message hides in here.", {"body_from_hidden_html"}),
    "html-in-plain": Expected("Stock list\n\nNine anchors left.", {"html_in_plain_text"}),
    "html-reply": Expected(
        "Wednesday suits me.\nOn Mon, 2 Mar 2026 at 10:00, Odile <odile@shelf.example> wrote:\n"
        "> Shall we come on Wednesday?\n> Odile",
        zones=("new", "quoted"),
    ),
    "invitation": Expected(
        "Invitation: Harvest meeting\n"
        "When: 2026-03-10 14:00 (Europe/Istanbul) - 2026-03-10 15:00 (Europe/Istanbul)\n"
        "Where: Barn two, upper floor\nFrom: lena@mill.example\n\nBring the long table.\nAnd chairs.",
        {"body_from_calendar"},
        attachments=("",),
    ),
    "no-from": Expected("No author, no date.", {"from_missing", "date_missing"}),
    "plain": Expected("Please send two sacks of rye by Friday."),
    "quoted-printable-damaged": Expected("100 =% sure, ü stays and = this too, joined."),
    "related": Expected("Our new sign:\n\n[image: a blue millstone]", attachments=("sign.gif",)),
    "signed": Expected("Signed text stays readable.", attachments=("signature.asc",)),
    "smime-encrypted": Expected("", {"encrypted"}, attachments=("smime.p7m",)),
    "smime-signed": Expected("The signed order: nine sacks, ü included.", {"smime"}),
    "surrogates": Expected("half  pair", {"characters_removed"}, "half"),
    "text-and-invitation": Expected("Lunch on Thursday?", attachments=("",)),
    "tnef": Expected("The plain half of it.", {"tnef"}, attachments=("winmail.dat",)),
    "winmail": Expected("Only the name gives it away.", {"tnef"}, attachments=("WINMAIL.DAT",)),
}


def sample(name: str) -> Email:
    return parse(RawMail((SAMPLES / f"{name}.eml").read_bytes(), "orders"), TRUSTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_sample_is_read_as_a_mail_reader_shows_it(name: str) -> None:
    """Body, warnings and attachments of the sample are exactly the expected ones, and the zones cover the body."""
    email, expected = sample(name), EXPECTED[name]
    assert email.body == expected.body
    assert set(email.warnings) == expected.warnings
    assert tuple(attachment.name for attachment in email.attachments) == expected.attachments
    if expected.subject is not None:
        assert email.subject == expected.subject
    if expected.zones is not None:
        assert tuple(zone.kind for zone in email.zones) == expected.zones
    assert "".join(email.body[zone.start : zone.end] for zone in email.zones) == email.body
    assert Email.decode(email.encode()) == email


def test_every_sample_is_expected() -> None:
    """No sample lies in the folder untested."""
    assert {path.stem for path in SAMPLES.glob("*.eml")} == set(EXPECTED)


def test_people_and_thread_of_a_plain_mail() -> None:
    """Names, addresses with lower-case domains, the thread's ids and the date in UTC are read."""
    email = sample("plain")
    assert str(email.sender) == "Lena Vogt <lena@mill.example>"
    assert [str(address) for address in email.to] == ["orders@grain.example"]
    assert [str(address) for address in email.cc] == ["Vogt, Jonas <jonas@mill.example>", "dock@grain.example"]
    assert [str(address) for address in email.reply_to] == ["Mill office <office@mill.example>"]
    assert email.message_id == "plain@mill.example"
    assert email.in_reply_to == "q1@grain.example"
    assert email.references == ("q0@grain.example", "q1@grain.example")
    assert email.date is not None
    assert email.date.isoformat() == "2026-03-03T08:15:00+00:00"
    assert email.language.code == "en"


def test_broken_address_lists_keep_what_can_be_read() -> None:
    """Groups, unquoted commas, quoted commas and an entry without an address are told apart."""
    addresses = [(address.name, address.address) for address in sample("encoded-words").to]
    assert addresses == [
        ("Un, deux", "a@x.example"),
        ("Doe, Jane", "jane@y.example"),
        ("", "b@x.example"),
        ("", "c@x.example"),
        ("broken@", ""),
    ]
    assert sample("encoded-words").sender.name == "İpek Şen"


def test_authentication_results_count_only_from_trusted_hosts() -> None:
    """The forged field is ignored, one passing signature is enough, and without trusted hosts nothing is believed."""
    (result,) = sample("authentication").authentication
    assert (result.host, result.spf, result.dkim, result.dmarc) == ("mx.grain.example", "pass", "pass", "pass")
    raw = RawMail((SAMPLES / "authentication.eml").read_bytes())
    assert parse(raw, ParseLimits()).authentication == ()


def test_no_sender_falls_back_to_the_sender_field() -> None:
    """A mail without From is not without an author."""
    assert sample("no-from").sender.address == "bot@mill.example"


def test_attachment_sizes_are_those_of_the_files() -> None:
    """Sizes are counted after transfer decoding."""
    assert [attachment.size for attachment in sample("attachments").attachments] == [9, 8, 4]


def test_warning_codes_are_documented_and_met() -> None:
    """Every code of the table is known, and most of them are shown by a sample."""
    shown = set().union(*(expected.warnings for expected in EXPECTED.values()))
    elsewhere = {"body_cut", "ids_cut", "part_unreadable", "recipients_cut", "subject_cut"}
    assert shown | elsewhere == set(NOTES)
