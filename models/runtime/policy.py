"""From scores to a decision: thresholds, abstention, what a person should look at. Pure: no clock, no model, no Kafka."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailweir.models.runtime.bundle import Probabilities, Scores
from mailweir.models.runtime.sentences import ScoredSentence, choose_action_items, choose_summary, quoted
from mailweir.schemas.events import Alternative, HeadDecision, NextAction, ReviewCause
from mailweir.schemas.manifest import HeadSpec, Manifest, SentenceHead, SentenceSpec

POLICY_VERSION = 3
"""Part of every decision's id: raise it when the same bundle would answer the same mail otherwise, be it by these rules, by the
text that the model is given, or by the shapes of entities."""

_ALTERNATIVES = 2
_NEGLIGIBLE = 0.01  # an alternative below it is not worth a consumer's bytes
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the scores of one mail lead to."""

    heads: dict[str, HeadDecision]
    next_actions: tuple[NextAction, ...]
    review_cause: ReviewCause | None
    summary: str | None = None
    action_items: tuple[str, ...] = ()

    @property
    def needs_review(self) -> bool:
        """True if a person should look."""
        return self.review_cause is not None


def decide(scores: Scores, manifest: Manifest, language: str) -> Verdict:
    """The verdict on one mail; `language` is the code of its newest text."""
    heads = {name: decide_head(scores.heads[name], spec) for name, spec in manifest.heads.items() if spec.kind == "one"}
    spec = manifest.heads.get("next_actions")
    actions = choose_many(scores.heads["next_actions"], spec) if spec else ()
    summary, items = summarize(scores, manifest.sentences, heads)
    return Verdict(
        heads,
        actions,
        _review_cause(scores, heads, manifest, language),
        quoted(one.sentence.text for one in summary) or None,
        tuple(one.sentence.text for one in items),
    )


def entity_precision_of(scores: Scores, manifest: Manifest) -> Mapping[str, float]:
    """How often each entity rule is right in the tier that answered: another where no tagger speaks beside it."""
    alone = scores.tier in {"rules", "linear"}
    return manifest.cheap.entity_precision if manifest.cheap and alone else manifest.entity_precision


def decide_head(probabilities: Probabilities, spec: HeadSpec) -> HeadDecision:
    """The most probable label with its runners-up; abstained below the head's threshold."""
    order = probabilities.argsort(kind="stable")[::-1]
    ranked = [(spec.labels[i], round(float(probabilities[i]), _DIGITS)) for i in order]
    label, probability = ranked[0]
    others = [Alternative(label=n, probability=p) for n, p in ranked[1 : 1 + _ALTERNATIVES] if p >= _NEGLIGIBLE]
    return HeadDecision(
        label=label,
        probability=probability,
        abstained=float(probabilities[order[0]]) < spec.threshold,
        alternatives=tuple(others),
    )


def choose_many(probabilities: Probabilities, spec: HeadSpec) -> tuple[NextAction, ...]:
    """The labels at or above their thresholds, most probable first."""
    chosen = [
        NextAction(label=label, probability=round(float(p), _DIGITS))
        for label, p, limit in zip(spec.labels, probabilities, spec.limits, strict=True)
        if p >= limit
    ]
    return tuple(sorted(chosen, key=lambda action: -action.probability))


def summarize(
    scores: Scores, spec: SentenceSpec | None, heads: Mapping[str, HeadDecision]
) -> tuple[tuple[ScoredSentence, ...], tuple[ScoredSentence, ...]]:
    """Sentences that sum the mail up, and those that ask for something.

    The bundle rules labels out: a summary of spam would carry its bait into somebody's list, and what advertising asks for would
    look like a task.
    """
    if spec is None:
        return (), ()
    summary = () if _ruled_out(spec.summary, heads) else choose_summary(scores.sentences, spec)
    return summary, () if _ruled_out(spec.action_items, heads) else choose_action_items(scores.sentences, spec)


def _ruled_out(spec: SentenceHead, heads: Mapping[str, HeadDecision]) -> bool:
    return any(name in heads and heads[name].label in labels for name, labels in spec.never.items())


def _review_cause(
    scores: Scores, heads: dict[str, HeadDecision], manifest: Manifest, language: str
) -> ReviewCause | None:
    if scores.tier == "rules":  # a person wrote down what to do with such mail
        return None
    if scores.empty:
        return "empty"
    if language not in manifest.languages:
        return "language"
    if manifest.scope and scores.density > manifest.scope.density:
        return "out_of_scope"
    return "abstained" if any(head.abstained for head in heads.values()) else None
