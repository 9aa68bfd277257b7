"""Text that always encodes as UTF-8 JSON and has one kind of line end."""

from __future__ import annotations

import re

from mailweir.services.ingest.notes import Notes

__all__ = ["clean_body", "clean_line", "unflow"]

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Unassigned controls, byte order marks and halves of surrogate pairs; tab and line feed stay.
_REMOVED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]+")
_ROOM = 4  # times the limit that is cleaned: cleaning makes a text shorter, and 26 MB of it take half a second
_SPACES = re.compile(r"\s+")
_BLANK_RUNS = re.compile(r"\n{4,}")


def clean_body(text: str, max_chars: int, notes: Notes) -> str:
    """Lines end in LF without white space before it, at most two empty ones in a row; cut at `max_chars` with a note."""
    if len(text) > _ROOM * max_chars:
        notes.add("body_cut")
        text = text[: _ROOM * max_chars]
    text = _LINE_ENDS.sub("\n", text).replace("\xa0", " ")
    text, removed = _REMOVED.subn("", text)
    if removed:
        notes.add("characters_removed")
    text = "\n".join([line.rstrip() for line in text.split("\n")])
    text = _BLANK_RUNS.sub("\n\n\n", text).strip("\n")
    if len(text) > max_chars:
        notes.add("body_cut")
    return text[:max_chars]


def clean_line(text: str) -> str:
    """`text` on one line, runs of white space as one space."""
    return _REMOVED.sub("", _SPACES.sub(" ", text)).strip()


def unflow(text: str, *, delete_space: bool) -> str:
    """Paragraphs of `format=flowed` text (RFC 3676) as single lines; quoted lines and the signature mark stay."""
    joined: list[list[str]] = []
    flowing = False
    for raw in text.split("\n"):
        line = raw.removesuffix("\r")
        fixed = line.startswith(">") or line.rstrip() == "--"
        content = line.removeprefix(" ")
        if flowing and not fixed:
            joined[-1].append(content)
        else:
            joined.append([content])
        flowing = content.endswith(" ") and not fixed
        if flowing and delete_space:
            joined[-1][-1] = content[:-1]
    return "\n".join(map("".join, joined))
