"""What the loop is shown on: a small champion that hardly knows one class, mails of that class, and what people say of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import orjson

from mailweir.models.training.corpus import FOLDER, TEST_AUTHORS, VALIDATION_AUTHORS, MailRow, load_mails
from mailweir.models.training.tiny import build_tiny_bundle
from mailweir.schemas.ids import digest
from mailweir.schemas.manifest import Manifest
from mailweir.services.cli.loop.figures import CLASS

__all__ = ["CORPUS", "Lesson", "as_json", "make_champion", "make_lesson"]

CORPUS = FOLDER
"""Where the annotated mail lies, in a checkout; an installed package has none."""

_KNOWN_EVERY = 9  # of the class, one mail in so many
_FITTED = ("ada", "cleo", "dov", "ebru", "iris")  # whose mail the tiny recipe learns from; iris is a test author
_ASKED = 40  # mails of each validation author: admission asks them
_TAUGHT = (60, 240)  # words about mails of the class, and about others
_SEEN = (150, 150)  # mails that nobody says anything about: the same


@dataclass(frozen=True, slots=True)
class Lesson:
    """Annotated mails by authors whom the champion has not read."""

    taught: tuple[MailRow, ...]  # people say what these are
    seen: tuple[MailRow, ...]  # … and nothing of these, on which the gain is counted
    corpus: Path  # folder that the champion is made from
    holdout: Path  # rows that the gate asks


def make_lesson(folder: Path) -> Lesson:
    """Write the corpus without most of the class, and choose the mails."""
    rows, corpus = load_mails(CORPUS), folder / "corpus"
    corpus.mkdir(parents=True)
    for author in (*_FITTED, *VALIDATION_AUTHORS):
        mine = [row for row in rows if row.author == author]
        if author in VALIDATION_AUTHORS:
            mine = mine[:_ASKED]
        elif author not in TEST_AUTHORS:
            mine = [row for place, row in enumerate(mine) if _category(row) != CLASS or place % _KNOWN_EVERY == 0]
        _write(corpus / f"{author}.jsonl", mine)
    holdout = folder / "holdout.jsonl"
    _write(holdout, [row for row in rows if row.author in TEST_AUTHORS])
    known = {*_FITTED, *VALIDATION_AUTHORS, *TEST_AUTHORS}
    pool = sorted(
        (row for row in rows if row.author not in known and _category(row)), key=lambda row: digest("loop", row.id)
    )
    ours, others = (
        [row for row in pool if _category(row) == CLASS],
        _in_turn(row for row in pool if _category(row) != CLASS),
    )
    taught = _mixed([*ours[: _TAUGHT[0]], *others[: _TAUGHT[1]]])
    seen = _mixed([*ours[_TAUGHT[0] :][: _SEEN[0]], *others[_TAUGHT[1] :][: _SEEN[1]]])
    return Lesson(taught, seen, corpus, holdout)


def make_champion(out: Path, lesson: Lesson) -> Manifest:
    """A tiny bundle of the real form, in seconds."""
    return build_tiny_bundle(out, lesson.corpus)


def as_json(row: MailRow) -> bytes:
    """The mail as a producer would send it."""
    mail = {"id": row.id, "subject": row.subject, "from": row.sender, "to": list(row.to), "body": row.body}
    return orjson.dumps(mail | {"mailbox": row.mailbox})


def _in_turn(rows: Iterable[MailRow]) -> list[MailRow]:
    """One of each category after the other: people get mail of all kinds, and none is to drown another."""
    kinds: dict[str | None, list[MailRow]] = {}
    for row in rows:
        kinds.setdefault(_category(row), []).append(row)
    turns = zip_longest(*(kinds[name] for name in sorted(kinds, key=str)))
    return [row for turn in turns for row in turn if row is not None]


def _category(row: MailRow) -> str | None:
    return row.label("category")


def _mixed(rows: Iterable[MailRow]) -> tuple[MailRow, ...]:
    return tuple(sorted(rows, key=lambda row: digest("order", row.id)))


def _write(file: Path, rows: Sequence[MailRow]) -> None:
    file.write_text("".join(row.model_dump_json(by_alias=True) + "\n" for row in rows), encoding="utf-8")
