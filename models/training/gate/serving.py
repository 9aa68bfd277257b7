"""Can the candidate be served: the same answer in any batch, quantized without loss, as fast, and not much larger?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mailweir.models.training.gate.limits import Limits
from mailweir.models.training.gate.sitting import Neighbours, Sitting
from mailweir.models.training.gate.verdict import Check

__all__ = ["serving"]


def serving(candidate: Sitting, champion: Sitting, limits: Limits) -> Iterator[Check]:
    """Checks of the bundle itself."""
    yield _neighbours(candidate.neighbours, limits)
    yield from _parity(candidate, champion, limits)
    yield _latency(candidate, champion, limits)
    yield from _size(candidate, champion, limits)


def _neighbours(found: Neighbours, limits: Limits) -> Check:
    passed = not found.flips and found.largest <= limits.probability_change
    told = f"{found.flips} labels change and a probability moves by up to {found.largest:.1e}"
    where = f" ({found.where})" if found.where and not passed else ""
    reason = (
        f"batch invariance: {told}{where} with the neighbours of {found.mails} mails in the batch; "
        f"allowed are 0 and {limits.probability_change:.0e}"
    )
    return Check(
        "neighbours", passed, reason, rows=found.mails, candidate=found.largest, limit=limits.probability_change
    )


def _parity(candidate: Sitting, champion: Sitting, limits: Limits) -> Iterator[Check]:
    """What the manifests say about quantization; a bundle that was not quantized has nothing to lose."""
    manifest = candidate.manifest
    if manifest.quantization.startswith("fp32"):
        yield Check("parity", passed=True, reason="int8 parity: the bundle is not quantized")
        return
    measured, before = (manifest.metrics.get("parity", {}), champion.manifest.metrics.get("parity", {}))
    for head in manifest.heads:
        if head in measured:
            yield _parity_of(head, measured[head], before.get(head), limits)
        else:
            reason = f"int8 parity: the manifest has no parity of {head}: train the bundle with a test set"
            yield Check("parity", passed=False, reason=reason, head=head)


def _parity_of(head: str, found: Mapping[str, Any], before: Mapping[str, Any] | None, limits: Limits) -> Check:
    """As the floors: a limit binds where the champion keeps it."""
    least, most = limits.parity_agreement, limits.parity_cost
    if before:
        least, most = min(least, before["agreement"]), max(most, _cost(before))
    passed = found["agreement"] >= least and _cost(found) <= most
    reason = (
        f"int8 parity, {head}: the label of {found['agreement']:.1%} of the rows stays (at least {least:.1%}), "
        f"F1 loses {_cost(found):.3f} (at most {most:.3f})"
    )
    return Check("parity", passed, reason, head=head, candidate=found["agreement"], limit=least)


def _cost(found: Mapping[str, Any]) -> float:
    """F1, macro or micro, that quantization took."""
    scores = next(value for name, value in found.items() if name != "agreement")
    return round(float(scores["fp32"] - scores["int8"]), 4)


def _latency(candidate: Sitting, champion: Sitting, limits: Limits) -> Check:
    """The middle of the ratios mail by mail: both were asked in the same second, so a busy machine slows both."""
    ratio = float(np.median(np.array(candidate.milliseconds) / np.array(champion.milliseconds)))
    ours, theirs = (float(np.median(sitting.milliseconds)) for sitting in (candidate, champion))
    reason = (
        f"latency: a mail takes {ratio:.2f} times as long as with the champion, at most {limits.latency_ratio} is allowed "
        f"(median {ours:.2f} ms against {theirs:.2f} ms, asked in turn)"
    )
    passed = ratio <= limits.latency_ratio
    rows = len(candidate.milliseconds)
    return Check("latency", passed, reason, rows=rows, candidate=ours, champion=theirs, limit=limits.latency_ratio)


def _size(candidate: Sitting, champion: Sitting, limits: Limits) -> Iterator[Check]:
    ratio = candidate.size / champion.size
    told = f"size: {candidate.size:,} bytes"
    relative = f"{told}, {ratio:.2f} times the champion's; at most {limits.size_ratio} times"
    absolute = f"{told}; at most {limits.size_bytes:,} bytes"
    ours, theirs = float(candidate.size), float(champion.size)
    asked = (
        (ratio <= limits.size_ratio, relative, limits.size_ratio),
        (ours <= limits.size_bytes, absolute, limits.size_bytes),
    )
    for passed, reason, limit in asked:
        yield Check("size", passed, reason, candidate=ours, champion=theirs, limit=float(limit))
