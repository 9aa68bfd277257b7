"""The part of a model card about refinement, from the manifest's figures."""

from collections.abc import Iterator, Mapping
from typing import Any


def refine_section(found: Mapping[str, Any]) -> Iterator[str]:
    """Markdown lines."""
    heads = ", ".join(found["heads"]) or "no head: it is in the bundle and off"
    yield from ("", "## Refinement", "")
    yield (
        f"A tiny recursive model (arXiv 2510.04871) adds its logits to those of the plain heads. Served for {heads}; "
        f"chosen on the validation authors: {found['chosen']}. F1 with 95 % bootstrap intervals, mean of seeds "
        f"{', '.join(map(str, found['seeds']))}; below the systems, differences of pairs of them:"
    )
    for split, title in (("validation", "Validation authors"), ("test", "Test authors")):
        if split in found:
            yield from ("", f"{title}:", "")
            yield from _table(found[split])
    yield from ("", "Halting rules on the validation authors, each author judged by what was fitted on the others:", "")
    yield from ("| rule | limit | mean steps | mean F1 |", "|---|---|---|---|")
    for rule in found["halting"]:
        limit = "" if rule["limit"] is None else rule["limit"]
        yield f"| {rule['rule']} | {limit} | {rule['steps']:.2f} | {rule['mean_f1']:.4f} |"
    yield ""
    yield from _cost(found)


def _cost(found: Mapping[str, Any]) -> Iterator[str]:
    spent = found["milliseconds"]
    counts = ", ".join(f"{steps}: {count}" for steps, count in found["histogram"].items())
    yield (
        f"Mails by steps taken where all are allowed and a mail halts at {found['halt_at']}: {counts}. Median milliseconds of a mail "
        f"alone on one thread: encoder and plain heads {spent['encoder']}, one step {spent['one step']}, all steps with halting "
        f"{spent['all steps']}. Largest difference of a logit between the fitted net and its graph: {found['parity']:.1e}."
    )


def _table(split: Mapping[str, Any]) -> Iterator[str]:
    names = max((list(heads) for heads in split["f1"].values()), key=len)
    yield f"| | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for rows, form in ((split["f1"], "{:.3f}"), (split["less"], "{:+.3f}")):
        for system, heads in rows.items():
            yield f"| {system} | {' | '.join(_cell(heads.get(name), form) for name in names)} |"


def _cell(figures: Mapping[str, float] | None, form: str) -> str:
    if figures is None:
        return ""
    value, low, high = (form.format(figures[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
