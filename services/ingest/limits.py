"""What ingest is willing to take: above a limit a mail becomes a dead letter that names the setting."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from mailweir.schemas.errors import LimitExceeded, MailTooLarge
from mailweir.schemas.topics import MAX_MAIL_BYTES

if TYPE_CHECKING:  # the parser process reads no settings and does not pay for them
    from mailweir.services.settings import Settings

__all__ = ["ParseLimits", "limits_of"]


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Limits of one mail and the hosts whose authentication results count.

    But for the memory, each field is the setting `MAILWEIR_INGEST_<FIELD>` in upper case; errors name it.
    """

    max_bytes: int = MAX_MAIL_BYTES  # of the raw record
    max_parts: int = 1000  # MIME parts, nested mails included; a digest of a busy list has a few hundred
    max_nesting: int = 50  # levels of multiparts and mails inside mails
    max_headers: int = 1000  # fields in one header block
    max_header_bytes: int = 262_144  # of one field; a To field of 5,000 recipients has about 200 kB
    max_body_chars: int = 262_144  # the body is cut here, `Email.truncated` says so; about 40,000 words
    parse_seconds: float = 5.0  # of one mail; a usual one takes one to two milliseconds
    parser_memory_bytes: int = (
        2 * 1024**3
    )  # address space of a parser process, not a setting; a 26 MB mail needs 400 MB
    trusted_hosts: tuple[str, ...] = ()  # authserv-ids whose Authentication-Results are believed

    def check_size(self, size: int) -> None:
        """Refuse a mail of more than `max_bytes`."""
        if size > self.max_bytes:
            raise MailTooLarge(
                f"the mail has {size} bytes, more than the {self.max_bytes} allowed: "
                "raise MAILWEIR_INGEST_MAX_BYTES if mail of this size is wanted",
                **_detail("max_bytes", size, self.max_bytes),
            )

    def check_parts(self, count: int) -> None:
        """Refuse a mail of more than `max_parts` parts."""
        self._check("max_parts", count, self.max_parts, "parts")

    def check_nesting(self, depth: int) -> None:
        """Refuse a mail with more than `max_nesting` levels."""
        self._check("max_nesting", depth, self.max_nesting, "levels of parts inside parts")

    def check_headers(self, count: int) -> None:
        """Refuse a header block of more than `max_headers` fields."""
        self._check("max_headers", count, self.max_headers, "header fields in one block")

    def check_header_bytes(self, size: int) -> None:
        """Refuse a header field longer than `max_header_bytes`."""
        self._check("max_header_bytes", size, self.max_header_bytes, "bytes in one header field")

    def _check(self, limit: str, value: int, allowed: int, what: str) -> None:
        if value > allowed:
            detail = _detail(limit, value, allowed)
            raise LimitExceeded(
                f"the mail has {value} {what}, more than the {allowed} allowed: "
                f"raise {detail['setting']} if such mail is wanted",
                **detail,
            )


def limits_of(settings: Settings) -> ParseLimits:
    """The limits that the settings ask for."""
    names = (field.name for field in fields(ParseLimits) if field.name != "parser_memory_bytes")
    return ParseLimits(**{name: getattr(settings, f"ingest_{name}") for name in names})


def _detail(limit: str, value: int, allowed: int) -> dict[str, object]:
    return {"limit": limit, "value": value, "allowed": allowed, "setting": f"MAILWEIR_INGEST_{limit.upper()}"}
