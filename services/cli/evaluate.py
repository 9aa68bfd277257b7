"""`mailweir evaluate`: how well a bundle answers annotated rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.evaluation_tables import show
from mailweir.services.cli.output import console, emit, progress
from mailweir.services.cli.report_folder import report_folder, unwritable

if TYPE_CHECKING:
    from mailweir.models.evaluation import Evaluation

__all__ = ["evaluate"]


def evaluate(
    data: Annotated[list[Path], typer.Argument(metavar="DATA.jsonl…", help="Annotated rows, one JSON object a line.")],
    *,
    bundle: Annotated[Path | None, typer.Option(metavar="DIR", help="Another bundle than MAILWEIR_BUNDLE.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one JSON object.")] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Ask again in ten other ways of writing; ten times the work.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for index.html with pictures, and evaluation.json.")
    ] = None,
) -> None:
    r"""Measure a bundle on annotated rows.

    Precision, recall and F1 of every head, label, language, source (or author) and length, with bootstrap intervals;
    entities; calibration; what answering only when sure gives; milliseconds; the worst errors with the words that led to
    them. Labels that are null are left out. Rows with summary, summary_sentences and action_items, beside their labels or in
    a file of references by id, also measure summaries, against leading sentences. With --robustness what the same rows give
    with typos, in capitals, with look-alike letters, characters without width, quote marks, remains of HTML, orders to a language
    model, or good words below them, and how far each head drops. The report's pictures need
    [bold]pip install 'mailweir\[report]'[/].

    [bold]mailweir evaluate rows.jsonl --report report[/]

    Exit codes: 0 measured; 2 a row breaks the annotation guide or belongs to another taxonomy, the bundle cannot be used, or
    the report cannot be written.
    """
    settings = client_settings(bundle=bundle)
    with report_folder(report):
        found = _measure(data, settings.bundle or shipped_bundle(), settings.classify_threads, otherwise=robustness)
        if report is not None:
            _write(report, found, data)
    if as_json:
        emit(found.encode())
    else:
        show(console(), found)
        if report is not None:
            typer.echo(f"\nreport: {report / 'index.html'}")


def _measure(data: list[Path], folder: Path, threads: int, *, otherwise: bool) -> Evaluation:
    from mailweir.models.evaluation import Example, evaluate, read_examples
    from mailweir.models.text.perturb import PERTURBATIONS

    examples = read_examples(data, read_manifest(folder))  # a broken row is told before the model loads
    bundle = Bundle.load(folder, threads)
    total = sum(len(example.body) for example in examples) * (1 + len(PERTURBATIONS) * otherwise)
    with progress("answering", total) as advance:

        def answered(example: Example) -> None:
            advance(1, len(example.body))

        return evaluate(bundle, examples, answered, otherwise=otherwise)


def _write(folder: Path, found: Evaluation, data: list[Path]) -> None:
    from mailweir.models.evaluation.page import write_report

    try:
        write_report(folder, found, ", ".join(path.name for path in data))
    except OSError as error:
        raise unwritable(folder, error) from error
