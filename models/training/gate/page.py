"""The verdict as one HTML page that carries its pictures, and as JSON beside it. Needs the extra report."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from mailweir.models.evaluation.markup import Cell, Row, number, picture, shift, table
from mailweir.models.training.gate.limits import Limits
from mailweir.models.training.gate.pictures import calibrations_png, changes_png
from mailweir.models.training.gate.run import Judged
from mailweir.models.training.gate.slices import ALL
from mailweir.models.training.gate.sureness import calibration_of
from mailweir.models.training.gate.verdict import VERDICT, Check, Rule, Verdict

__all__ = ["PAGE", "write_page"]

PAGE = "index.html"

_BUNDLE: tuple[Rule, ...] = ("labels", "rows", "neighbours", "parity", "latency", "size")
_SURE: tuple[Rule, ...] = ("calibration", "answered", "answered_right")
_MOST_REASONS = 10  # that stand open: what a worse candidate is refused for fills a page
_MOST_LINES = 45  # of a picture of slices; the ones with the largest loss are shown
_READING = {
    "change": "candidate less champion on the same rows, with 95 % of its paired bootstrap; bold: without nought.",
    "floor": "absolute; it binds where the champion reaches it and more rows are lost than by chance. A slice that is below with both is held "
    "by the comparison.",
    "not worse": "refused where the whole interval lies below the allowed loss, in slices and classes also only where an exact sign test finds "
    "that equals would seldom lose as many rows.",
    "figure": "macro-F1 of a head over all rows, F1 of a label, micro-F1 (share right) of any other slice; heads of many: micro-F1.",
}


def write_page(folder: Path, judged: Judged, data: str) -> Path:
    """Write page and verdict into `folder`, which is made if need be; `data` names the rows. The page's path.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICT).write_bytes(judged.verdict.encode() + b"\n")
    (folder / PAGE).write_text("\n".join(_page(judged, data)) + "\n", encoding="utf-8")
    return folder / PAGE


def _page(judged: Judged, data: str) -> Iterator[str]:
    verdict = judged.verdict
    candidate, champion = (f"{model.name} {model.version}" for model in (verdict.candidate, verdict.champion))
    css = resources.files("mailweir.models.evaluation").joinpath("page.css").read_text(encoding="utf-8")
    said = "passed" if verdict.passed else "refused"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(candidate)}: {said}</title>\n<style>\n{css}</style>\n</head>\n<body>"
    yield f"<h1>Candidate {escape(candidate)}: {said}</h1>"
    yield f'<p class="quiet">against champion {escape(champion)} on {escape(data)}</p>'
    heads = list(dict.fromkeys(c.head for c in verdict.checks if c.head and c.rule == "not_worse"))
    links = (f'<a href="#{escape(name)}">{escape(name)}</a>' for name in (*heads, "bundle", "limits", "reading"))
    yield f"<nav>{' '.join(links)}</nav>"
    yield from _refusals(verdict)
    yield _overview(verdict)
    for head in heads:
        yield from _head(judged, head)
    yield from _bundle(verdict)
    yield from _limits(verdict.limits)
    yield '<h2 id="reading">how to read it</h2>'
    yield f"<dl>{''.join(f'<dt>{escape(word)}</dt><dd>{escape(text)}</dd>' for word, text in _READING.items())}</dl>"
    yield "</body>\n</html>"


def _refusals(verdict: Verdict) -> Iterator[str]:
    refusals = verdict.refusals
    if not refusals:
        yield f"<p>All {len(verdict.checks):,} checks passed.</p>"
        return
    yield f"<h2>Why it is refused: {len(refusals):,} of {len(verdict.checks):,} checks</h2>"
    reasons: list[Row] = [[check.rule, check.reason] for check in refusals]
    yield table(["rule", "reason"], reasons[:_MOST_REASONS])
    if more := reasons[_MOST_REASONS:]:
        yield f"<details><summary>{len(more)} more</summary>{table(['rule', 'reason'], more)}</details>"


def _overview(verdict: Verdict) -> str:
    """Whole heads, then how many slices were looked at."""
    whole = [check for check in verdict.checks if check.rule == "not_worse" and check.slice == ALL]
    rows: list[Row] = [[f"{c.head}, {c.rows_of}", c.rows or 0, *_figures(c), *_slices_of(verdict, c)] for c in whole]
    titles = ["head, rows of", "rows", "champion", "candidate", "change", "slices and classes", "refused"]
    return table(titles, rows, "Macro-F1, of heads of many micro-F1, over all rows.")


def _slices_of(verdict: Verdict, whole: Check) -> list[int]:
    parts = [c for c in verdict.checks if (c.head, c.rows_of) == (whole.head, whole.rows_of) and c.slice != ALL]
    return [len({c.slice for c in parts}), len({c.slice for c in parts if not c.passed})]


def _figures(check: Check) -> list[Cell]:
    change = shift(check.change) if check.change else Cell("", "n")
    return [number(check.champion or 0.0), number(check.candidate or 0.0), change]


def _head(judged: Judged, head: str) -> Iterator[str]:
    yield f'<h2 id="{escape(head)}">{escape(head)}</h2>'
    for rows_of in judged.candidate.answers:
        mine = [c for c in judged.verdict.checks if c.head == head and c.rows_of == rows_of]
        if not mine:
            continue
        yield f"<h3>{escape(rows_of)} rows</h3>"
        compared, refused = [c for c in mine if c.rule == "not_worse"], {c.slice for c in mine if not c.passed}
        yield '<div class="pictures">'
        yield picture(
            changes_png(f"{head}: change by slice", _shown(compared, refused), refused), f"Change of {head} by slice"
        )
        if any(c.rule == "calibration" for c in mine):
            both = (calibration_of(sitting, rows_of, head) for sitting in (judged.candidate, judged.champion))
            yield picture(calibrations_png(head, *both), f"Reliability of {head}")
        yield "</div>"
        yield _sure([c for c in mine if c.rule in _SURE])
        yield _all_slices(compared, {c.slice: c for c in mine if c.rule == "floor"})


def _shown(checks: Sequence[Check], refused: Collection[str | None]) -> list[Check]:
    """In their order: those that are refused, by whichever rule, and of the others those with the largest loss."""
    worst = sorted(checks, key=lambda c: (c.slice not in refused, c.change.value if c.change else 0.0))[:_MOST_LINES]
    return [check for check in checks if check in worst]


def _sure(checks: Sequence[Check]) -> str:
    rows: list[Row] = [[_mark(c), c.reason] for c in checks]
    return table(["", "how sure it is"], rows) if rows else ""


def _all_slices(compared: Sequence[Check], floors: dict[str | None, Check]) -> str:
    rows: list[Row] = []
    for check in compared:
        floor = floors.get(check.slice)
        low = number(floor.limit) if floor and floor.limit is not None else Cell("", "n")
        passed = check.passed and (floor is None or floor.passed)
        said = "" if passed else "refused"
        rows.append([check.slice or "", check.rows or 0, *_figures(check), low, number(check.limit or 0.0), said])
    titles = ["slice", "rows", "champion", "candidate", "change", "floor", "allowed loss", ""]
    body = table(titles, rows)
    return f"<details><summary>All {len(rows)} slices and classes</summary>{body}</details>"


def _mark(check: Check) -> str:
    return "✓" if check.passed else "✗ refused"


def _bundle(verdict: Verdict) -> Iterator[str]:
    yield '<h2 id="bundle">bundle</h2>'
    yield table(["", "check"], [[_mark(c), c.reason] for c in verdict.checks if c.rule in _BUNDLE])


def _limits(limits: Limits) -> Iterator[str]:
    yield '<h2 id="limits">limits</h2>'
    rows: list[Row] = []
    for name, value in limits.items():
        each = value if isinstance(value, Mapping) else {"": value}
        rows += [[f"{name} {part}".strip(), Cell(f"{one:,}", "n")] for part, one in each.items()]
    yield table(["limit", "value"], rows, "Their reasons stand in models/training/gate/limits.py.")
