"""`mailweir data`: look at annotated rows before anything is trained on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import InputError, SetupError
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import Column, Rows, complain, console, emit, plain

if TYPE_CHECKING:
    from mailweir.models.training.data import Comparison, Findings
    from mailweir.models.training.data import Rows as AnnotatedRows

__all__ = ["app"]

_SHOWN = 12  # of a kind of finding, for a person; --json and the page have all
_SURPRISING = 5  # rows that two labels would share by chance: fewer and their absence says nothing

app = typer.Typer(
    help="Annotated rows: breaks of the guide, duplicates, leakage, agreement; training sets built of them.",
    no_args_is_help=True,
)

Source = Annotated[
    Path | None, typer.Argument(metavar="DIR|FILE", help="Annotated rows (*.jsonl); else the corpus of the repository.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
Least = Annotated[
    float,
    typer.Option(min=0.1, max=1, help="Jaccard similarity of word triples from which two rows are near-duplicates."),
]


@app.command()
def check(source: Source = None, *, as_json: Json = False, similarity: Least = 0.5) -> None:
    r"""Say what is wrong with annotated rows, and how they are spread.

    Breaks of the annotation guide, repeated ids, near-duplicates, those among them that cross the split by author or have
    different labels, phrases that come back, labels that never meet; in a folder also reference summaries (summaries.jsonl)
    that quote what is not in the mail. Needs [bold]pip install 'mailweir\[train]'[/].

    [bold]mailweir data check rows.jsonl[/]

    Exit codes: 0 sound; 1 something breaks the guide or leaks between training, validation and test; 2 no rows there.
    """
    client_settings()
    _, found = _look(source, similarity)
    if as_json:
        emit(found.json())
    else:
        _tell(found)
    if not found.sound:
        raise typer.Exit(1)


@app.command()
def report(
    source: Source = None,
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the page; made if it is not there.")],
    similarity: Least = 0.5,
) -> None:
    r"""Write a page with everything that `data check` finds, and pictures.

    One file, index.html, that needs no other. Needs [bold]pip install 'mailweir\[train,report]'[/].

    [bold]mailweir data report --out report[/]

    Exit codes: 0 written, its name on a line; 2 no rows there, a package is missing, or the folder cannot be written.
    """
    client_settings()
    try:
        from mailweir.models.training.data.report import write_report
    except ImportError as error:
        raise SetupError(f"the page needs a package ({error}): pip install 'mailweir[train,report]'") from error
    typer.echo(str(write_report(out, *_look(source, similarity))))


@app.command()
def agreement(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="Annotated rows: a file or a folder.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Other annotations: rows of id, labels, entities.")],
    *,
    as_json: Json = False,
) -> None:
    """Compare two annotations of the same mails.

    Cohen's kappa for each head, its mean over the labels for next_actions, exact F1 for entities, and every disagreement.
    Rows are matched by id; what either left undecided (null) counts for neither.

    [bold]mailweir data agreement first.jsonl second.jsonl[/]

    Exit codes: 0 compared; 2 a row is no annotation, or the two have no id in common.
    """
    client_settings()
    from mailweir.models.training.data import compare, read_annotations

    compared = compare(read_annotations(first), read_annotations(second))
    if as_json:
        emit(compared.json())
    else:
        _tell_agreement(compared)


def _look(source: Path | None, similarity: float) -> tuple[AnnotatedRows, Findings]:
    from mailweir.models.training.corpus import FOLDER, TASK_TEST, TASK_VALIDATION, TEST_AUTHORS, VALIDATION_AUTHORS
    from mailweir.models.training.data import check_rows, read_rows

    if source is None and not FOLDER.is_dir():
        raise InputError("this installation has no corpus: name a file or folder of annotated rows")
    rows = read_rows(source or FOLDER)
    validation = {*VALIDATION_AUTHORS, *TASK_VALIDATION}
    return rows, check_rows(rows, test=TEST_AUTHORS | TASK_TEST, validation=validation, least=similarity)


def _tell(found: Findings) -> None:
    summed = f"; {found.references:,} reference summaries" if found.references else ""
    typer.echo(f"{found.mails:,} mails by {len(found.lengths_by_author)} authors, and {found.tasks:,} tasks{summed}\n")
    _tell_lengths(found)
    _section("break the guide", [f"{n.id or '?'} {n.place}: {n.problem}" for n in found.breaks])
    _section("leak between training, validation and test", list(_twins(found, "leaks")))
    _section("near-duplicates with different labels", list(_twins(found, "conflicts")))
    _section("near-duplicates", list(_twins(found, "twins")))
    _section("doubts, for a person to decide", [f"{n.id}: {n.problem}" for n in found.doubts])
    phrases = [f"{len(p.ids)} rows, {len(p.authors)} authors: {p.text}" for p in found.phrases]
    _section(f"phrases of 8 words or more in several rows, {len(found.crossing)} across the split", phrases)
    absent = [f"{' and '.join(a.labels)}: {a.expected:.0f} expected" for a in found.absent if a.expected >= _SURPRISING]
    _section("pairs of labels that never meet though chance would have it", absent)
    _section("labels without a row", list(_empty(found)))
    typer.echo("\nsound" if found.sound else "\nnot sound: correct what breaks the guide or leaks")


def _tell_lengths(found: Findings) -> None:
    columns = (
        Column("language", 8),
        *(Column(t, 7, right=True) for t in ("mails", "median", "90 %", "longest", "long")),
    )
    table = Rows(console(), columns)
    for language, o in found.lengths.items():
        sizes = (o.rows, f"{o.median:.0f}", f"{o.ninth_decile:.0f}", o.longest, f"{o.long:.0%}")
        table.add({"language": language} | dict(zip([c.title for c in columns[1:]], map(str, sizes), strict=True)))
    typer.echo("(words of a mail; long: above 150)")


def _twins(found: Findings, kind: str) -> Iterator[str]:
    for pair in getattr(found, kind):
        differ = f"; differ in {', '.join(pair.differ)}" if pair.differ else ""
        sides = f"; {pair.sides[0]} and {pair.sides[1]}" if pair.leaks else ""
        yield f"{pair.ids[0]} and {pair.ids[1]}: {pair.similarity:.2f}{sides}{differ}"


def _empty(found: Findings) -> Iterator[str]:
    for head, labels in found.labels.items():
        if any(labels.values()):
            yield from (f"{head}={label}" for label, cells in labels.items() if not cells)


def _section(title: str, lines: Sequence[str], shown: int = _SHOWN) -> None:
    typer.echo(f"\n{len(lines)} {title}")
    for line in lines[:shown]:
        typer.echo(f"  {plain(line)}")
    if len(lines) > shown:
        typer.echo(f"  … and {len(lines) - shown:,} more: --json, or `mailweir data report`")


def _tell_agreement(compared: Comparison) -> None:
    table = Rows(console(), (Column("head", 16), *(Column(t, 7, right=True) for t in ("rows", "same", "kappa"))))
    for head in compared.heads:
        kappa = "-" if head.kappa is None else f"{head.kappa:.3f}"
        same = f"{head.same:.1%}" if head.rows else "-"
        table.add({"head": head.head, "rows": str(head.rows), "same": same, "kappa": kappa})
    typer.echo(f"entities: exact F1 {'-' if compared.entities is None else f'{compared.entities:.3f}'}")
    lines = [f"{d.id} {d.head}: {d.first or '(nothing)'} | {d.second or '(nothing)'}" for d in compared.disagreements]
    _section("disagreements (first | second)", lines, len(lines))
    alone = compared.only_first + compared.only_second
    if alone:
        complain(f"{alone} rows are in one of the two only and were left out")
