"""The whole pipeline without Kafka: raw mail to decisions in one process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Decision
from mailweir.services.classify.decide import Decider
from mailweir.services.classify.source import bundle_source
from mailweir.services.ingest.limits import limits_of
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.sandbox import ParserPool
from mailweir.services.settings import Settings
from mailweir.services.telemetry import Metrics

__all__ = ["Pipeline"]


class Pipeline:
    """Parser processes and a loaded bundle, as the workers have them; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._parsers = ParserPool(limits_of(settings))
        reasons, rules = settings.classify_reasons, settings.classify_rules
        self._decider = Decider(bundle_source(settings), Metrics(), reasons=reasons, rules=rules)
        self._undo = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the parsers, load the bundle.

        Raises:
            BundleError: the bundle is missing or changed.
            RegistryError: the registry cannot be read.
            SettingsError: the rules cannot be used.
        """
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._parsers.close)
            await self._parsers.start()
            undo.push_async_callback(self._decider.stop)
            await self._decider.start()
            self._undo = undo.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both."""
        await self._undo.aclose()

    async def decide(self, mails: Sequence[RawMail]) -> list[Decision | RecordError]:
        """A decision for each mail, or why there is none, in the order of the mails."""
        return await self._decider.decide(await self._parsers.parse_all(mails))
