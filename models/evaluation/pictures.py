"""Confusion matrices, reliability diagrams and coverage curves as PNG. Needs the extra report.

Raises ImportError without matplotlib; drawn on a canvas of their own, so that no display and no global state is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mailweir.models.evaluation.certainty import Calibration, Coverage
from mailweir.models.evaluation.heads import HeadFigures
from mailweir.schemas.manifest import CheapSpec

__all__ = ["BLUE", "GREY", "INK", "cascade_png", "confusion_png", "coverage_png", "png", "reliability_png"]

_DPI = 110
INK, BLUE, GREY = "#1f2328", "#1f5fa8", "#8a929a"
_DARK_CELL = 0.55  # share of a row above which white figures are read more easily


def confusion_png(name: str, head: HeadFigures) -> bytes:
    """Counts, each row shaded by the share of its truth; empty labels are left out."""
    counts = np.array(head.confusion)
    shown = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts, labels = counts[np.ix_(shown, shown)], [head.labels[i] for i in shown]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def draw(axes: Axes) -> None:
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("answered")
        axes.set_ylabel("annotated")
        for row, column in np.argwhere(counts):
            color = "white" if share[row, column] > _DARK_CELL else INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=9)

    side = 2.6 + 0.36 * len(labels)
    return png(f"{name}: annotated against answered", (side + 0.4, side), draw)


def reliability_png(name: str, found: Calibration) -> bytes:
    """Said probability against the share that is right, over equally filled bins; on the diagonal it means what it says."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        sizes = [20 + 120 * each.answers / max(b.answers for b in found.bins) for each in found.bins]
        said, right = [each.probability for each in found.bins], [each.right for each in found.bins]
        axes.plot(said, right, color=BLUE, linewidth=1.2)
        axes.scatter(said, right, s=sizes, color=BLUE, alpha=0.75, linewidths=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability said", ylabel="share that is right")
        axes.text(0.03, 0.94, f"calibration error {found.error:.3f}", color=INK)

    return png(f"{name}: reliability", (4.4, 4.0), draw)


def coverage_png(name: str, found: Coverage) -> bytes:
    """Accuracy of the surest share of the rows, and where the bundle's threshold stands."""

    def draw(axes: Axes) -> None:
        shares, accuracy = zip(*found.curve, strict=True)
        axes.plot(shares, accuracy, color=BLUE, linewidth=1.6)
        axes.axvline(found.accepted, color=GREY, linestyle=":", linewidth=1.4)
        lowest = min(accuracy)
        axes.set(
            xlim=(0, 1.02), ylim=(max(0.0, lowest - 0.1), 1.02), xlabel="share answered", ylabel="accuracy of those"
        )
        axes.text(0.03, 0.05, f"dotted: threshold {found.threshold:.2f}", color=INK, transform=axes.transAxes)

    return png(f"{name}: answering only when sure", (4.4, 4.0), draw)


def cascade_png(spec: CheapSpec) -> bytes:
    """Mean F1 against milliseconds a mail: every point a threshold, the ringed one the bundle's; right, nobody stops early."""

    def draw(axes: Axes) -> None:
        times, scores = zip(*((point.milliseconds, point.mean_f1) for point in spec.curve), strict=True)
        axes.plot(times, scores, color=BLUE, linewidth=1.2, marker="o", markersize=3)
        chosen = [p for p in spec.curve if p.threshold == spec.threshold] or [p for p in spec.curve if not p.stopped]
        axes.scatter(
            [p.milliseconds for p in chosen], [p.mean_f1 for p in chosen], s=90, facecolors="none", edgecolors=INK
        )
        axes.set(xlabel="milliseconds a mail, mean", ylabel="mean F1 of all questions")
        stopped = chosen[0].stopped if chosen else 0.0
        axes.text(0.4, 0.05, f"ringed: {stopped:.1%} stop early", color=INK, transform=axes.transAxes)

    return png("cascade: what stopping early costs and saves", (5.2, 4.0), draw)


def png(title: str, inches: tuple[float, float], draw: Callable[[Axes], None]) -> bytes:
    """A picture of one pair of axes in the look of the page."""
    figure = Figure(figsize=inches, dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.set_title(title, fontsize=11, color=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with BytesIO() as stream:
        canvas.print_png(stream)  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
        return stream.getvalue()
