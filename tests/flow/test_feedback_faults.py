"""The feedback agent when it dies, and while ledger or broker are away: nothing doubled, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from factories import memory_bus, settings, until
from kept import agent, causes, decide, finished, rows, say, written
from loop import decided, mail, word

from mailweir.schemas.errors import DependencyError, RejectRatioExceeded
from mailweir.schemas.events import (
    Coordinates,
)
from mailweir.services.app import Host
from mailweir.services.feedback.agent import register
from mailweir.services.feedback.store import Store
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Record


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize("batch", [1, 3, 8])
async def test_what_was_written_and_not_committed_is_recognised(ledger: Path, batch: int) -> None:
    """The first worker dies between file and commit; the next one has other batches: no row twice, none missing, rejects told."""
    bus = memory_bus(1)
    good = [word(decide(bus, number)[0]) for number in range(12)]
    bad = word(decided(mail(99), Coordinates(topic="mail.parsed", partition=0, offset=999)))
    say(bus, *good[:5], bad, *good[5:])
    host = Host(settings(ledger=str(ledger), feedback_batch_wait_ms=5, batch_mails=5), bus)
    register(host)
    [reader] = host.stream.readers
    deaths = 0

    async def die(records: Sequence[Record]) -> bool:
        nonlocal deaths
        deaths += 1
        raise Killed

    reader._commit = die  # type: ignore[method-assign]
    await host.start()
    await until(lambda: deaths == 1)
    await host.stop()
    assert len(rows(ledger)) == 5
    async with agent(bus, ledger, batch_mails=batch) as second:
        await until(lambda: finished(second) == 13)
        again = second.metrics.registry.get_sample_value(
            "mailweir_redelivered_total", {"stage": "feedback", "cause": "in_ledger"}
        )
        assert again == 5
    assert sorted(row.offset for row in written(ledger)) == [*range(5), *range(6, 13)]
    assert causes(bus) == ["mail_expired"]


async def test_a_ledger_that_is_away_holds_the_words(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is rejected or committed; once it is back all is kept, once."""
    bus = memory_bus()
    say(bus, *(word(decide(bus, number)[0]) for number in range(6)))
    create, away = Store.create, 3

    def failing(self: Store, path: str, data: bytes) -> bool:
        nonlocal away
        away -= 1
        if away >= 0:
            raise DependencyError("the store is away")
        return create(self, path, data)

    monkeypatch.setattr(Store, "create", failing)
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 6)
    assert (causes(bus), len(rows(ledger))) == ([], 6)


async def test_a_broker_that_does_not_find_holds_the_words(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup that gets no answer is no mail that expired."""
    bus = memory_bus()
    say(bus, word(decide(bus, 1)[0]))
    at, tries = MemoryBus.at, 0

    def failing(self: MemoryBus, place: Coordinates) -> Record | None:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise DependencyError("Kafka did not answer")
        return at(self, place)

    monkeypatch.setattr(MemoryBus, "at", failing)
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 1)
    assert (causes(bus), len(rows(ledger))) == ([], 1)


async def test_the_breaker_stops_before_words_are_rejected_in_masses(ledger: Path) -> None:
    """Good rows of the batch are kept, none is rejected; after a restart with other limits the rest goes its way, once."""
    bus = memory_bus(1)
    nowhere = Coordinates(topic="mail.parsed", partition=0, offset=999)
    say(bus, *(word(decided(mail(number), nowhere)) for number in range(30)), word(decide(bus, 50)[0]))
    host = Host(settings(ledger=str(ledger), feedback_batch_wait_ms=100, batch_mails=31), bus)
    register(host)
    with pytest.raises(RejectRatioExceeded):
        await host.serve(lambda _: None)
    assert (causes(bus), len(rows(ledger))) == ([], 1)
    async with agent(bus, ledger, reject_ratio_max=1) as second:
        await until(lambda: finished(second) == 31)
    assert (len(causes(bus)), len(rows(ledger))) == (30, 1)
