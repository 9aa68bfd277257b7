"""Invitations (RFC 5545) as text: what, when, where, who."""

from __future__ import annotations

import re
from datetime import datetime

__all__ = ["calendar_to_text"]

_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"([A-Za-z-]+)((?:;[^:\r\n\"]*(?:\"[^\"\r\n]*\"[^:\r\n\"]*)*)?):([^\r\n]*)")
_ESCAPE = re.compile(r"\\([nN,;\\])")
_ZONE = re.compile(r";TZID=\"?([^;:\"]+)", re.IGNORECASE)
_METHODS = {
    "REQUEST": "Invitation",
    "CANCEL": "Cancelled",
    "REPLY": "Answer to an invitation",
    "COUNTER": "New proposal",
}
_STAMP = re.compile(r"\d{8}(?:T\d{6})?")


def calendar_to_text(source: str) -> str:
    """The first event of a calendar; empty if there is none."""
    fields = _event(_FOLD.sub("", source))
    if not fields:
        return ""
    lines = [
        f"{_METHODS[fields['METHOD']]}: {fields.get('SUMMARY', '')}" if fields.get("METHOD") in _METHODS else fields.get("SUMMARY", ""),
        _labelled("When", " - ".join(fields[name] for name in ("DTSTART", "DTEND") if name in fields)),
        _labelled("Where", fields.get("LOCATION", "")),
        _labelled("From", re.sub(r"(?i)^mailto:", "", fields.get("ORGANIZER", ""))),
    ]  # fmt: skip
    head = "\n".join(line for line in lines if line)
    return "\n\n".join(part for part in (head, fields.get("DESCRIPTION", "")) if part)


def _event(source: str) -> dict[str, str]:
    """Fields of the first VEVENT and the calendar's method; the first of each name counts."""
    fields: dict[str, str] = {}
    component = ""
    for line in source.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, parameters, value = match[1].upper(), match[2], match[3]
        if name == "BEGIN":
            component = value.strip().upper()
        elif name == "END":
            if value.strip().upper() == "VEVENT":
                break
            component = "VEVENT" if component == "VALARM" else ""
        elif component == "VEVENT" or name == "METHOD":
            fields.setdefault(name, _readable(name, parameters, value))
    return fields


def _readable(name: str, parameters: str, value: str) -> str:
    if name in {"DTSTART", "DTEND"}:
        return _moment(parameters, value.strip())
    return _ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], value).strip()


def _moment(parameters: str, value: str) -> str:
    stamp = _STAMP.match(value)
    if stamp is None:
        return value
    layout, shape = ("%Y%m%dT%H%M%S", "%Y-%m-%d %H:%M") if "T" in stamp[0] else ("%Y%m%d", "%Y-%m-%d")
    try:
        moment = datetime.strptime(stamp[0], layout)  # noqa: DTZ007  the zone is printed as it is named
    except ValueError:
        return value
    zone = _ZONE.search(parameters)
    suffix = " UTC" if value.endswith("Z") else f" ({zone[1]})" if zone else ""
    return moment.strftime(shape) + suffix


def _labelled(label: str, value: str) -> str:
    return f"{label}: {value}" if value else ""
