"""Pictures of the rows as SVG. Needs the extra report (matplotlib)."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mailweir.models.training.corpus import MailRow
from mailweir.models.training.data.counts import LONG
from mailweir.schemas.taxonomy import installed_taxonomy

# Colours that stay apart for those who see red and green alike (Okabe and Ito 2008).
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
_STYLE: Any = {  # the library types its settings by name, each release its own
    "svg.fonttype": "none",  # letters stay letters: smaller, and the browser's search finds them
    "svg.hashsalt": "mailweir",  # the same rows give the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_BAR, _EDGE = 0.22, 0.9  # inches per bar, and for axis and legend


def bars(counts: Mapping[str, Mapping[str, int]], kinds: Sequence[str]) -> str:
    """A bar for each name, in pieces by kind (a language, say)."""
    with rc_context(_STYLE):
        figure, axes = _figure(7.5, _EDGE + _BAR * max(len(counts), 1))
        names, left = list(counts), np.zeros(len(counts))
        for place, kind in enumerate(kinds):
            sizes = np.array([counts[name].get(kind, 0) for name in names])
            if sizes.any():
                axes.barh(names, sizes, left=left, label=kind, color=_COLOURS[place % len(_COLOURS)])
                left += sizes
        for row, total in enumerate(left):
            axes.text(total, row, f" {total:.0f}", va="center", fontsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.1)
        if axes.containers:
            figure.legend(frameon=False, fontsize=8, loc="outside upper left", ncols=len(kinds))
        return _svg(figure)


def length_curves(groups: Mapping[str, Sequence[str]]) -> str:
    """Share of texts with at most so many words, a curve for each group."""
    with rc_context(_STYLE):
        figure, axes = _figure(7.5, 3.2)
        for place, (name, texts) in enumerate(groups.items()):
            words = np.sort([max(len(text.split()), 1) for text in texts])
            share = np.arange(1, len(words) + 1) / len(words)
            axes.step(words, share, where="post", label=name, color=_COLOURS[place % len(_COLOURS)])
        axes.axvline(LONG, color="#999999", linewidth=0.8, linestyle=":")
        axes.set(xscale="log", xlabel=f"words (dotted: {LONG})", ylabel="share of mails", ylim=(0, 1))
        if groups:
            axes.legend(frameon=False, fontsize=8)
        return _svg(figure)


def meetings(mails: Sequence[MailRow], first: str, second: str) -> str:
    """How often each label of one head meets each of another; an empty cell never."""
    taxonomy = installed_taxonomy("email", 1)
    rows, columns = taxonomy.labels(first), taxonomy.labels(second)
    table = np.zeros((len(rows), len(columns)), int)
    for mail in mails:
        one, other = mail.label(first), mail.label(second)
        if one in rows and other in columns:
            table[rows.index(one), columns.index(other)] += 1
    with rc_context(_STYLE):
        figure, axes = _figure(7.5, _EDGE + 0.3 * len(rows))
        axes.imshow(np.log1p(table), cmap="Blues", aspect="auto")
        for row, column in zip(*np.nonzero(table), strict=True):
            dark = table[row, column] > table.max() ** 0.7
            colour = "white" if dark else "black"
            axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
        axes.set_yticks(range(len(rows)), rows)
        return _svg(figure)


def epoch_curves(losses: Mapping[str, Sequence[float]], scores: Sequence[float]) -> str:
    """A training run: the mean loss of each epoch, phase after phase, and beside it the mean F1 of the last phase's epochs."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(7.5, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        end = 0
        for place, (phase, values) in enumerate(losses.items()):
            epochs = np.arange(end + 1, (end := end + len(values)) + 1)
            left.plot(epochs, values, label=phase, color=_COLOURS[place % len(_COLOURS)], marker="o", markersize=3)
        right.plot(np.arange(end - len(scores) + 1, end + 1), scores, color=_COLOURS[2], marker="o", markersize=3)
        left.set(xlabel="epoch", ylabel="loss")
        right.set(xlabel="epoch", ylabel="mean F1, validation authors")
        for axes in (left, right):
            axes.xaxis.get_major_locator().set_params(integer=True)
        if losses:
            left.legend(frameon=False, fontsize=8)
        return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    """The picture as an element of a page."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    return "<svg" + written.getvalue().partition("<svg")[2]
