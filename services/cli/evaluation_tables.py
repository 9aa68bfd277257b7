"""An evaluation for people: what matters of it on 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from mailweir.services.cli.evaluation_summaries import show_summaries
from mailweir.services.cli.output import Column, Rows, plain

if TYPE_CHECKING:
    from mailweir.models.evaluation import Evaluation
    from mailweir.models.evaluation.heads import HeadFigures
    from mailweir.models.evaluation.tally import Estimate, LabelFigures, Measured

__all__ = ["show"]

_WEAKEST = 8
_FEW = 5  # rows of a label below which its F1 says nothing
_ERRORS = 8
_NOTE = "[95 % interval]  ECE: calibration error  at80: accuracy of the surest 80 %\nasks: share of rows below the threshold, that a person has to look at"


def show(to: Console, found: Evaluation) -> None:
    """Print heads, slices, weakest labels, entities, time and worst errors."""
    model = found.model
    to.print(Text(f"{model.name} {model.version} on {found.rows:,} rows", "bold"))
    _heads(to, found)
    _slices(to, found)
    _weakest(to, found)
    if found.entities:
        _entities(to, found)
    if found.summaries:
        show_summaries(to, found.summaries, _interval, lambda estimate: _short(estimate.value))
    _errors(to, found)
    _robustness(to, found)
    time = found.latency
    tokens = f"{time.median_tokens} tokens, {time.cut} rows cut"
    to.print(f"\none mail alone: median {time.total.median:.1f} ms ({tokens}), 90 % below {time.total.p90:.1f} ms")
    if stopped := found.tiers.get("linear"):
        to.print(f"{stopped} of {found.rows} rows stopped at the cheap tier")


def _heads(to: Console, found: Evaluation) -> None:
    rows = Rows(
        to,
        [
            Column("head", 17),
            Column("rows", 6, right=True),
            Column("macro-F1", 16, right=True),
            Column("micro-F1", 16, right=True),
            Column("ECE", 5, right=True),
            Column("at80", 5, right=True),
            Column("asks", 5, right=True),
        ],
    )
    for name, head in found.heads.items():
        rows.add({"head": name, **_averages(head.figures.all), **_certainty(head)})
    if found.entities:
        empty = dict.fromkeys(("ECE", "at80", "asks"), "")
        for name, sliced in (("entities, exact", found.entities.exact), ("entities, partial", found.entities.partial)):
            rows.add({"head": name, **_averages(sliced.all), **empty})
    to.print(_NOTE, style="dim")


def _averages(figures: Measured) -> dict[str, str]:
    return {
        "rows": str(figures.rows),
        "macro-F1": _interval(figures.macro.f1),
        "micro-F1": _interval(figures.micro.f1),
    }


def _certainty(head: HeadFigures) -> dict[str, str]:
    sure = head.coverage
    return {
        "ECE": _short(head.calibration.error),
        "at80": _short(sure.accuracy_at_80) if sure else "",
        "asks": f"{1 - sure.accepted:.0%}" if sure else "",
    }


def _slices(to: Console, found: Evaluation) -> None:
    """Macro-F1 of heads of one, micro-F1 of heads of many and of entities, by language, source and length."""
    titles = {name: name.replace("workflow_", "").replace("next_", "") for name in found.heads}
    columns = [Column(title, max(5, len(title)), rank=2, right=True) for title in titles.values()]
    first = "F1 in"
    rows = Rows(
        to, [Column(first, 18, grows=True), Column("rows", 5, right=True), *columns, Column("entities", 8, right=True)]
    )
    to.print()
    for dimension in ("language", "source", "length"):
        names: dict[str, None] = {}
        for head in found.heads.values():
            names |= dict.fromkeys(getattr(head.figures, dimension))
        for name in names:
            cells = {title: _score(found.heads[head], dimension, name) for head, title in titles.items()}
            entities = getattr(found.entities.exact, dimension).get(name) if found.entities else None
            exact = _short(entities.micro.f1.value) if entities else ""
            rows.add(
                {
                    first: f"{dimension} {name}" if dimension != "length" else name,
                    "rows": _rows(found, dimension, name),
                    **cells,
                    "entities": exact,
                }
            )
    to.print("macro-F1; of actions and entities (exact) micro-F1; rows: most that any head has", style="dim")


def _rows(found: Evaluation, dimension: str, name: str) -> str:
    slices = [getattr(head.figures, dimension) for head in found.heads.values()]
    return str(max(each[name].rows for each in slices if name in each))


def _score(head: HeadFigures, dimension: str, name: str) -> str:
    figures: Measured | None = getattr(head.figures, dimension).get(name)
    if figures is None:
        return ""
    return _short((figures.macro if head.kind == "one" else figures.micro).f1.value)


def _weakest(to: Console, found: Evaluation) -> None:
    labels = [
        (figures.f1, f"{name} {label}", figures)
        for name, head in found.heads.items()
        for label, figures in head.figures.all.labels.items()
        if figures.right >= _FEW
    ]
    to.print()
    _labels(to, "weakest labels", {name: figures for _, name, figures in sorted(labels, key=_first)[:_WEAKEST]})


def _first(item: tuple[float, str, LabelFigures]) -> tuple[float, str]:
    return item[:2]


def _entities(to: Console, found: Evaluation) -> None:
    if not found.entities:
        return
    to.print()
    kinds = sorted(found.entities.exact.all.labels.items(), key=lambda item: -item[1].f1)
    partial = {kind: figures.f1 for kind, figures in found.entities.partial.all.labels.items()}
    _labels(to, "entities", dict(kinds), partial)


def _labels(
    to: Console, title: str, labels: Mapping[str, LabelFigures], partial: Mapping[str, float] | None = None
) -> None:
    figures = [Column(name, max(5, len(name)), right=True) for name in ("precision", "recall", "F1")]
    figures += [Column("partial F1", 10, right=True)] if partial else []
    counts = [Column("annotated", 9, right=True), Column("answered", 8, right=True)]
    rows = Rows(to, [Column(title, 20 if partial else 30), *counts, *figures])
    for name, each in labels.items():
        cells = {"precision": _short(each.precision), "recall": _short(each.recall), "F1": _short(each.f1)}
        cells |= {"partial F1": _short(partial[name])} if partial else {}
        rows.add({title: name, "annotated": str(each.right), "answered": str(each.given), **cells})


def _errors(to: Console, found: Evaluation) -> None:
    worst = sorted(found.worst, key=lambda error: -error.probability)[:_ERRORS]
    if not worst:
        return
    to.print()
    columns = [
        Column("surest errors", 13),
        Column("head", 14),
        Column("annotated > answered", 26),
        Column("sure", 4, right=True),
        Column("words for it", 18, grows=True),
    ]
    rows = Rows(to, columns)
    for error in worst:
        cells = (
            error.id,
            error.head,
            f"{error.right} > {error.given}",
            f"{error.probability:.2f}",
            ", ".join(plain(reason.text) for reason in error.reasons),
        )
        rows.add(dict(zip((column.title for column in columns), cells, strict=True)))


def _robustness(to: Console, found: Evaluation) -> None:
    if not found.robustness:
        return
    names = {name: None for way in found.robustness.values() for name in way.heads}
    titles = {name: name.replace("workflow_", "").replace("next_", "") for name in names}
    columns = [Column(title, max(6, len(title)), rank=2, right=True) for title in titles.values()]
    first = "written otherwise"
    rows = Rows(to, [Column(first, 17), Column("rows", 5, right=True), *columns])
    to.print()
    for name, way in found.robustness.items():
        cells = {title: _change(way.heads[head].change) for head, title in titles.items() if head in way.heads}
        rows.add({first: name, "rows": str(way.rows), **dict.fromkeys(titles.values(), ""), **cells})
    to.print(
        "change of F1 as above on the rows that the way changes; * the 95 % interval is without nought", style="dim"
    )


def _change(estimate: Estimate) -> str:
    if isnan(estimate.value):
        return "–"
    sure = estimate.low > 0 or estimate.high < 0
    return f"{estimate.value:+.3f}".replace("0.", ".") + ("*" if sure else " ")


def _interval(estimate: Estimate) -> str:
    if isnan(estimate.value):
        return "–"
    return f"{_short(estimate.value)} [{_short(estimate.low)} {_short(estimate.high)}]"


def _short(value: float) -> str:
    """Four characters: no nought before the point."""
    return "–" if isnan(value) else f"{value:.3f}".replace("0.", ".", 1)[: 4 + (value < 0)]
