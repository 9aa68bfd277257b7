"""When the feedback agent closes a shard and what it tells of it; ledgers that workers share or that lie in an object store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from factories import memory_bus, until
from kept import agent, announced, causes, decide, finished, rows, say, written
from loop import word
from s3 import bucket

from mailweir.models.feedback import last_words
from mailweir.schemas.events import (
    Coordinates,
)
from mailweir.services.feedback.join import withdrawal
from mailweir.services.feedback.ledger import Ledger, all_rows
from mailweir.services.feedback.store import Store


async def test_a_shard_closes_by_count_and_is_announced(ledger: Path) -> None:
    """Its file holds the rows, the event tells where, how many and the hash; the rest waits for more."""
    bus = memory_bus(1)
    say(bus, *(word(decide(bus, number)[0]) for number in range(10)))
    async with agent(bus, ledger, batch_mails=4, shard_rows=4) as host:
        await until(lambda: len(announced(bus)) == 2)
        value = host.metrics.registry.get_sample_value
        assert value("mailweir_shards_total", {"cause": "count"}) == 2
    first, second = announced(bus)
    assert [(one.rows, one.ranges[0].first, one.ranges[0].last) for one in (first, second)] == [(4, 0, 3), (4, 4, 7)]
    assert first.uri == f"file://{ledger}/shards/{first.shard_id}.parquet"
    assert [row.offset for row in written(ledger / "shards")] == list(range(8))
    assert len(rows(ledger)) == 10


async def test_an_old_row_closes_its_shard_though_nothing_more_comes(ledger: Path) -> None:
    """Also after a restart: the rows of another life, in a partition that has been silent since."""
    bus = memory_bus()
    say(bus, word(decide(bus, 1)[0]))
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 1)
    assert announced(bus) == []
    async with agent(bus, ledger, shard_seconds=0.01):
        await until(lambda: len(announced(bus)) == 1)
    [event] = announced(bus)
    assert (event.cause, event.rows) == ("age", 1)


async def test_a_crash_before_the_announcement_is_made_good(ledger: Path) -> None:
    """The file is there, the event is not: the next worker says it, and the one after that says nothing."""
    bus = memory_bus(1)
    say(bus, *(word(decide(bus, number)[0]) for number in range(4)))
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 4)
    pages = (book := Ledger(Store(str(ledger)))).turn_to(("mail.feedback", 0))
    assert book.close(pages, 4, 4)
    async with agent(bus, ledger):
        say(bus, word(decide(bus, 5)[0]))
        await until(lambda: len(announced(bus)) == 1)
    async with agent(bus, ledger) as host:
        say(bus, word(decide(bus, 6)[0]))
        await until(lambda: finished(host) == 1)
    assert [event.rows for event in announced(bus)] == [4]


async def test_the_ledger_may_be_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way on an S3-compatible server: rows, a shard, its announcement, and a worker that starts again."""
    with bucket(monkeypatch) as uri:
        bus, ledger = memory_bus(1), f"{uri}/books"
        say(bus, *(word(decide(bus, number)[0]) for number in range(6)))
        async with agent(bus, ledger, batch_mails=4, shard_rows=4):
            await until(lambda: len(announced(bus)) == 1, 30)
        async with agent(bus, ledger, batch_mails=4, shard_rows=4):
            say(bus, *(word(decide(bus, number)[0]) for number in range(6, 9)))
            await until(lambda: len(announced(bus)) == 2, 30)
        kept = await asyncio.to_thread(all_rows, Store(ledger))
    assert [row.offset for row in kept] == list(range(9))
    assert [(event.ranges[0].first, event.ranges[0].last) for event in announced(bus)] in (
        [(0, 3), (4, 8)],
        [(0, 5), (6, 8)],
    )
    assert all(event.uri == f"{ledger}/shards/{event.shard_id}.parquet" for event in announced(bus))


async def test_two_workers_share_the_ledger(ledger: Path) -> None:
    """Partitions move while words come: every word is one row, in whichever file."""
    bus = memory_bus(4)
    words = [word(decide(bus, number)[0]) for number in range(60)]
    async with agent(bus, ledger) as first:
        say(bus, *words[:20])
        await until(lambda: finished(first) >= 5)
        async with agent(bus, ledger) as second:
            say(bus, *words[20:40])
            await until(lambda: finished(first) + finished(second) >= 30)
        say(bus, *words[40:])
        await until(lambda: len(rows(ledger)) == 60, 60)
    assert sorted(row.email_id for row in rows(ledger)) == sorted(one.email_id for one in words)
    assert causes(bus) == []


async def test_a_withdrawal_in_a_persons_name_closes_its_shard_at_once(ledger: Path) -> None:
    """The next run must know of it; the person's own waits as every word does, and a restart forgets nothing."""
    bus = memory_bus(1)
    decision, _ = decide(bus, 1)
    said = word(decision)
    say(bus, said, word(decision, minute=1, heads={}, withdraws=said.event_id))
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 2)
    assert announced(bus) == []
    pages = (book := Ledger(Store(str(ledger)))).turn_to(("mail.feedback", 0))
    back = word(decision, minute=2, heads={}, withdraws=said.event_id, given_by="operator")
    book.append(pages, [withdrawal(back, Coordinates(topic="mail.feedback", partition=0, offset=2))])
    say(bus, back)
    async with agent(bus, ledger):
        await until(lambda: len(announced(bus)) == 1)
    [event] = announced(bus)
    assert (event.cause, event.rows) == ("withdrawal", 3)
    assert (last_words(rows(ledger)), rows(ledger)[-1].given_by) == ([], "operator")
