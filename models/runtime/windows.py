"""Entities beyond the part of a mail that the heads read: the tagger looks at the rest as well, window by window.

On the validation authors every fourth mail is longer than one window, and they hold half of the entities that one window misses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mailweir.models.runtime.graph import Floats, Graph, Ids
from mailweir.models.text.tokens import Tokens

TAGS = "tags"
_OVERLAP = 48  # tokens that two windows share: an entity at an edge is read with what stands around it
_MOST = 5  # windows after the first, some 1,000 tokens: longer mails are lists and logs


@dataclass(frozen=True, slots=True)
class Window:
    """A later part of a mail, between the marks of beginning and end."""

    start: int  # of its first token in the whole mail
    ids: Ids


@dataclass(slots=True)
class Later:
    """What the tagger says of the windows after the first of one mail."""

    tables: list[tuple[int, Floats]] = field(default_factory=list)  # start and (tokens, tags) of each
    milliseconds: float = 0.0

    def after(self, first: Floats) -> Floats:
        """(all tokens, tags): the first window's and the others', cut in the middle of what two share."""
        whole = first
        for start, table in sorted(self.tables, key=lambda one: one[0]):
            cut = (start + len(whole)) // 2
            whole = np.concatenate([whole[:cut], table[cut - start :]])
        return whole


def later_windows(tokens: Tokens) -> list[Window]:
    """The windows after the one that the heads read, each as long as that at most; none for a mail that it holds whole."""
    ids, size = tokens.encoding.ids, len(tokens)
    found: list[Window] = []
    end = size - 1  # the first window's last place holds the end mark
    while end < len(ids) - 1 and len(found) < _MOST:
        start = end - _OVERLAP
        end = min(start + size - 2, len(ids) - 1)
        found.append(Window(start, np.array([ids[0], *ids[start:end], ids[-1]], np.int64)))
    return found


def run_later(graph: Graph, tokens: Sequence[Tokens], token_budget: int) -> Mapping[int, Later]:
    """Per mail that has some, its later windows tagged; `tokens` are the mails in order."""
    owners, windows = [], []
    for row, one in enumerate(tokens):
        if len(one) < len(one.encoding.ids):
            parts = later_windows(one)
            owners += [row] * len(parts)
            windows += parts
    found: dict[int, Later] = {}
    for ran in graph.run([window.ids for window in windows], [TAGS], token_budget):
        for place, at in enumerate(ran.rows):
            later = found.setdefault(owners[at], Later())
            inner = ran.outputs[0][place][1 : len(windows[at].ids) - 1]
            later.tables.append((windows[at].start, inner))
            later.milliseconds += ran.milliseconds / len(ran.rows)
    return found


def tag_table(first: Floats, tokens: Tokens, later: Later | None) -> Floats:
    """(tokens of the mail that were read, tags) from the first window's `first`, whose padding is left off."""
    return later.after(first[: len(tokens) - 1]) if later else first[: len(tokens)]
