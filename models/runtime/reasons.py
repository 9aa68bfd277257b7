"""Which words spoke for a label.

The heads are linear over a weighted mean of the token vectors, so a logit is a sum over tokens and each token's share is exact.
What is approximate is the reading: a token's vector has already taken in its neighbours, and its weight depends on theirs. A
deletion test holds the words against random ones; measuring each deletion instead named hardly better words at eleven times the
cost (EXPERIMENTS.md). Where a bundle refines a head, the shares are those of the plain head alone: what its steps add is no sum
over tokens.
"""

import string
from collections import defaultdict

from mailweir.models.runtime.graph import Floats
from mailweir.models.text.tokens import Tokens
from mailweir.schemas.events import Reason

_SHOWN = 3
_EDGES = string.punctuation + string.whitespace + "…“”„«»"


def strongest_words(text: str, tokens: Tokens, contributions: Floats, shown: int = _SHOWN) -> tuple[Reason, ...]:
    """The `shown` words of `text` with the largest positive share of a logit; `contributions` is (tokens,)."""
    weights: dict[str, float] = defaultdict(float)
    words, spans = tokens.encoding.word_ids, tokens.encoding.offsets
    bounds: dict[int, tuple[int, int]] = {}
    for word, (start, end) in zip(words, spans, strict=True):
        if word is not None:
            first, last = bounds.get(word, (start, end))
            bounds[word] = (min(first, start), max(last, end))
    for place, share in enumerate(contributions[: len(tokens)]):
        word = words[place]
        if word is not None:
            weights[text[slice(*bounds[word])].strip(_EDGES)] += float(share) / len(tokens)
    strongest = sorted(((weight, word) for word, weight in weights.items() if word and weight > 0), reverse=True)
    return tuple(Reason(text=word, weight=round(weight, 4)) for weight, word in strongest[:shown])
