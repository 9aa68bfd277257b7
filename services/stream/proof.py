"""What was read is what comes next; if not, the broker is asked what lies between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailweir.schemas.errors import OffsetHole
from mailweir.services.stream.record import Record
from mailweir.services.stream.sequence import Gap
from mailweir.services.stream.sequence import Sequence as OffsetSequence
from mailweir.services.stream.transport import Source
from mailweir.services.telemetry import Metrics, logger

__all__ = ["Proof"]

log = logger(__name__)


class Proof:
    """Holds what a source gives against its commits and the log."""

    def __init__(self, stage: str, source: Source, metrics: Metrics) -> None:
        self._stage = stage
        self._source = source
        self._missing = metrics.missing.labels(stage)
        self._sequence = OffsetSequence()

    def forget(self) -> None:
        """What comes next begins at the committed offsets again."""
        self._sequence.clear()

    async def verify(self, records: Sequence[Record], ours: Callable[[], bool]) -> None:
        """Every record must be the next one of its partition, as long as they are `ours`.

        Raises:
            OffsetHole: records in between exist on the broker and were not given to us.
            DependencyError: the broker does not say; forget and read again.
        """
        unknown = {record.place for record in records if not self._sequence.knows(record.place)}
        if unknown:
            for place, offset in (await self._source.committed(unknown | set(self._source.lag()))).items():
                self._sequence.begin(place, offset)
        for record in records:
            gap = self._sequence.advance(record)
            if gap and ours():
                await self._judge(gap)

    async def _judge(self, gap: Gap) -> None:
        topic, partition = gap.place
        context = {"stage": self._stage, "topic": topic, "partition": partition, "expected": gap.expected,
                   "found": gap.found}  # fmt: skip
        if gap.missing < 0:
            log.warning("offsets_went_back", **context)
            return
        held = await self._source.first_at_or_after(gap.place, gap.expected)
        if held is not None and held < gap.found:
            message = (
                f"{topic}[{partition}]: expected offset {gap.expected}, was given {gap.found}, and the broker holds {held}. "
                "Nothing was committed behind the hole; start the worker again, it resumes from the committed offset."
            )
            raise OffsetHole(message, **context)
        self._missing.inc(gap.missing)
        log.warning("offsets_not_on_broker", hint="expired unread, compacted, or transaction marks", **context)
