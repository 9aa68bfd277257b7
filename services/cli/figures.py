"""A few figures out of a worker's metrics, for people."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Scrape", "scrape"]


class Scrape:
    """What `/metrics` said at one moment."""

    def __init__(self, text: str) -> None:
        self._samples = [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def total(self, name: str, /, **labels: str) -> float:
        """Sum of a sample over all labels but these."""
        return sum(value for sample, found, value in self._samples if sample == name and _matches(found, labels))

    def mean(self, name: str, /, **labels: str) -> float:
        """Mean of a histogram; 0 if nothing was observed."""
        count = self.total(f"{name}_count", **labels)
        return self.total(f"{name}_sum", **labels) / count if count else 0.0


async def scrape(url: str) -> Scrape:
    """Read a worker's metrics."""
    async with aiohttp.ClientSession(raise_for_status=True) as session, session.get(url) as answer:
        return Scrape(await answer.text())


def _matches(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= found.items()
