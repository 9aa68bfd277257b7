"""The part of a model card about parity, from the manifest's figures."""

from collections.abc import Iterator, Mapping
from typing import Any

from mailweir.models.training.fidelity import CHANGE, SAME
from mailweir.models.training.measure import ALL

Slices = Mapping[str, Mapping[str, Any]]


def parity_section(found: Mapping[str, Slices]) -> Iterator[str]:
    """Markdown lines; none for a bundle that was made before this was measured."""
    if not found:
        return
    steps = [name for name in next(iter(found.values()))[ALL] if name != "rows"]
    yield from ("", "## Parity by head and slice", "")
    yield (
        "Measured where the bundle was made, on the mails of validation and test authors: share of answers that stay the same from "
        "one form of the network to the next (of a head with any number of labels, share of its labels), and change of macro-F1 "
        f"(micro-F1) in points. Wanted: {SAME:.1%} and {100 * CHANGE:.1f} points. Answers of the plain heads: what a refinement adds "
        "is not in them."
    )
    yield ""
    for step in steps:
        cells = [slices[step] for each in found.values() for slices in each.values()]
        kept = sum(cell["agreement"] >= SAME and abs(cell["f1_change"]) <= CHANGE for cell in cells)
        yield f"- {step}: {kept} of {len(cells)} heads and slices within both."
    titles = " | ".join(f"{step}: same | F1" for step in steps)
    yield from ("", f"| head | slice | mails | {titles} |", f"|---|---|---|{'---|---|' * len(steps)}")
    for head, slices in found.items():
        for name, figures in slices.items():
            cells = [f"{figures[step]['agreement']:.4f} | {100 * figures[step]['f1_change']:+.2f}" for step in steps]
            yield f"| {head} | {name} | {figures['rows']} | {' | '.join(cells)} |"
