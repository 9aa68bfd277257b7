"""The reject breaker: a worker that rejects most of what it reads is broken itself, and stops before it has emptied a topic."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from mailweir.schemas.errors import RejectRatioExceeded

__all__ = ["RejectBreaker"]

# Below this many records one bad sender is a majority; the ratio says nothing yet …
_FEWEST = 100
# … but of so many nearly all do. A worker that is started again and again forgets its window: it must not reject a batch
# each time before it stops.
_FIRST = 20
_FIRST_RATIO = 0.9


class RejectBreaker:
    """Share of rejects among the latest `window` records of a stage. Pure."""

    def __init__(self, stage: str, window: int, ratio_max: float) -> None:
        self._stage = stage
        self._ratio_max = ratio_max
        self._fewest = min(_FEWEST, window)
        self._first = min(_FIRST, window)
        self._latest: deque[str | None] = deque(maxlen=window)

    def count(self, codes: Sequence[str | None]) -> None:
        """Take in a batch before any of its rejects is published: the code of each reject, None for what is good.

        Raises:
            RejectRatioExceeded: the share is above the limit; nothing of the batch may be published.
        """
        self._latest.extend(codes)
        seen, causes = len(self._latest), Counter(code for code in self._latest if code)
        rejects = causes.total()
        if seen < self._first or rejects / seen <= self._limit(seen):
            return
        [(code, times)] = causes.most_common(1)
        raise RejectRatioExceeded(
            f"{self._stage} would reject {rejects} of the {seen} latest records, {times} of them as {code} (limit "
            f"{self._ratio_max:.0%}): the cause is likely not the mail. Nothing of this batch was rejected; see `mailweir dead "
            "list` for those before it, mend the cause and start the worker again, it resumes from the committed offset. "
            "MAILWEIR_REJECT_RATIO_MAX=1 switches this off.",
            stage=self._stage,
            rejected=rejects,
            seen=seen,
            code=code,
        )

    def _limit(self, seen: int) -> float:
        return self._ratio_max if seen >= self._fewest else max(self._ratio_max, _FIRST_RATIO)
