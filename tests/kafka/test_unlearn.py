"""Unlearning on the real broker by commands: interrupted and repeated, it withdraws all, asks once, and ends with a receipt."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from command import mailweir, running
from factories import hosted, settings, until
from fleet import read_all
from loop import decided, mail, on, word
from unlearning import add, learned

from mailweir.models.feedback import last_words
from mailweir.schemas.events import Coordinates, RetrainRequested
from mailweir.schemas.topics import FEEDBACK, RETRAIN
from mailweir.services.app import Host
from mailweir.services.broker import KafkaCluster
from mailweir.services.feedback.agent import register
from mailweir.services.feedback.holdings import holdings
from mailweir.services.feedback.ledger import all_rows
from mailweir.services.feedback.store import Store
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus
from mailweir.services.topics import apply

pytestmark = pytest.mark.kafka


@asynccontextmanager
async def agent(known: Settings) -> AsyncIterator[Host]:
    """A worker with the feedback agent."""
    host = Host(known, KafkaBus(known))
    register(host)
    async with hosted(host):
        yield host


async def _six_words(known: Settings) -> None:
    """Six mails with their decisions, and a word about each: u-1 and u-2 in turn."""
    sink = KafkaBus(known).sink()
    await sink.start()
    prefix = known.topic_prefix
    await sink.send([on(f"{prefix}.parsed", mail(number)) for number in range(6)])
    places = [Coordinates(topic=f"{prefix}.parsed", partition=0, offset=number) for number in range(6)]
    decisions = [decided(mail(number), places[number]) for number in range(6)]
    await sink.send([on(f"{prefix}.classified", one) for one in decisions])
    said = [word(one, person=f"u-{1 + number % 2}") for number, one in enumerate(decisions)]
    await sink.send([on(f"{prefix}.feedback", one) for one in said])
    await sink.stop()


async def test_a_person_is_withdrawn_and_the_next_champion_is_without(
    kafka: KafkaCluster, tiny: Path, tmp_path: Path
) -> None:
    """Killed once it has sent, and repeated: one run, which begins where the words were not."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    place = {
        "kafka_bootstrap": kafka.bootstrap,
        "topic_prefix": prefix,
        "group_prefix": prefix,
        "ledger": str(tmp_path / "books"),
        "registry": str(tmp_path / "registry"),
    }
    known = settings(**place, feedback_batch_wait_ms=20, shard_rows=6)
    await apply(known, partitions=1)
    await _six_words(known)
    store = Store(known.ledger)
    async with agent(known):
        await until(lambda: len(store.tree("shards", ".json")) == 1, 60)
    before = holdings(store, "u-1")
    add(tmp_path, tiny, "1", {})
    add(tmp_path, tiny, "2", learned(before.shards, all_rows(store), "1"))
    command = ("feedback", "withdraw", "--person", "u-1", "--why", "left the company", "--json")
    with running(*command, "--wait", 600, **place) as killed:
        assert killed.stderr
        assert "3 withdrawals sent" in await asyncio.to_thread(killed.stderr.readline)
    async with agent(known):
        done = await asyncio.to_thread(mailweir, *command, **place)
        assert done.code == 0, done.err
        again = await asyncio.to_thread(mailweir, *command, **place)
        sent = len(await read_all(known, FEEDBACK.full_name(prefix)))
        await until(lambda: len(all_rows(store)) == sent, 60)
    [made], [repeated] = done.rows(), again.rows()
    assert (made["state"], made["rebuild"]["state"]) == ("rebuild_due", "asked")
    assert [(one["version"], one["rows_used"]) for one in made["bundles"] if one["champion"]] == [("2", 3)]
    assert (again.code, repeated["sent"], repeated["rebuild"]["run_id"]) == (0, 0, made["rebuild"]["run_id"])
    [asked] = await read_all(known, RETRAIN.full_name(prefix))
    request = RetrainRequested.decode(asked[1])
    assert (request.start.version if request.start else None, request.requested_by) == ("1", "operator")
    assert request.cause == "rebuild without 3 withdrawn words: left the company"
    assert {one["shard_id"] for one in made["shards"]} <= {one.shard_id for one in request.shards}
    rows = all_rows(store)
    assert {row.person for row in last_words(rows)} == {"u-2"}
    # the killed run's alone where the agent was faster than the second run, whose own are repeats
    assert sum(row.by_another for row in rows) in (3, 6)
    shards = holdings(store, "u-1").shards
    add(tmp_path, tiny, "3", learned(shards, [row for row in rows if row.person == "u-2"], "1"))
    paid = await asyncio.to_thread(mailweir, "feedback", "receipt", "--person", "u-1", "--json", **place)
    [shown] = paid.rows()
    assert (paid.code, shown["state"], len(shown["words"])) == (0, "done", 3)
    assert [one["without_them"] for one in shown["bundles"] if one["champion"]] == [True]
