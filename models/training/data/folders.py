"""What a mail folder is for, by the names that mail programs give in English, Turkish, German, French and Spanish."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from typing import Literal

Kind = Literal["inbox", "sent", "drafts", "trash", "junk", "filed", "unknown"]

_NAMES: Mapping[Kind, frozenset[str]] = {
    "inbox": frozenset({"inbox", "gelen kutusu", "posteingang", "boîte de réception", "bandeja de entrada"}),
    "sent": frozenset(
        {
            "sent",
            "sent items",
            "sent mail",
            "sent messages",
            "gönderilenler",
            "gönderilmiş öğeler",
            "gönderilmiş postalar",
        }
        | {"gesendet", "gesendete objekte", "gesendete elemente", "envoyés", "messages envoyés", "éléments envoyés"}
        | {"enviados", "elementos enviados"}
    ),
    "drafts": frozenset(
        {"drafts", "draft", "outbox", "templates", "taslaklar", "giden kutusu", "entwürfe", "postausgang", "brouillons"}
        | {"borradores", "bandeja de salida"}
    ),
    "trash": frozenset(
        {"trash", "bin", "deleted", "deleted items", "deleted messages", "çöp", "çöp kutusu", "silinmiş öğeler"}
        | {"papierkorb", "gelöschte elemente", "gelöschte objekte", "corbeille", "éléments supprimés", "papelera"}
        | {"elementos eliminados"}
    ),
    "junk": frozenset(
        {
            "junk",
            "junk e-mail",
            "junk email",
            "junk mail",
            "spam",
            "bulk mail",
            "önemsiz",
            "önemsiz e-posta",
            "istenmeyen",
        }
        | {"istenmeyen e-posta", "junk-e-mail", "spamverdacht", "unerwünscht", "courrier indésirable", "indésirables"}
        | {"correo no deseado"}
    ),
    "unknown": frozenset({"all mail", "tüm postalar", "alle nachrichten", "tous les messages", "todos"}),
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names}
_ENDS = re.compile(r"\.(?:mbox|mbx|sbd)(?=/|$)", re.IGNORECASE)
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def folder_kind(name: str | None) -> Kind:
    """What `name` is for: Maildir++ writes `.Archive.2024`, programs with mboxes `Archives.sbd/2024`.

    An empty name is the inbox of a Maildir, None a file of which nothing is known; any other name is the owner's own.
    """
    if name is None:
        return "unknown"
    parts = [part.strip().lower() for part in re.split(r"[/.]", _ENDS.sub("", decoded(name))) if part.strip()]
    known = [_KINDS[part] for part in parts if part in _KINDS]
    if all(part in _NAMES["inbox"] for part in parts):
        return "inbox"
    return next((kind for kind in known if kind != "inbox"), "filed")


def decoded(name: str) -> str:
    """IMAP's modified UTF-7 (RFC 3501, 5.1.3) as servers write it to disk; what is none stays as it is."""
    try:
        return _SHIFTED.sub(lambda found: _letters(found[1]), name)
    except (Error, UnicodeDecodeError):
        return name


def _letters(shifted: str) -> str:
    if not shifted:
        return "&"
    return b64decode(shifted.replace(",", "/") + "=" * (-len(shifted) % 4)).decode("utf-16-be")
