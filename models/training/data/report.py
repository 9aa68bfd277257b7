"""One page about the rows, with everything in it: tables and pictures, no other file, no network."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from mailweir.models.training.data.charts import bars, length_curves, meetings
from mailweir.models.training.data.check import Findings, Twins
from mailweir.models.training.data.counts import Lengths, texts_by
from mailweir.models.training.data.rows import Note, Rows
from mailweir.schemas.errors import InputError

_SHOWN = 200  # rows of a table; `data check --json` has all
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Annotated rows</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd }
table { border-collapse: collapse; font-size: 13px; margin: .5rem 0 }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; border-bottom: 1px solid #eee }
td.number { text-align: right; font-variant-numeric: tabular-nums }
svg { max-width: 100%; height: auto }
.bad { color: #b00020; font-weight: 600 } .good { color: #00701a; font-weight: 600 } .note { color: #666 }
</style></head><body>
"""

Cell = str | int | float


def write_report(folder: Path, rows: Rows, found: Findings) -> Path:
    """Write `index.html`; the folder is made if it is not there.

    Raises:
        InputError: the folder cannot be written.
    """
    page = folder / "index.html"
    content = _HEAD + "\n".join(_sections(rows, found)) + "\n</body></html>\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{page}: {error.strerror}", path=str(page)) from error
    return page


def _sections(rows: Rows, found: Findings) -> Iterator[str]:
    yield from _summary(found)
    yield from _section("Breaks of the guide", _notes(found.breaks), "Rows that cannot be trained on as they are.")
    yield from _section("Leakage", _twins(found.leaks), "Near-duplicates between training, validation and test.")
    yield from _section("Conflicts", _twins(found.conflicts), "Near-duplicates with different labels.")
    yield from _section("Near-duplicates", _twins(found.twins), "By the Jaccard similarity of their word triples.")
    yield from _section("Doubts", _notes(found.doubts), "Seldom meant; a person decides.")
    yield from _spread(rows, found)
    yield from _section("Phrases", _phrases(found), "Eight words or more in several rows; 0 stands for any number.")
    yield from _section("Labels that never meet", _absent(found), "And how many rows would have both by chance.")
    yield from _section("Code patterns", _patterns(found), "What the entity rules find, and how often it is annotated.")


def _summary(found: Findings) -> Iterator[str]:
    yield f"<h1>{found.mails:,} mails and {found.tasks:,} tasks</h1>"
    verdict, style = ("sound", "good") if found.sound else ("not sound", "bad")
    counts = (
        (len(found.breaks), "breaks of the guide"),
        (len(found.leaks), "leaks"),
        (len(found.conflicts), "conflicts"),
        (len(found.twins), "near-duplicates"),
        (len(found.doubts), "doubts"),
        (len(found.phrases), "phrases in several rows"),
    )
    told = ", ".join(f"{count} {what}" for count, what in counts)
    yield f'<p><span class="{style}">{verdict}</span>: {told}.</p>'
    yield _table(("side", "authors"), [(side, _names(found, names)) for side, names in found.authors.items()])


def _names(found: Findings, authors: Iterable[str]) -> str:
    """Authors of mails by name; blocks of tasks are too many."""
    return ", ".join(author for author in authors if author in found.lengths_by_author)


def _spread(rows: Rows, found: Findings) -> Iterator[str]:
    languages = list(found.lengths)
    mails = rows.items()[: len(rows.mails)]
    for head, labels in found.labels.items():
        if not any(labels.values()):  # a head of the other taxonomy: nothing to draw
            continue
        yield from (f"<h2>{escape(head)}</h2>", bars(labels, languages))
    yield from ("<h2>Category and intent</h2>", meetings(rows.mails, "category", "intent"))
    yield from ("<h2>Category and action</h2>", meetings(rows.mails, "category", "action"))
    by_author: dict[str, dict[str, int]] = {}
    for mail in mails:
        cells = by_author.setdefault(mail.author, {})
        cells[mail.language] = cells.get(mail.language, 0) + 1
    yield from ("<h2>Authors and languages</h2>", bars(by_author, languages))
    yield from ("<h2>Lengths</h2>", length_curves(texts_by(mails, "language")))
    yield _lengths("language", found.lengths)
    yield _lengths("author", found.lengths_by_author)


def _section(title: str, table: str, meaning: str) -> Iterator[str]:
    yield f'<h2>{title}</h2>\n<p class="note">{meaning}</p>'
    yield table or "<p>None.</p>"


def _notes(notes: Sequence[Note]) -> str:
    return _table(("row", "place", "problem"), [(note.id, note.place, note.problem) for note in notes])


def _twins(pairs: Sequence[Twins]) -> str:
    told = [(*p.ids, f"{p.similarity:.2f}", " / ".join(p.sides), ", ".join(p.differ)) for p in pairs]
    return _table(("row", "and", "similarity", "side", "differ in"), told)


def _phrases(found: Findings) -> str:
    told = [(p.text, len(p.ids), len(p.authors), ", ".join(p.ids[:8])) for p in found.phrases]
    return _table(("phrase", "rows", "authors", "first rows"), told)


def _absent(found: Findings) -> str:
    return _table(("label", "and", "expected"), [(*pair.labels, pair.expected) for pair in found.absent])


def _patterns(found: Findings) -> str:
    told = [(p.rule, p.found, p.annotated, f"{p.annotated / p.found:.0%}") for p in found.patterns]
    return _table(("rule", "found", "annotated", "share"), told)


def _lengths(title: str, lengths: dict[str, Lengths]) -> str:
    told = [(n, o.rows, round(o.median), round(o.ninth_decile), o.longest, f"{o.long:.0%}") for n, o in lengths.items()]
    return _table((title, "mails", "median words", "90 %", "longest", "long"), told)


def _table(titles: Iterable[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table, or nothing; what is beyond the limit is counted below it."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:_SHOWN])
    more = f'<p class="note">… and {len(rows) - _SHOWN:,} more</p>' if len(rows) > _SHOWN else ""
    return f"<table><tr>{head}</tr>\n{body}</table>{more}"


def _cell(value: Cell) -> str:
    style = "" if isinstance(value, str) else ' class="number"'
    return f"<td{style}>{escape(str(value))}</td>"
