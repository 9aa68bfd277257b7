"""How sure the tagger is, and which rules are worth having beside it; both on authors that it has not seen."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mailweir.models.export.weights import Floats
from mailweir.models.text.entities import find_all, find_entities
from mailweir.models.text.finds import Find
from mailweir.models.text.model_input import ModelInput
from mailweir.models.text.spans import Span, decode_tags
from mailweir.models.text.tokens import Tokens
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.rules import FEWEST, type_shares
from mailweir.schemas.events import EntityField
from mailweir.schemas.manifest import TagSpec

_TEMPERATURES = np.geomspace(0.5, 4.0, 25)
_LIMITS = np.arange(0.2, 0.85, 0.05)
_WORTH = 0.6  # a rule that is wrong more often is switched off
_ALONE = 4  # fitted on four authors and measured on four others: .4 points of F1, with 0 and a least number of finds .1

Tagged = list[tuple[EntityField, Span]]


def tagged_rows(
    inputs: Sequence[ModelInput], tokens: Sequence[Tokens], logits: Sequence[Floats], spec: TagSpec
) -> list[Tagged]:
    """What the tagger finds in each row."""
    found = []
    for given, read, table in zip(inputs, tokens, logits, strict=True):
        spans = decode_tags(table, spec.names, read.encoding.offsets[: len(table)], given.text, spec.temperature)
        found.append(list(given.locate(s for s in spans if s.probability >= spec.thresholds.get(s.type, 0.0))))
    return found


def fit_tags(
    rows: Sequence[MailRow],
    inputs: Sequence[ModelInput],
    tokens: Sequence[Tokens],
    logits: Sequence[Floats],
    names: tuple[str, ...],
) -> TagSpec:
    """Temperature of the least log loss of the finds, then per type the threshold of the best F1."""
    specs = [TagSpec(names=names, temperature=round(float(t), 4)) for t in _TEMPERATURES]
    best = min(specs, key=lambda spec: _loss(rows, tagged_rows(inputs, tokens, logits, spec)))
    found = _judged(rows, tagged_rows(inputs, tokens, logits, best))
    marked = Counter(mark.type for row in rows for mark in row.entities)
    limits = {kind: _limit([(p, right) for k, p, right in found if k == kind], marked[kind]) for kind in sorted(marked)}
    return best.model_copy(update={"thresholds": limits})


def rules_beside(rows: Sequence[MailRow], tagged: Sequence[Tagged]) -> dict[str, float]:
    """Per rule, how often it is right where the tagger says nothing.

    A rule has few such finds, so that `_ALONE` more are added, right as often as all of its finds are.
    """
    alone, beside, finds = Counter[tuple[str, bool]](), Counter[tuple[str, bool]](), Counter[str]()
    for row, claims in zip(rows, tagged, strict=True):
        marked = {(mark.type, mark.text) for mark in row.entities}
        for find, right, silent in _ruled(row, claims, marked):
            finds[find.rule] += 1
            alone[find.rule, right] += 1
            beside[find.rule, right] += silent
    shares = {rule: _share(rule, alone, beside) for rule in sorted(finds) if finds[rule] >= FEWEST}
    return {rule: share for rule, share in shares.items() if share >= _WORTH}


def _share(rule: str, alone: Counter[tuple[str, bool]], beside: Counter[tuple[str, bool]]) -> float:
    right, wrong = alone[rule, True], alone[rule, False]
    before = (right + 1) / (right + wrong + 2)
    silent = beside[rule, True] + beside[rule, False]
    return round((beside[rule, True] + _ALONE * before) / (silent + _ALONE), 3)


def _ruled(row: MailRow, claims: Tagged, marked: set[tuple[str, str]]) -> Iterator[tuple[Find, bool, bool]]:
    """Every find of a rule, whether it is right, and whether the tagger says nothing there."""
    for field, text in (("subject", row.subject), ("body", row.body)):
        said = [span for place, span in claims if place == field]
        for find in find_all(text):
            silent = not any(span.start < find.end and find.start < span.end for span in said)
            yield find, (find.type, text[find.start : find.end]) in marked, silent


def entity_figures(
    rows: Sequence[MailRow], tagged: Sequence[Tagged], precision: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Precision, recall and counts per type of tagger and rules together, exact text, each distinct text of a mail once."""
    hits, found, marked = Counter[str](), Counter[str](), Counter[str]()
    for row, claims in zip(rows, tagged, strict=True):
        right = {(mark.type, mark.text) for mark in row.entities}
        given = {(e.type, e.text) for e in find_entities(row.subject, row.body, precision, claims)}
        for counter, pairs in ((hits, right & given), (found, given), (marked, right)):
            counter.update(kind for kind, _ in pairs)
    return {kind: type_shares(hits[kind], found[kind], marked[kind]) for kind in sorted(marked | found)}


def micro(figures: dict[str, dict[str, Any]]) -> float:
    """Micro-F1 of `entity_figures`."""
    hits = sum(f["precision"] * f["found"] for f in figures.values())
    both = sum(f["found"] + f["marked"] for f in figures.values())
    return round(2 * hits / both, 4) if both else float("nan")


def _judged(rows: Sequence[MailRow], tagged: Sequence[Tagged]) -> list[tuple[str, float, bool]]:
    judged = []
    for row, claims in zip(rows, tagged, strict=True):
        marked = {(mark.type, mark.text) for mark in row.entities}
        each: dict[tuple[str, str], float] = {}
        for field, span in claims:
            pair = (span.type, (row.subject if field == "subject" else row.body)[span.start : span.end])
            each[pair] = max(each.get(pair, 0.0), span.probability)
        judged += [(pair[0], probability, pair in marked) for pair, probability in each.items()]
    return judged


def _loss(rows: Sequence[MailRow], tagged: Sequence[Tagged]) -> float:
    losses = [-np.log(max(p if right else 1 - p, 1e-6)) for _, p, right in _judged(rows, tagged)]
    return float(np.mean(losses)) if losses else 0.0


def _limit(finds: Sequence[tuple[float, bool]], marked: int) -> float:
    def f1(limit: float) -> float:
        given = [right for p, right in finds if p >= limit]
        return 2 * sum(given) / max(1, len(given) + marked)

    return round(float(max(_LIMITS, key=lambda limit: (f1(limit), limit))), 2)
