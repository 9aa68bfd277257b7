"""No correction is lost or doubled when feedback workers die: real processes, real broker, exact counts."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from factories import settings
from fleet import Fleet
from loop import decided, mail, on, word

from mailweir.models.feedback import FeedbackRow, read_rows
from mailweir.schemas.events import Coordinates, DeadLetter, Email, Feedback, ShardClosed
from mailweir.schemas.topics import CLASSIFIED, DEAD, FEEDBACK, PARSED, SHARDS, Topic
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing, Record
from mailweir.services.stream.tail import Tail
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

MAILS = 200
SHARD_ROWS = 50
BAD_EVERY = 50  # one word in so many is about a mail that never was, one is no JSON


@dataclass(frozen=True)
class Storm:
    """How much is said and how much goes wrong meanwhile."""

    words: int
    per_second: float
    kills: int
    stops: int
    pause: tuple[float, float]


async def everything(known: Settings, topic: Topic) -> list[Record]:
    """All records of a topic."""
    async with Tail(known, topic) as tail:
        return [record async for record in tail.present(10**9)]


async def write(known: Settings, records: Sequence[Outgoing]) -> None:
    """Send and wait."""
    sink = KafkaBus(known).sink()
    await sink.start()
    await sink.send(records)
    await sink.stop()


async def stage_set(known: Settings) -> list[Record]:
    """Mails and decisions as if they had been decided; the records of the decisions' feedback, in the order of sending."""
    await write(known, [on("mail.parsed", mail(number)) for number in range(MAILS)])
    parsed = [(Email.decode(record.value), record.coordinates) for record in await everything(known, PARSED)]
    decisions = {email.email_id: decided(email, place) for email, place in parsed}
    await write(known, [on("mail.classified", decision) for decision in decisions.values()])
    return [record for record in await everything(known, CLASSIFIED) if (record.key or b"").decode() in decisions]


def said(number: int, decision_at: Record) -> Outgoing:
    """Word number so and so: most are good, and every other one leaves the search of its decision to the agent."""
    from mailweir.schemas.events import Decision

    decision = Decision.decode(decision_at.value)
    if number % BAD_EVERY == 7:
        return Outgoing("mail.feedback", decision.email_id.encode(), b"no JSON %d" % number)
    changes: dict[str, object] = {"decision_source": decision_at.coordinates} if number % 2 else {}
    if number % BAD_EVERY == 23:
        changes["source"] = Coordinates(topic="mail.parsed", partition=0, offset=10**6)
    return on("mail.feedback", word(decision, f"u-{number}", minute=number, **changes))


async def talk(known: Settings, decisions: Sequence[Record], storm: Storm) -> None:
    """All words at a steady rate."""
    sink = KafkaBus(known).sink()
    await sink.start()
    for first in range(0, storm.words, 20):
        await sink.send([said(number, decisions[number % MAILS]) for number in range(first, first + 20)])
        await asyncio.sleep(20 / storm.per_second)
    await sink.stop()


async def rage(fleet: Fleet, storm: Storm) -> None:
    """Kill and stop at random moments; some find a worker that is still starting."""
    deeds = ["kill"] * storm.kills + ["stop"] * storm.stops
    random.shuffle(deeds)
    for deed in deeds:
        await asyncio.sleep(random.uniform(*storm.pause))
        await asyncio.to_thread(fleet.kill_one if deed == "kill" else fleet.stop_one)


@dataclass
class Books:
    """What is in the files and on the topics."""

    segments: list[FeedbackRow]  # every row of every file, repeats included
    shards: list[FeedbackRow]
    announced: list[ShardClosed]
    files: set[str]  # ids of the shards that are there
    dead: set[tuple[int, int]]  # partition and offset of what was rejected, repeats collapsed

    @property
    def done(self) -> int:
        """Words that came somewhere."""
        return len({row.place for row in self.segments}) + len(self.dead)

    @property
    def due(self) -> int:
        """Partitions with rows enough for one more shard."""
        sharded = {row.place for row in self.shards}
        rest = Counter(row.partition for row in self.segments if row.place not in sharded)
        return sum(rows >= SHARD_ROWS for rows in rest.values())

    def settled(self, words: int) -> bool:
        """Every word came somewhere, what fills a shard is in one, every shard was announced."""
        return self.done >= words and not self.due and {one.shard_id for one in self.announced} == self.files


def rows(folder: Path) -> list[FeedbackRow]:
    """Of all files below."""
    return [row for path in sorted(folder.rglob("*.parquet")) for row in read_rows(path.read_bytes(), str(path))]


async def books(known: Settings) -> Books:
    """Look at it all."""
    folder = Path(known.ledger)
    letters = [DeadLetter.from_headers(record.headers) for record in await everything(known, DEAD)]
    return Books(
        rows(folder / "ledger"),
        rows(folder / "shards"),
        [ShardClosed.decode(record.value) for record in await everything(known, SHARDS)],
        {path.stem for path in sorted((folder / "shards").glob("*.parquet"))},
        {(letter.source.partition, letter.source.offset) for letter in letters},
    )


async def settled(known: Settings, words: int) -> Books:
    """Wait until the books are settled, or nothing moves."""
    found, still = await books(known), 0
    while still < 90 and not found.settled(words):
        await asyncio.sleep(1)
        before, found = found, await books(known)
        still = still + 1 if (before.done, len(before.announced)) == (found.done, len(found.announced)) else 0
    return found


async def test_kills_neither_lose_nor_double_a_correction(tmp_path: Path, broker: KafkaCluster) -> None:
    """1,500 words, two processes, ten times kill -9 and once SIGTERM: each good word is one row, each bad one dead."""
    await endure(tmp_path, broker, Storm(1_500, 120, kills=10, stops=1, pause=(0.4, 1.8)))


@pytest.mark.slow
async def test_a_long_storm_neither_loses_nor_doubles_a_correction(tmp_path: Path, broker: KafkaCluster) -> None:
    """12,000 words, 30 kills, 5 stops. `make kill-test`."""
    await endure(tmp_path, broker, Storm(12_000, 130, kills=30, stops=5, pause=(0.8, 3.5)))


async def endure(folder: Path, broker: KafkaCluster, storm: Storm) -> None:
    """Two workers in the storm; every word counted afterwards."""
    known = settings(kafka_bootstrap=broker.bootstrap, ledger=str(folder / "books"))
    environment = {
        "MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap,
        "MAILWEIR_SESSION_TIMEOUT_MS": "3000",
        "MAILWEIR_LEDGER": known.ledger,
        "MAILWEIR_SHARD_ROWS": str(SHARD_ROWS),
        "MAILWEIR_FEEDBACK_BATCH_WAIT_MS": "200",
    }
    await apply(known)
    decisions = await stage_set(known)
    with Fleet(folder, environment) as fleet:
        await asyncio.to_thread(fleet.start, ("feedback",))
        await asyncio.gather(talk(known, decisions, storm), rage(fleet, storm))
        found = await settled(known, storm.words)
        assert (fleet.killed, fleet.stopped) == (storm.kills, storm.stops)
    sent = await everything(known, FEEDBACK)
    bad = {(record.partition, record.offset) for record in sent if not good(record)}
    kept = Counter(row.place for row in found.segments)
    print(
        f"\nfeedback kill test: sent {len(sent)}, rows {len(kept)}, doubled {sum(n > 1 for n in kept.values())}, "
        f"dead {len(found.dead)}, files {len(found.files)} shards, announced {len(found.announced)}; "
        f"kill -9 {fleet.killed}, SIGTERM {fleet.stopped}"
    )
    assert len(sent) == storm.words
    assert found.dead == bad
    assert len(bad) == 2 * storm.words // BAD_EVERY
    assert sorted(kept) == sorted((r.topic, r.partition, r.offset) for r in sent if (r.partition, r.offset) not in bad)
    assert set(kept.values()) == {1}
    assert {one.shard_id for one in found.announced} == found.files
    in_shards = Counter(row.place for row in found.shards)
    assert set(in_shards.values()) == {1}
    assert set(in_shards) <= set(kept)
    assert found.due == 0
    assert in_shards


def good(record: Record) -> bool:
    """Whether a word should have been kept: told by what was sent, not by what the agent said of it."""
    return record.value.startswith(b"{") and Feedback.decode(record.value).source.offset < 10**6
