"""Which sentences sum a mail up, and which ask for something: scores of tokens to probabilities of sentences, and the choice."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailweir.models.runtime.graph import Floats
from mailweir.models.text.model_input import ModelInput
from mailweir.models.text.newest import Sentence, newest_sentences
from mailweir.models.text.tokens import Tokens
from mailweir.schemas.manifest import SentenceHead, SentenceSpec

WIDTH = 2
"""Columns of the output `sentences`: summary, action item."""

Numbers = NDArray[np.float64]

_ENDED = re.compile(r"[.!?…:;][\"'”’»)\]*_]{0,3}$")
_MOST_ITEMS = 20  # a mail with more is a form, and its decision has to fit into a topic


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence and the calibrated probabilities of its two uses."""

    sentence: Sentence
    summary: float
    action_item: float


def score_sentences(
    given: ModelInput, tokens: Tokens, logits: Floats, spec: SentenceSpec
) -> tuple[ScoredSentence, ...]:
    """The sentences that the model saw, in order; `logits` is (tokens, 2)."""
    sentences = newest_sentences(given)
    means = sentence_means(logits, tokens, sentences)
    seen = ~np.isnan(means[:, 0])
    lengths = np.array([one.log_words for one in sentences])
    columns = [
        sentence_probabilities(means[:, i], lengths, head) for i, head in enumerate((spec.summary, spec.action_items))
    ]
    return tuple(ScoredSentence(sentences[i], float(columns[0][i]), float(columns[1][i])) for i in np.flatnonzero(seen))


def sentence_means(table: Floats, tokens: Tokens, sentences: Sequence[Sentence]) -> Numbers:
    """(sentences, width): mean of a (tokens, width) table over each sentence's tokens; NaN where the model saw none."""
    found = np.full((len(sentences), table.shape[1]), np.nan)
    places = np.array(tokens.encoding.offsets[: len(tokens)], np.int64)  # (tokens, 2)
    for number, sentence in enumerate(sentences):
        inside = (places[:, 0] < places[:, 1]) & (sentence.start < places[:, 1]) & (places[:, 1] <= sentence.end)
        if inside.any():
            found[number] = table[: len(tokens)][inside].mean(axis=0, dtype=np.float64)
    return found


def choose_summary(sentences: Sequence[ScoredSentence], spec: SentenceSpec) -> tuple[ScoredSentence, ...]:
    """The best sentence, and others above the threshold as long as there is room, in order of appearance."""
    places = best_places(np.array([one.summary for one in sentences]), spec.most, spec.summary.threshold)
    return tuple(sentences[place] for place in places)


def best_places(probabilities: Numbers, most: int, threshold: float) -> list[int]:
    """Places of the highest probability and of up to `most` - 1 others at or above the threshold, in order."""
    ranked = np.argsort(-probabilities, kind="stable")[:most]
    return sorted(int(place) for rank, place in enumerate(ranked) if rank == 0 or probabilities[place] >= threshold)


def quoted(sentences: Iterable[str]) -> str:
    """Sentences one after the other; after a line of a list, which has no end of its own, stands an ellipsis."""
    said = [text if _ENDED.search(text) else f"{text} …" for text in sentences]
    return " ".join(said).removesuffix(" …")


def choose_action_items(sentences: Sequence[ScoredSentence], spec: SentenceSpec) -> tuple[ScoredSentence, ...]:
    """All sentences above the threshold, in order of appearance."""
    return tuple(one for one in sentences if one.action_item >= spec.action_items.threshold)[:_MOST_ITEMS]


def sentence_probabilities(logits: Numbers, lengths: Numbers, head: SentenceHead) -> Numbers:
    """(sentences,) from mean logits and logarithms of the number of words: a mean over tokens forgets how many there were."""
    raised = (logits + head.length_weight * lengths) / head.temperature
    return np.asarray(1 / (1 + np.exp(-raised)))
