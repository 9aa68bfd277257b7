"""`mailweir models gate`: may a candidate take the champion's place?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import Column, Rows, console, emit, progress
from mailweir.services.cli.report_folder import report_folder, unwritable

if TYPE_CHECKING:
    from mailweir.models.evaluation import Example
    from mailweir.models.training.gate import Verdict
    from mailweir.models.training.gate.run import Judged

__all__ = ["gate"]

_MOST_REASONS = 12


def gate(
    candidate: Annotated[
        Path, typer.Argument(metavar="CANDIDATE", help="Folder of the bundle that is to be promoted.")
    ],
    champion: Annotated[Path, typer.Argument(metavar="CHAMPION", help="Folder of the bundle that serves now.")],
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DATA.jsonl…]", help="The holdout; else the corpus' rows by the test authors."),
    ] = None,
    *,
    fresh: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Fresh audited feedback as annotated rows; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as one JSON object.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for index.html with pictures, and verdict.json.")
    ] = None,
) -> None:
    r"""Judge whether a candidate may take the champion's place.

    Both answer the same rows, in turn. Every head is compared over all rows and by class, language, source, length and kind of
    mail, the difference with its paired bootstrap interval; then calibration, what is answered without a person, whether the
    answer depends on the batch, what int8 costs, milliseconds and bytes. One failed check refuses, and its reason names the
    slice. Rows that one of the two learned from are left out. The report's pictures need
    [bold]pip install 'mailweir\[report]'[/].

    [bold]mailweir models gate new old holdout.jsonl --report verdict[/]

    Exit codes: 0 passed; 1 refused; 2 a bundle or row cannot be used, or the report cannot be written.
    """
    settings = client_settings()
    with report_folder(report):
        judged = _judge((candidate, champion), (data or [], fresh or []), settings.classify_threads)
        if report is not None:
            _write(report, judged, [*(data or []), *(fresh or [])])
    if as_json:
        emit(judged.verdict.encode())
    else:
        _show(console(), judged.verdict)
        if report is not None:
            typer.echo(f"\nreport: {report / 'index.html'}")
    if not judged.verdict.passed:
        raise typer.Exit(1)


def _judge(bundles: tuple[Path, Path], data: tuple[list[Path], list[Path]], threads: int) -> Judged:
    from mailweir.models.training.gate.run import read_sets, run_gate

    sets = read_sets(bundles, *data)  # a broken row is told before a model loads
    with progress("judging", sets.characters) as advance:

        def answered(example: Example) -> None:
            advance(1, len(example.body))

        return run_gate(bundles, sets, advance=answered, threads=threads)


def _show(to: Console, verdict: Verdict) -> None:
    """Whole heads as a table, then every reason for a refusal."""
    said = Text("passed", "bold green") if verdict.passed else Text("refused", "bold red")
    names = f"{verdict.candidate.name} {verdict.candidate.version} against {verdict.champion.version}: "
    to.print(Text(names, "bold") + said)
    titles = [
        Column("head", 17),
        Column("rows of", 8),
        *(Column(name, 9, right=True) for name in ("champion", "candidate")),
    ]
    rows = Rows(to, [*titles, Column("change", 26, right=True)])
    for check in verdict.checks:
        if check.rule == "not_worse" and check.slice == "all rows" and check.change is not None:
            change = f"{check.change.value:+.3f} [{check.change.low:+.3f} {check.change.high:+.3f}]"
            figures = {"champion": f"{check.champion:.3f}", "candidate": f"{check.candidate:.3f}", "change": change}
            rows.add({"head": check.head or "", "rows of": check.rows_of, **figures})
    passed = len(verdict.checks) - len(verdict.refusals)
    to.print(f"\n{passed:,} of {len(verdict.checks):,} checks passed")
    for reason in verdict.reasons[:_MOST_REASONS]:
        to.print(Text(f"  ✗ {reason}"))
    if (more := len(verdict.reasons) - _MOST_REASONS) > 0:
        to.print(f"  and {more:,} more: --json or --report tells all")


def _write(folder: Path, judged: Judged, data: list[Path]) -> None:
    from mailweir.models.training.gate.page import write_page

    try:
        write_page(folder, judged, ", ".join(path.name for path in data) or "the corpus' test authors")
    except OSError as error:
        raise unwritable(folder, error) from error
