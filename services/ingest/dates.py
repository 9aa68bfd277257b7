"""Dates of mail: RFC 5322 with all its obsolete forms, RFC 3339, and what is too absurd to keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from mailweir.schemas.events import utc_now
from mailweir.services.ingest.notes import Notes

__all__ = ["parse_date"]

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # mail before that is a clock that starts at 1970 or 1980
_AHEAD = timedelta(days=366)  # drafts and wrong clocks are days ahead; a year ahead is bait for the top of a list


def parse_date(raw: str | None, received_at: datetime | None, notes: Notes) -> datetime | None:
    """The date in UTC, or None and the reason among the notes; `received_at` (or now) says what lies ahead."""
    text = (raw or "").strip()
    if not text:
        notes.add("date_missing")
        return None
    moment = _rfc5322(text) or _rfc3339(text)
    if moment is None:
        notes.add("date_unreadable")
        return None
    if moment.tzinfo is None:
        if "-0000" not in text:  # RFC 5322: in UTC, and nothing known about the local zone
            notes.add("date_without_zone")
        moment = moment.replace(tzinfo=UTC)
    return _within_reason(moment, received_at or utc_now(), notes)


def _within_reason(moment: datetime, arrival: datetime, notes: Notes) -> datetime | None:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # the first and the last day of the calendar
        moment = _EARLIEST - _AHEAD
    if _EARLIEST <= moment <= arrival + _AHEAD:
        return moment
    notes.add("date_absurd")
    return None


def _rfc5322(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text[:200])
    except (ValueError, IndexError, TypeError, OverflowError):  # the standard library's on hostile dates
        return None


def _rfc3339(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
