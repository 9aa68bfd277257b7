"""Warnings of one mail: codes of what was odd and how it was repaired, in the order in which they were met."""

from __future__ import annotations

from typing import Final

__all__ = ["NOTES", "Notes"]

NOTES: Final[dict[str, str]] = {
    "address_unreadable": "an address header has an entry without a readable address; its text is kept as the name",
    "base64_repaired": "base64 with foreign characters, missing padding or text behind it; what could be read is kept",
    "body_cut": "the body is longer than MAILWEIR_INGEST_MAX_BODY_CHARS and was cut there",
    "body_from_attachment": "nothing but attached text: the body is the text of the attachment",
    "body_from_calendar": "nothing but an invitation: the body is its summary, time and place",
    "body_from_hidden_html": "the HTML shows no text: the body is what it hides",
    "body_from_status": "nothing but a delivery status: the body is its fields",
    "boundary_guessed": "a multipart whose boundary is missing or wrong; the one in the text was taken",
    "boundary_unusable": "a multipart without any boundary; its content is read as text",
    "characters_removed": "control characters or lone surrogates were removed from the text",
    "charset_guessed": "no usable charset was declared for 8-bit text; it was guessed",
    "charset_wrong": "the text does not fit its declared charset; another one was taken",
    "date_absurd": "the date is before 1990 or more than a year after arrival; null",
    "date_missing": "there is no Date field",
    "date_unreadable": "the Date field cannot be read; null",
    "date_without_zone": "the date names no time zone; UTC is assumed",
    "encrypted": "encrypted content: only what is readable without a key is here",
    "from_missing": "there is no From field",
    "header_broken": "lines in the header block that are no header fields",
    "header_repeated": "From, Subject, Date or Message-ID more than once; the first counts",
    "html_in_plain_text": "a plain text part that holds HTML; converted",
    "ids_cut": "more than 200 references; the first and the last ones are kept",
    "line_endings_repaired": "doubled carriage returns",
    "part_encoded_mail": "an attached mail in a transfer encoding that RFC 2046 forbids; decoded",
    "part_unreadable": "a part that the parser could not take apart; read as text",
    "recipients_cut": "more than 1,000 addresses in one field; the first ones are kept",
    "separator_missing": "no empty line between header and body",
    "smime": "an S/MIME container: its text was taken out, its signature not verified",
    "subject_cut": "the subject is longer than 4,096 characters and was cut",
    "tnef": "a winmail.dat container that is not unpacked",
    "truncated_multipart": "a multipart that ends without its closing boundary",
}
"""Every warning code and what it means."""


class Notes:
    """Collects warning codes, each once."""

    def __init__(self) -> None:
        self._codes: dict[str, None] = {}

    def add(self, code: str) -> None:
        """Note `code`, one of `NOTES`."""
        if code not in NOTES:
            raise KeyError(code)
        self._codes[code] = None

    def codes(self) -> tuple[str, ...]:
        """The codes so far."""
        return tuple(self._codes)
