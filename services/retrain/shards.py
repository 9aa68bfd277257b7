"""The figures of a shard, read from its file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from mailweir.schemas.events import ShardClosed
from mailweir.services.retrain.counts import CountShard, Said, ShardCounts, Tally
from mailweir.services.runs.shards import ShardFile, ShardReader

if TYPE_CHECKING:
    from mailweir.models.feedback import FeedbackRow

__all__ = ["count_rows", "counter_of"]


def counter_of(ledger: str) -> CountShard:
    """Counts shards below this ledger. Blocking; needs the packages of [feedback].

    Raises:
        SettingsError: the ledger cannot be opened.
    """
    from mailweir.models.feedback import last_words

    reader = ShardReader(ledger)

    def count(shard: ShardClosed) -> ShardCounts:
        return count_rows(last_words(reader.read(ShardFile.of(shard))))

    return count


def count_rows(rows: Iterable[FeedbackRow]) -> ShardCounts:
    """The figures of last words. Pure."""
    words = [row for row in rows if row.origin == "human"]
    verdicts = [verdict for row in words for verdict in _verdicts(row)]
    labels: dict[str, Tally] = defaultdict(Tally)
    for label, good, _ in verdicts:
        labels[label] += Tally(int(good), int(not good))
    times = [row.given_at for row in words]
    right = sum(good for _, good, _ in verdicts)
    return ShardCounts(
        human=len(words),
        heads=Tally(right, len(verdicts) - right),
        expected=sum(probability for _, _, probability in verdicts),
        labels=dict(labels),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        versions=_by_version(words),
    )


def _by_version(words: Iterable[FeedbackRow]) -> dict[tuple[str, datetime], Said]:
    found: dict[tuple[str, datetime], Said] = defaultdict(Said)
    for row in words:
        good = [right for _, right, _ in _verdicts(row)]
        minute = row.given_at.replace(second=0, microsecond=0)
        found[row.model_version, minute] += Said(Tally(sum(good), len(good) - sum(good)), frozenset({row.person}), 1)
    return dict(found)


def _verdicts(row: FeedbackRow) -> Iterable[tuple[str, bool, float]]:
    """Per head that was judged: the label that is right, whether it was decided, and how sure the model was of its own."""
    for head, correction in row.corrected.heads.items():
        decided = row.decided.heads.get(head)
        if decided is not None:
            yield f"{head}/{correction.label}", decided.label == correction.label, decided.probability
