"""The report: one HTML page that carries its pictures, and the same figures as JSON beside it. Needs the extra report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from mailweir.models.evaluation.evaluate import EntityFigures, Evaluation, Latency
from mailweir.models.evaluation.heads import HeadFigures, Sliced
from mailweir.models.evaluation.markup import Cell, Row, bar, figure, interval, number, picture, shift, table
from mailweir.models.evaluation.pictures import cascade_png, confusion_png, coverage_png, reliability_png
from mailweir.models.evaluation.robustness import Way
from mailweir.models.evaluation.summary_tables import summary_section
from mailweir.models.evaluation.tally import LabelFigures, Measured
from mailweir.models.evaluation.worst import WorstError
from mailweir.schemas.manifest import CheapSpec

__all__ = ["FIGURES", "PAGE", "write_report"]

PAGE, FIGURES = "index.html", "evaluation.json"

_OTHERWISE = (
    "Change of macro-F1 (next actions, entities: micro-F1) on the rows that the way changes; bold: the interval is without "
    "nought. Unsure: share of the rows on which a head is below its threshold. Texts of annotated entities are left as they are."
)
_SLICE_TITLES = ("", "rows", "macro-F1", "micro-F1", "macro precision", "macro recall", "without a mistake")


def write_report(folder: Path, evaluation: Evaluation, data: str) -> Path:
    """Write page and figures into `folder`, which is made if need be; `data` names what was answered. The page's path.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FIGURES).write_bytes(evaluation.encode() + b"\n")
    (folder / PAGE).write_text("\n".join(_page(evaluation, data)) + "\n", encoding="utf-8")
    return folder / PAGE


def _page(evaluation: Evaluation, data: str) -> Iterator[str]:
    model = f"{evaluation.model.name} {evaluation.model.version}"
    css = resources.files("mailweir.models.evaluation").joinpath("page.css").read_text(encoding="utf-8")
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(model)} on {escape(data)}</title>\n<style>\n{css}</style>\n</head>\n<body>"
    yield f"<h1>Bundle {escape(model)}</h1>"
    yield f'<p class="quiet">on {evaluation.rows:,} annotated rows of {escape(data)}; taxonomy {escape(evaluation.taxonomy.name)}</p>'
    yield _navigation(evaluation)
    yield from _overview(evaluation)
    for name, head in evaluation.heads.items():
        yield from _head(name, head)
    if evaluation.entities:
        yield from _entities(evaluation.entities)
    if evaluation.summaries:
        yield from summary_section(evaluation.summaries)
    yield from _latency(evaluation.latency)
    if evaluation.cascade:
        yield from _cascade(evaluation.cascade, evaluation)
    yield from _worst(evaluation.worst)
    yield from _robustness(evaluation)
    yield from _reading(evaluation)
    yield "</body>\n</html>"


def _navigation(evaluation: Evaluation) -> str:
    there = {
        "entities": evaluation.entities,
        "summaries": evaluation.summaries,
        "latency": True,
        "cascade": evaluation.cascade,
        "errors": True,
        "robustness": evaluation.robustness,
        "reading": True,
    }
    names = [*evaluation.heads, *(name for name, part in there.items() if part)]
    links = (f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
    return f"<nav>{' '.join(links)}</nav>"


def _overview(evaluation: Evaluation) -> Iterator[str]:
    def row(name: str, head: HeadFigures) -> Row:
        found, sure = head.figures.all, head.coverage
        cells = [number(v) for v in (sure.accuracy_at_80, sure.accepted, sure.accuracy_accepted)] if sure else [""] * 3
        return [
            name,
            found.rows,
            interval(found.macro.f1),
            interval(found.micro.f1),
            number(head.calibration.error),
            *cells,
        ]

    titles = [
        "",
        "rows",
        "macro-F1",
        "micro-F1",
        "calibration error",
        "accuracy at 80 %",
        "above threshold",
        "accuracy there",
    ]
    rows = [row(name, head) for name, head in evaluation.heads.items()]
    if evaluation.entities:
        for name, found in (
            ("entities, exact", evaluation.entities.exact.all),
            ("… partial", evaluation.entities.partial.all),
        ):
            rows.append([name, found.rows, interval(found.macro.f1), interval(found.micro.f1), "", "", "", ""])
    yield table(
        titles, rows, "Small figures: 95 % bootstrap interval. Micro-F1 of a head of one label is its accuracy."
    )


def _head(name: str, head: HeadFigures) -> Iterator[str]:
    yield f'<h2 id="{escape(name)}">{escape(name)}</h2>'
    yield '<div class="pictures">'
    if head.confusion:
        yield picture(confusion_png(name, head), f"Confusion matrix of {name}")
    yield picture(reliability_png(name, head.calibration), f"Reliability diagram of {name}")
    if head.coverage:
        yield picture(coverage_png(name, head.coverage), f"Accuracy of {name} by share of rows answered")
    yield "</div>"
    yield _labels(head.figures.all.labels, "label")
    yield from _slices(head.figures)


def _labels(labels: Mapping[str, LabelFigures], title: str) -> str:
    rows: list[Row] = [
        [name, f.right, f.given, bar(f.precision), bar(f.recall), bar(f.f1)]
        for name, f in sorted(labels.items(), key=_by_f1)
    ]
    return table([title, "annotated", "answered", "precision", "recall", "F1"], rows, "Weakest first.")


def _by_f1(item: tuple[str, LabelFigures]) -> float:
    return item[1].f1


def _slices(sliced: Sliced) -> Iterator[str]:
    rows: list[Row] = [_slice("all rows", sliced.all)]
    parts = {"by language": sliced.language, "by source": sliced.source, "by length": sliced.length}
    for title, slices in parts.items():
        rows += [[title], *(_slice(name, found) for name, found in slices.items())]
    yield table(_SLICE_TITLES, rows)
    for title, slices in parts.items():
        if len(slices) > 1:
            yield _labels_by_slice(title, sliced.all, slices)


def _slice(name: str, found: Measured) -> Row:
    figures = (found.macro.f1, found.micro.f1, found.macro.precision, found.macro.recall, found.accuracy)
    return [name, found.rows, *map(interval, figures)]


def _labels_by_slice(title: str, whole: Measured, slices: Mapping[str, Measured]) -> str:
    """Per label and slice precision, recall, F1; folded, as it is long."""
    rows: list[Row] = [
        [label, *(_three(found.labels.get(label)) for found in slices.values())] for label in whole.labels
    ]
    body = table(["", *slices], rows, "F1, small: precision / recall, number annotated")
    return f"<details><summary>Labels {escape(title)}</summary>{body}</details>"


def _three(found: LabelFigures | None) -> Cell:
    if found is None:
        return Cell("–", "n")
    return Cell(
        f"{figure(found.f1)} <small>{figure(found.precision)} / {figure(found.recall)}, {found.right}</small>", "n"
    )


def _entities(found: EntityFigures) -> Iterator[str]:
    yield '<h2 id="entities">entities</h2>'
    rows: list[Row] = []
    for kind, exact in sorted(found.exact.all.labels.items(), key=_by_f1):
        partial = found.partial.all.labels[kind]
        cells = [bar(exact.precision), bar(exact.recall), bar(exact.f1), bar(partial.f1)]
        rows.append([kind, exact.right, exact.given, *cells])
    titles = ["type", "annotated", "found", "precision", "recall", "F1 exact", "F1 partial"]
    yield table(titles, rows, "Weakest first. Partial: the type is right and the places overlap.")
    yield "<h3>To the letter</h3>"
    yield from _slices(found.exact)
    yield "<h3>At least in part</h3>"
    yield from _slices(found.partial)


def _latency(latency: Latency) -> Iterator[str]:
    yield '<h2 id="latency">latency</h2>'
    said = f"One mail alone, {latency.median_tokens} tokens in the middle; {latency.cut} rows were longer than the model reads."
    yield f"<p>{said}</p>"
    each = {"all of it": latency.total, **latency.steps}
    rows: list[Row] = [[name, Cell(f"{t.median:.2f}", "n"), Cell(f"{t.p90:.2f}", "n")] for name, t in each.items()]
    yield table(["milliseconds", "median", "90 % are below"], rows)


def _cascade(spec: CheapSpec, evaluation: Evaluation) -> Iterator[str]:
    yield '<h2 id="cascade">cascade</h2>'
    stopped = evaluation.tiers.get("linear", 0)
    yield f"<p>Of these {evaluation.rows:,} rows {stopped:,} stopped at the cheap tier.</p>"
    if not spec.curve:
        return
    yield picture(cascade_png(spec), "Mean F1 against milliseconds a mail, by threshold of the cheap tier")
    rows: list[Row] = [
        [
            "nobody stops"
            if not p.stopped
            else f"{p.threshold:.3f}{' (chosen)' if p.threshold == spec.threshold else ''}",
            *(
                Cell(text, "n")
                for text in (f"{p.stopped:.1%}", f"{p.milliseconds:.2f}", f"{p.mean_f1:.4f}", f"{p.cost:.4f}")
            ),
            p.at,
        ]
        for p in spec.curve
    ]
    titles = ["threshold", "stop", "milliseconds", "mean F1", "largest loss", "where"]
    yield table(
        titles,
        rows,
        f"Measured at training, on authors that neither tier was fitted on. Allowed loss: {spec.cost_limit}.",
    )


def _worst(errors: Sequence[WorstError]) -> Iterator[str]:
    yield '<h2 id="errors">errors that the bundle was surest of</h2>'
    yield '<p class="quiet">The row or the model is wrong. Below the threshold a person would have looked: marked ?</p>'
    rows: list[Row] = []
    head = ""
    for error in errors:
        if error.head != head:
            head = error.head
            rows.append([head])
        words = ", ".join(reason.text for reason in error.reasons)
        sure = Cell(f"{error.probability:.2f}{'?' if error.abstained else ''}", "n")
        rows.append([error.id, error.right, error.given, sure, words, error.first_words])
    yield table(["row", "annotated", "answered", "sure", "words that spoke for it", "begins"], rows)


def _robustness(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.robustness:
        return
    yield '<h2 id="robustness">robustness</h2>'
    heads = list(dict.fromkeys(name for way in evaluation.robustness.values() for name in way.heads))
    rows: list[Row] = [
        [name, way.rows, number(way.reviewed_before), number(way.reviewed_after), *_changes(way, heads)]
        for name, way in evaluation.robustness.items()
    ]
    yield table(["written otherwise", "rows", "unsure before", "after", *heads], rows, _OTHERWISE)


def _changes(way: Way, heads: Sequence[str]) -> list[Cell]:
    return [shift(way.heads[head].change) if head in way.heads else Cell("", "n") for head in heads]


def _reading(evaluation: Evaluation) -> Iterator[str]:
    said = {
        "macro": "mean over the labels that are annotated in the rows at hand; precision of a label that is never answered is 0.",
        "micro": "of all decisions together.",
        "interval": f"2.5 % and 97.5 % of {evaluation.resamples:,} resamples of the rows, seed {evaluation.seed}.",
        "calibration error": "mean distance between the probability said and the share that is right, over 15 equally filled bins; "
        "of a head of many labels, over each label of each row.",
        "accuracy at 80 %": "of the four fifths of the rows that the bundle is surest of.",
        "above threshold": "share of the rows at which the head answers instead of asking a person.",
        "rows": "a row counts where its label is known; null is left out.",
    }
    yield '<h2 id="reading">how to read the figures</h2>'
    yield f"<dl>{''.join(f'<dt>{escape(word)}</dt><dd>{escape(text)}</dd>' for word, text in said.items())}</dl>"
