"""Candidate against champion as pictures. Needs the extra report.

Raises ImportError without matplotlib.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from matplotlib.axes import Axes

from mailweir.models.evaluation.certainty import Calibration
from mailweir.models.evaluation.pictures import BLUE, GREY, INK, png
from mailweir.models.training.gate.verdict import Check

__all__ = ["calibrations_png", "changes_png"]

_RED = "#b42318"
_LINE = 0.24  # inches a line


def changes_png(title: str, checks: Sequence[Check], refused: Collection[str | None]) -> bytes:
    """The change of each check's figure with its interval, the allowed loss as a tick; slices that are refused are red."""

    def draw(axes: Axes) -> None:
        for place, check in enumerate(reversed(checks)):
            _change(axes, place, check, _RED if check.slice in refused else BLUE)
        axes.axvline(0, color=GREY, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(checks)), [f"{c.slice} ({c.rows})" for c in reversed(checks)], fontsize=8)
        axes.set_ylim(-0.7, len(checks) - 0.3)
        axes.set_xlabel("candidate less champion; tick: allowed loss; red: refused")

    return png(title, (5.9, 1.1 + _LINE * len(checks)), draw)


def _change(axes: Axes, place: int, check: Check, color: str) -> None:
    if check.change is None:
        return
    axes.plot([check.change.low, check.change.high], [place, place], color=color, linewidth=1.4)
    axes.plot(check.change.value, place, marker="o", color=color, markersize=4)
    if check.limit is not None:
        axes.plot(-check.limit, place, marker="|", color=INK, markersize=8)


def calibrations_png(head: str, candidate: Calibration, champion: Calibration) -> bytes:
    """Said probability against the share that is right, of both; on the diagonal it means what it says."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        for name, found, color in (("champion", champion, GREY), ("candidate", candidate, BLUE)):
            said, right = [each.probability for each in found.bins], [each.right for each in found.bins]
            axes.plot(
                said, right, color=color, marker="o", markersize=4, linewidth=1.3, label=f"{name} {found.error:.3f}"
            )
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability said", ylabel="share that is right")
        axes.legend(title="calibration error", frameon=False, loc="upper left")

    return png(f"{head}: reliability", (3.2, 3.2), draw)
