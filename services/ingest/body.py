"""The text of a mail and the list of its attachments, from the tree of its parts."""

from __future__ import annotations

import re

from mailweir.schemas.events import Attachment
from mailweir.services.ingest.calendar import calendar_to_text
from mailweir.services.ingest.charset import decode_text
from mailweir.services.ingest.head import Head
from mailweir.services.ingest.html import html_to_text, looks_like_html
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.notes import Notes
from mailweir.services.ingest.plaintext import clean_line, unflow
from mailweir.services.ingest.smime import signed_content
from mailweir.services.ingest.transfer import content, encoding
from mailweir.services.ingest.tree import PARSER_FAULTS, Part, parameter, parse_tree
from mailweir.services.ingest.words import decode_words

__all__ = ["FORWARD_MARK", "BodyReader"]

FORWARD_MARK = "---------- Forwarded message ----------"
"""The line before the text of a mail that is attached to a mail."""

# Text types that are data, not reading matter.
_DATA_TYPES = frozenset(
    f"text/{kind}"
    for kind in ("calendar", "css", "csv", "directory", "javascript", "rfc822-headers", "vcard", "watch-html")
) | {"text/x-amp-html", "text/x-moz-deleted", "text/x-vcard"}
_MAIL_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})
_SMIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
# A plain alternative that only says that there is another one, in the languages of our mail.
_STUB = re.compile(
    r"html|browser|tarayıcı|görüntüle|navegador|navigateur|darstell|angezeigt|afficher|visualiza|mail (?:client|program)",
    re.IGNORECASE,
)
_STUB_CHARS = 600
_PLACEHOLDER = re.compile(r"(?:\s|\[(?:image|cid|bild|resim)[^\]\n]{0,200}\])*", re.IGNORECASE)
_META_CHARSET = re.compile(rb"<meta[^>]{1,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_ENRICHED = re.compile(r"<[^<>]{0,200}>")
_FORWARDED_FIELDS = ("from", "date", "subject", "to", "cc")


class BodyReader:
    """Walks one mail. Attachments, invitations and what else is not shown as text pile up on the side."""

    def __init__(self, limits: ParseLimits, notes: Notes) -> None:
        self._limits = limits
        self._enough = 2 * limits.max_body_chars  # cleaning and joining only make it shorter
        self._notes = notes
        self._attached: list[tuple[Part, Attachment]] = []
        self._calendars: list[str] = []
        self._statuses: list[str] = []

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Attached files in the order of the mail."""
        return tuple(attachment for _, attachment in self._attached)

    def body(self, root: Part) -> str:
        """The text that a mail reader shows; without any, the next best that the mail carries."""
        text = self._read(root, depth=0)
        if text.strip():
            return text
        for note, substitute in (
            ("body_from_calendar", "\n\n".join(filter(None, self._calendars))),
            ("body_from_attachment", "\n\n".join(self._attached_texts())),
            ("body_from_status", "\n\n".join(filter(None, self._statuses))),
        ):
            if substitute.strip():
                self._notes.add(note)
                return substitute
        return ""

    def _read(self, part: Part, depth: int, *, text: bool = True) -> str:
        """Text of a part; with `text` off only its attachments are gathered."""
        self._limits.check_nesting(depth)
        kind = part.get_content_type()
        if kind.startswith("multipart/"):
            return self._multipart(part, kind, depth, text=text)
        if kind in _MAIL_TYPES and part.parts:
            return self._mail(part, depth, text=text)
        if kind == "message/delivery-status":
            self._statuses.append("\n\n".join(_status_lines(child) for child in part.parts))
            return ""
        if self._is_body(part, kind):
            return self._leaf_text(part, kind) if text else ""
        if kind in _SMIME:
            return self._smime(part, depth, text=text)
        return self._aside(part, kind)

    def _multipart(self, part: Part, kind: str, depth: int, *, text: bool) -> str:
        if kind == "multipart/encrypted":
            self._notes.add("encrypted")
        if not part.parts:
            return self._unsplit(part, kind, depth, text=text)
        if kind == "multipart/alternative":
            return self._alternative(part.parts, depth, text=text)
        texts = [self._read(child, depth + 1, text=text) for child in part.parts]
        return "\n\n".join(piece.strip("\n") for piece in texts if piece.strip())

    def _alternative(self, parts: list[Part], depth: int, *, text: bool) -> str:
        """Plain text unless it is empty or a stub; else the last, richest form that has text."""
        plain = [child for child in parts if child.get_content_type() == "text/plain"]
        rich = [child for child in parts if child.get_content_type() != "text/plain"]
        shown = "\n\n".join(filter(str.strip, (self._read(child, depth + 1, text=text) for child in plain)))
        wanted = text and _is_stub(shown)
        for child in reversed(rich):
            richer = self._read(child, depth + 1, text=wanted)
            if richer.strip():
                shown, wanted = richer, False
        return shown

    def _unsplit(self, part: Part, kind: str, depth: int, *, text: bool) -> str:
        """A multipart whose boundary is missing or wrong: the boundary that is there, else all of it as text."""
        raw = part.raw
        boundary = _visible_boundary(raw)
        if boundary is not None:
            self._notes.add("boundary_guessed")
            head = b'Content-Type: %s; boundary="%s"\n\n' % (kind.encode("ascii", "replace"), boundary)
            mended = parse_tree(head + raw, self._limits, self._notes)
            if mended.parts:
                return self._read(mended, depth + 1, text=text)
        if not raw.strip():
            return ""
        self._notes.add("boundary_unusable")
        return self._decoded(raw, "") if text else ""

    def _mail(self, part: Part, depth: int, *, text: bool) -> str:
        """An attached mail: a line that says so, its fields, its text."""
        inner = self._inner(part)
        if _disposition(part) == "attachment":
            self._attach(part, "message/rfc822", inner.size())
        said = self._read(inner, depth + 1, text=text)
        head = Head(inner, self._notes)
        fields = [f"{name.title()}: {head.text(name)}" for name in _FORWARDED_FIELDS if head.raw(name)]
        return "\n".join([FORWARD_MARK, *fields, "", said]) if text and (fields or said.strip()) else ""

    def _inner(self, part: Part) -> Part:
        inner = part.parts[0]
        if encoding(part) not in {"base64", "quoted-printable"} or inner.keys():
            return inner
        self._notes.add("part_encoded_mail")
        inner["Content-Transfer-Encoding"] = encoding(part)
        return parse_tree(content(inner, self._notes), self._limits, self._notes)

    def _smime(self, part: Part, depth: int, *, text: bool) -> str:
        """What is signed, if it is only signed; encrypted content stays closed."""
        inside = signed_content(content(part, self._notes))
        if inside is None:
            self._notes.add("encrypted")
            return self._aside(part, "application/pkcs7-mime")
        self._notes.add("smime")
        return self._read(parse_tree(inside, self._limits, self._notes), depth + 1, text=text)

    def _is_body(self, part: Part, kind: str) -> bool:
        if not kind.startswith("text/") or kind in _DATA_TYPES:
            return False
        disposition = _disposition(part)
        return disposition == "inline" or (disposition != "attachment" and not self._name(part))

    def _leaf_text(self, part: Part, kind: str) -> str:
        data = content(part, self._notes)
        if self._name(part):
            self._attach(part, kind, len(data))
        return self._text_of(part, kind, data)

    def _text_of(self, part: Part, kind: str, data: bytes) -> str:
        charset = parameter(part, "charset")
        if kind == "text/html":
            return html_to_text(self._decoded(data, charset or _meta_charset(data)), self._notes, self._enough)
        text = self._decoded(data, charset)
        if looks_like_html(text):
            self._notes.add("html_in_plain_text")
            return html_to_text(text, self._notes, self._enough)
        if kind in {"text/enriched", "text/richtext"}:
            return _ENRICHED.sub("", text)
        if parameter(part, "format").lower() == "flowed":
            return unflow(text, delete_space=parameter(part, "delsp").lower() == "yes")
        return text

    def _decoded(self, data: bytes, charset: str) -> str:
        return decode_text(data, charset, self._notes)

    def _aside(self, part: Part, kind: str) -> str:
        """A part that is not shown as text."""
        if kind in _TNEF:
            self._notes.add("tnef")
        data = content(part, self._notes)
        if kind == "text/calendar":
            self._calendars.append(calendar_to_text(self._decoded(data, parameter(part, "charset"))))
        if data or self._name(part):
            self._attach(part, kind, len(data))
        return ""

    def _attach(self, part: Part, kind: str, size: int) -> None:
        name = self._name(part)
        if name.lower() == "winmail.dat":
            self._notes.add("tnef")
        self._attached.append((part, Attachment(name=name, content_type=clean_line(kind)[:127], size=size)))

    def _name(self, part: Part) -> str:
        """File name without a path, at most 255 characters as file systems have it."""
        raw = parameter(part, "filename", "content-disposition") or parameter(part, "name")
        name = clean_line(decode_words(raw, self._notes)) if raw else ""
        return re.split(r"[/\\]", name)[-1][:255]

    def _attached_texts(self) -> list[str]:
        texts: list[str] = []
        for part, attachment in list(self._attached):
            kind = attachment.content_type
            if kind.startswith("text/") and kind not in _DATA_TYPES:
                texts.append(self._text_of(part, kind, content(part, self._notes)))
        return [text for text in texts if text.strip()]


def _disposition(part: Part) -> str:
    try:
        return part.get_content_disposition() or ""
    except PARSER_FAULTS:
        return ""


def _is_stub(plain: str) -> bool:
    return bool(_PLACEHOLDER.fullmatch(plain)) or (len(plain) < _STUB_CHARS and bool(_STUB.search(plain)))


def _meta_charset(data: bytes) -> str:
    match = _META_CHARSET.search(data, 0, 2048)
    return match[1].decode("ascii") if match else ""


def _visible_boundary(raw: bytes) -> bytes | None:
    """A line of two dashes and more with a Content field behind it."""
    match = re.search(
        rb"^--([^\r\n\"]{1,200}?)[ \t]*\r?\n(?=content-[a-z-]{2,30}[ \t]*:)", raw, re.IGNORECASE | re.MULTILINE
    )
    return match[1] if match else None


def _status_lines(message: Part) -> str:
    return "\n".join(f"{name}: {clean_line(str(value))}" for name, value in message.items())
