"""Scorers of sentences over the finished encoder: fitted on mails with a reference, calibrated on authors held out.

The encoder stays as it is: four hundred mails would teach it less than they would make it forget.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from mailweir.models.export.linear import Int8
from mailweir.models.export.weights import Affine, Encoder
from mailweir.models.runtime.sentences import Numbers, best_places, sentence_probabilities
from mailweir.models.training.calibrate import best_f1_threshold
from mailweir.models.training.heads import Mask
from mailweir.models.training.prepare import Prepared
from mailweir.models.training.read_sentences import ReadMail, read_mails
from mailweir.models.training.references import Reference
from mailweir.models.training.split import Run, Split
from mailweir.schemas.errors import InputError
from mailweir.schemas.manifest import SentenceHead, SentenceSpec

FEWEST = 20
"""Mails with a reference that are needed to fit, and as many to calibrate."""

_SCALE = 0.1  # of standardized vectors beside the length, which the penalty then hardly touches
_STRENGTHS = (0.1, 0.2, 0.3, 0.5)  # scikit-learn's C
_TEMPERATURES = np.geomspace(0.5, 3.0, 40)
_LIMITS = np.arange(0.05, 0.8, 0.01)
_MOST = 2  # sentences of a summary
_LEADS = (1, 2)
Use = Literal["summary", "action_items"]
_NEVER: Mapping[Use, tuple[str, ...]] = {"summary": ("spam",), "action_items": ("spam", "newsletter", "promotional")}
"""Categories: of 16 newsletters and advertisements with a reference none has an action item; the scorer found some in 11 of 36."""

Turn = tuple[list[ReadMail], list[ReadMail]]
"""Mails to fit on, mails to score."""


@dataclass(frozen=True, slots=True)
class FittedScorer:
    """What the graph and the manifest get."""

    affine: Affine  # (hidden, 2)
    spec: SentenceSpec
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted logistic regression on mean token vectors and the logarithm of the number of words."""

    weights: Numbers  # (hidden,)
    bias: float
    length_weight: float

    def logits(self, mail: ReadMail) -> Numbers:
        """(sentences,), as the runtime computes them before the temperature."""
        return np.asarray(mail.vectors @ self.weights + self.bias + self.length_weight * mail.lengths)


def fit_scorer(
    run: Run, ready: Prepared, served: tuple[Encoder, Int8], references: Mapping[str, Reference]
) -> FittedScorer | None:
    """Fit on mails of the fitting authors; None without references. `served` is the encoder and its int8 form.

    Held out are the validation authors or, where the recipe names none, groups of the fitting authors in turn.

    Raises:
        InputError: too few mails of the authors that are fitted on, or that are held out, have a reference.
    """
    if not references:
        return None
    with run.steps.step("sentences", 1):
        mails = read_mails(run, ready, served, references)
        turns = _turns(mails, run.split)
        held = [mail for _, scored in turns for mail in scored]
        _refuse_few(_of(mails, run.split.fitting), held)
        lines, heads = zip(*(fit_use(use, mails, turns, run.split) for use in ("summary", "action_items")), strict=True)
    weights = np.stack([line.weights for line in lines], axis=1).astype(np.float32)
    affine = Affine(weights, np.array([line.bias for line in lines], np.float32))
    spec = SentenceSpec(summary=heads[0], action_items=heads[1], most=_MOST)
    test = _of(mails, run.split.testing)
    figures = {name: _figures(part, lines, spec) for name, part in (("held_out", held), ("test", test)) if part}
    return FittedScorer(affine, spec, figures | {"references": len(references)})


def _of(mails: Sequence[ReadMail], rows: Mask) -> list[ReadMail]:
    return [mail for mail in mails if rows[mail.row]]


def _turns(mails: Sequence[ReadMail], split: Split) -> list[Turn]:
    if split.validating.any():
        return [(_of(mails, split.fitting), _of(mails, split.validating))]
    return [(_of(mails, split.fitting & ~fold), _of(mails, fold)) for fold in split.folds]


def _refuse_few(fitting: Sequence[ReadMail], held: Sequence[ReadMail]) -> None:
    if min(len(fitting), len(held)) < FEWEST:
        message = (
            f"{len(fitting)} mails to fit on and {len(held)} by authors held out have a reference summary: write {FEWEST} of "
            "each, or take the file of references away"
        )
        raise InputError(message)


def fit_use(use: Use, mails: Sequence[ReadMail], turns: Sequence[Turn], split: Split) -> tuple[Line, SentenceHead]:
    """The strength of the least log loss on what is held out, its calibration there, and the line fitted on all."""
    right = [mail.right[use] for _, scored in turns for mail in scored]
    together = np.concatenate(right)
    tried = []
    for strength in _STRENGTHS:
        logits = [line.logits(mail) for fit, scored in turns for line in [_fit(use, fit, strength)] for mail in scored]
        temperature = _temperature(np.concatenate(logits), together)
        tried.append((_loss(np.concatenate(logits) / temperature, together), strength, temperature, logits))
    _, strength, temperature, logits = min(tried, key=lambda one: one[0])
    line = _fit(use, _of(mails, split.fitting), strength)
    head = SentenceHead(
        temperature=round(temperature, 4),
        threshold=0.0,
        length_weight=round(line.length_weight, 4),
        never={"category": _NEVER[use]},
    )
    probabilities = [1 / (1 + np.exp(-each / head.temperature)) for each in logits]
    threshold = (
        _limit(probabilities, right) if use == "summary" else best_f1_threshold(np.concatenate(probabilities), together)
    )
    return line, head.model_copy(update={"threshold": round(threshold, 4)})


def _fit(use: Use, mails: Sequence[ReadMail], strength: float) -> Line:
    vectors = np.concatenate([mail.vectors for mail in mails])
    centre, spread = vectors.mean(axis=0), vectors.std(axis=0) + 1e-6
    lengths = np.concatenate([mail.lengths for mail in mails])
    table = np.column_stack([(vectors - centre) / spread * _SCALE, lengths])
    model = LogisticRegression(C=strength, max_iter=1_000).fit(
        table, np.concatenate([mail.right[use] for mail in mails])
    )
    weights = model.coef_[0, :-1] * _SCALE / spread
    return Line(weights, float(model.intercept_[0] - centre @ weights), float(model.coef_[0, -1]))


def _temperature(logits: Numbers, right: Mask) -> float:
    return float(min(_TEMPERATURES, key=lambda one: _loss(logits / one, right)))


def _loss(logits: Numbers, right: Mask) -> float:
    return float(np.logaddexp(0, np.where(right, -logits, logits)).mean())


def _limit(probabilities: Sequence[Numbers], right: Sequence[Mask]) -> float:
    """The threshold of a summary's second sentence with the best F1; the higher of equal ones, which says less."""

    def f1(limit: float) -> float:
        return sentence_f1([summary_mask(each, limit) for each in probabilities], right)

    return float(max(_LIMITS, key=lambda limit: (f1(limit), limit)))


def summary_mask(probabilities: Numbers, threshold: float) -> Mask:
    """(sentences,): which are in the summary."""
    mask = np.zeros(len(probabilities), bool)
    mask[best_places(probabilities, _MOST, threshold)] = True
    return mask


def sentence_f1(given: Sequence[Mask], right: Sequence[Mask]) -> float:
    """Micro-F1 over the sentences of all mails."""
    hits = sum(int((a & b).sum()) for a, b in zip(given, right, strict=True))
    both = sum(int(a.sum() + b.sum()) for a, b in zip(given, right, strict=True))
    return 2 * hits / both if both else float("nan")


def _figures(mails: Sequence[ReadMail], lines: Sequence[Line], spec: SentenceSpec) -> dict[str, float]:
    """F1 of both uses, and of leading sentences as a summary. Of validation authors the thresholds were chosen on them."""

    def chosen(use: Use, line: Line, head: SentenceHead, pick: Callable[[Numbers, float], Mask]) -> float:
        bare = head.model_copy(update={"length_weight": 0.0})  # the line adds it itself
        tables = [sentence_probabilities(line.logits(mail), mail.lengths, bare) for mail in mails]
        return round(sentence_f1([pick(one, head.threshold) for one in tables], [m.right[use] for m in mails]), 4)

    found = {
        "mails": len(mails),
        "summary_f1": chosen("summary", lines[0], spec.summary, summary_mask),
        "action_items_f1": chosen("action_items", lines[1], spec.action_items, np.greater_equal),
    }
    right = [mail.right["summary"] for mail in mails]
    leads = {f"lead_{size}_f1": [np.arange(len(one)) < size for one in right] for size in _LEADS}
    return found | {name: round(sentence_f1(given, right), 4) for name, given in leads.items()}
