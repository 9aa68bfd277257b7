"""Authentication-Results (RFC 8601) of hosts that we trust."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailweir.schemas.events import Authentication

__all__ = ["authentication_results"]

_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"\s*(spf|dkim|dmarc)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)", re.IGNORECASE)
_NESTED_COMMENTS = 5  # comments inside comments that are still taken out


def authentication_results(fields: Iterable[str], trusted: tuple[str, ...]) -> tuple[Authentication, ...]:
    """One entry for each field whose authserv-id is trusted; anybody else can write what they like into it."""
    hosts = {host.lower() for host in trusted}
    if not hosts:
        return ()
    parsed = (_parse(field) for field in fields)
    return tuple(result for result in parsed if result.host in hosts)


def _parse(field: str) -> Authentication:
    for _ in range(_NESTED_COMMENTS):
        field, removed = _COMMENT.subn(" ", field)
        if not removed:
            break
    server, *clauses = field.split(";")
    words = server.split()
    results: dict[str, str] = {}
    for clause in clauses:
        match = _RESULT.match(clause)
        if match:
            method, result = match[1].lower(), match[2].lower()
            # a mail can carry several signatures; one that passes is enough
            results[method] = result if method not in results or result == "pass" else results[method]
    return Authentication(host=words[0].strip('"').lower() if words else "", **results)
