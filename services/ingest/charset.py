"""Bytes to text when the declared charset is missing, unknown or wrong."""

from __future__ import annotations

import codecs
import re

import charset_normalizer

from mailweir.services.ingest.notes import Notes

__all__ = ["decode_text"]

# Names seen in mail that Python does not know, and supersets that mail programs use where a smaller set is declared.
_ALIASES = {
    "ansi": "cp1252",
    "cp-850": "cp850",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-9": "cp1254",
    "iso8859_1": "cp1252",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "latin5": "cp1254",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "unicode-1-1-utf-7": "utf-7",
    "utf8mb4": "utf-8",
    "windows-31j": "cp932",
    "x-gbk": "gb18030",
    "x-mac-roman": "mac-roman",
    "x-sjis": "cp932",
}
# Codecs that are no charsets of mail; some of them take quadratic time.
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "unicode_escape"})
_ASCII = frozenset({"ascii", "us-ascii", "ansi_x3.4-1968"})
_HIGH = re.compile(rb"[\x80-\xff]")
_SAMPLE_BYTES = 4096  # charset-normalizer takes about 5 ms on this much and is no better on more
_ENOUGH_HIGH = 24  # below that many 8-bit characters it guesses at random; West European or Turkish is likelier then
_TORN_SHARE = 0.02  # a text with fewer undecodable bytes is of that charset and damaged


def decode_text(data: bytes, declared: str | None, notes: Notes) -> str:
    """Declared charset, then UTF-8, then a guess; never fails, never leaves a lone surrogate."""
    codec = _codec(declared)
    if codec is not None:
        try:
            return data.decode(codec)
        except (UnicodeError, ValueError):
            return _decode_misdeclared(data, codec, notes)
    if data.isascii():
        return data.decode("ascii")
    return _decode_undeclared(data, notes)


def _codec(declared: str | None) -> str | None:
    """Name of the codec for a charset label, None if there is none that can be used."""
    label = (declared or "").strip().strip("'\"").lower()
    if not label or label in _ASCII:
        return None
    name = _ALIASES.get(label, label)
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    is_charset = getattr(info, "_is_text_encoding", True) and info.name not in _NO_CHARSETS
    return _ALIASES.get(info.name, info.name) if is_charset else None


def _decode_misdeclared(data: bytes, codec: str, notes: Notes) -> str:
    notes.add("charset_wrong")
    utf8 = _utf8(data)
    if utf8 is not None:
        return utf8
    torn = data.decode(codec, errors="replace")
    if torn.count("\ufffd") <= max(1, _TORN_SHARE * len(torn)):
        return torn
    return _guess(data)


def _decode_undeclared(data: bytes, notes: Notes) -> str:
    utf8 = _utf8(data)
    if utf8 is not None:
        return utf8
    notes.add("charset_guessed")
    torn = data.decode("utf-8", errors="replace")
    multibyte = sum(1 for character in torn if character > "\x7f" and character != "\ufffd")
    return torn if multibyte > 4 * torn.count("\ufffd") else _guess(data)


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _guess(data: bytes) -> str:
    """Statistics where there is enough to count; Turkish Windows otherwise, it differs from Western in six letters."""
    first = _HIGH.search(data)
    start = max(0, first.start() - 256) if first else 0
    sample = data[start : start + _SAMPLE_BYTES]
    if len(_HIGH.findall(sample)) >= _ENOUGH_HIGH:
        best = charset_normalizer.from_bytes(sample, enable_fallback=False).best()
        if best is not None:
            return data.decode(best.encoding, errors="replace")
    return data.decode("cp1254", errors="replace")
