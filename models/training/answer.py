"""Fit every head of the taxonomy: choose its strength, calibrate it on held-out authors, fit it on all of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mailweir.models.export.linear import Int8
from mailweir.models.export.weights import Encoder, Floats, LinearHead, Tagger
from mailweir.models.training.calibrate import fit_spec
from mailweir.models.training.features import features
from mailweir.models.training.heads import (
    Features,
    Mask,
    Question,
    Strength,
    ask,
    fit_dense,
    fit_head,
    fit_lexicon,
    held_out_logits,
)
from mailweir.models.training.measure import macro_f1, micro_f1
from mailweir.models.training.prepare import Prepared, quantized
from mailweir.models.training.split import Run, Split
from mailweir.models.training.start import Weights
from mailweir.schemas.manifest import HeadSpec
from mailweir.schemas.taxonomy import installed_taxonomy

Fit = Callable[[Question, Features, Mask, Strength], LinearHead]


@dataclass(frozen=True, slots=True)
class Answered:
    """One fitted head with what it was fitted by and how it does."""

    question: Question
    head: LinearHead
    spec: HeadSpec
    strength: Strength
    held_out: Floats  # (rows, labels), served features, each author by a head that has not seen them


@dataclass(frozen=True, slots=True)
class Fitted:
    """A finished network: the encoder in its two forms, and all that is asked of it."""

    encoder: Encoder
    form: Int8
    answered: tuple[Answered, ...]
    tagger: Tagger | None = None
    history: tuple[dict[str, Any], ...] = ()  # what each epoch came to
    learned: Weights | None = None  # from which another run can go on; None: the encoder stayed frozen


@dataclass(frozen=True, slots=True)
class _Tables:
    """The rows as the two forms of the frozen encoder give them."""

    reference: Features  # of the fp32 graph
    served: Features  # of the int8 graph


def questions_of(run: Run) -> list[Question]:
    """The heads of the recipe's taxonomy, asked of the run's rows."""
    taxonomy = installed_taxonomy(run.recipe.name, 1)
    return [ask(name, head, run.rows) for name, head in taxonomy.heads.items()]


def answer_frozen(run: Run, ready: Prepared) -> Fitted:
    """Heads of linear models over the untouched encoder."""
    form = quantized(ready.encoder, run, ready)
    tables = []
    for title, product in (("features, fp32", None), ("features, int8", form)):
        with run.steps.step(title, len(ready.mails)) as advance:
            dense = features(ready.encoder, product, ready.mails, ready.vocabulary.padding, advance)
            tables.append(Features(dense, ready.words))
    questions, both = questions_of(run), _Tables(*tables)
    with run.steps.step("heads", len(questions)) as advance:
        answered = []
        for question in questions:
            answered.append(_answer(question, run, both))
            advance(1)
    return Fitted(ready.encoder, form, tuple(answered))


def _answer(question: Question, run: Run, ready: _Tables) -> Answered:
    strength = _choose_strength(question, run, ready)
    held_out = held_out_logits(
        lambda rows: fit_head(question, ready.reference, rows, strength), ready.served, run.split.authors
    )
    spec = fit_spec(question, held_out, run.recipe.targets.get(question.name, 0.0))
    head = fit_head(question, ready.reference, run.split.fitting, strength)
    return Answered(question, head, spec, strength, held_out)


def _choose_strength(question: Question, run: Run, ready: _Tables) -> Strength:
    """The strength with the best F1 on held-out groups of authors: first of the dense part, then the weight of words.

    A head of many keeps its labels' real frequencies, because its probabilities are read one by one.
    """
    tried = list(dict.fromkeys(Strength(s.c, s.balanced and question.kind == "one") for s in run.recipe.strengths))

    if len(tried) == len(run.recipe.words) == 1:
        return replace(tried[0], words=run.recipe.words[0])

    def scores(fit: Fit, strength: Strength) -> Floats:
        return held_out_logits(
            lambda rows: fit(question, ready.reference, rows, strength), ready.reference, run.split.folds
        )

    dense = {strength: scores(fit_dense, strength) for strength in tried}
    best = max(tried, key=lambda strength: _f1(question, run.split, dense[strength]))
    lexical = scores(fit_lexicon, best)
    weight = max(run.recipe.words, key=lambda weight: _f1(question, run.split, dense[best] + weight * lexical))
    return replace(best, words=weight)


def _f1(question: Question, split: Split, scored: Floats) -> float:
    return question_f1(question, split.fitting, scored)


def question_f1(question: Question, rows: Mask, scored: Floats) -> float:
    """Macro-F1 of a head of one, micro-F1 of a head of many, of (all rows, labels) logits on the known ones of `rows`."""
    used = rows & question.known
    if question.kind == "many":
        return micro_f1(question.answers[used] == 1, scored[used] > 0)
    return macro_f1(question.best[used], np.asarray(scored[used].argmax(axis=1), np.int64), len(question.labels))
