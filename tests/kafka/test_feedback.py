"""Corrections on the real broker: the whole way by commands, and mails that retention took."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from command import mailweir, running
from factories import hosted, settings, until
from loop import decided, mail, on, word

from mailweir.schemas.events import Coordinates, DeadLetter, Email, ShardClosed
from mailweir.schemas.taxonomy import installed_taxonomy
from mailweir.schemas.topics import DEAD, PARSED, SHARDS, Topic
from mailweir.services.app import Host
from mailweir.services.broker import KafkaCluster
from mailweir.services.feedback.agent import register
from mailweir.services.feedback.ledger import all_rows
from mailweir.services.feedback.store import Store
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing, Record
from mailweir.services.stream.tail import Tail
from mailweir.services.topics import apply

pytestmark = pytest.mark.kafka

MAIL = (
    "From: Ann <ann@customer.example>\r\nTo: sales@firm.example\r\nSubject: Order PO-2026-00017\r\n"
    "Date: Mon, 02 Mar 2026 09:14:00 +0000\r\nMessage-ID: <17@customer.example>\r\n\r\nPlease send 17 units by Friday.\r\n"
)


async def everything(known: Settings, topic: Topic) -> list[Record]:
    """All records of a topic."""
    async with Tail(known, topic) as tail:
        return [record async for record in tail.present(1_000)]


def shown_until(show: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask the command until it shows what is waited for."""
    end = time.monotonic() + 60
    while not done(found := show()):
        assert time.monotonic() < end, found
        time.sleep(0.3)
    return found


async def test_from_a_mail_to_a_shard_by_commands(kafka: KafkaCluster, tiny: Path, tmp_path: Path) -> None:
    """A mail is decided, a person corrects it on a pipe, the ledger shows it, a shard is announced; then it is withdrawn."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    place = {
        "kafka_bootstrap": kafka.bootstrap,
        "topic_prefix": prefix,
        "group_prefix": prefix,
        "ledger": str(tmp_path / "books"),
        "log_level": "error",
    }
    assert mailweir("topics", "apply", "--partitions", 2, **place).code == 0
    (tmp_path / "one.eml").write_text(MAIL)
    assert mailweir("send", tmp_path / "one.eml", "--mailbox", "sales", **place).code == 0

    def show() -> dict[str, Any]:
        done = mailweir("feedback", "show", "--json", **place)
        assert done.code == 0, done.err
        return dict(done.rows()[0])

    work = {"bundle": str(tiny), "metrics_port": "0", "shard_rows": "1", "feedback_batch_wait_ms": "20"}
    with running("worker", "ingest", "classify", "feedback", **place, **work) as process:
        assert process.stdout
        assert orjson.loads(process.stdout.readline())["stages"] == ["ingest", "classify", "feedback"]
        watched = mailweir("watch", "--json", "--from-beginning", "--count", 1, "--timeout", 60, **place)
        decision = watched.rows()[0]
        label = decision["heads"]["category"]["label"]
        other = next(one for one in installed_taxonomy("email", 1).labels("category") if one != label)
        arguments = ("feedback", "send", "-", "--person", "u-17", "--head", f"category={other}")
        tries = [mailweir(*arguments, "--at", f"{one}:0", stdin=watched.out.encode(), **place) for one in (0, 1)]
        sent, lost = sorted(tries, key=lambda tried: tried.code)  # the decision lies in one of the two partitions
        assert (sent.code, lost.code) == (0, 2), sent.err
        assert "is not there. Nothing was sent" in lost.err
        said = sent.rows()[0]
        view = shown_until(show, lambda found: found["shards_announced"] == 1)
        back = mailweir(
            "feedback", "send", "-", "--person", "u-17", "--withdraws", said["feedback_id"],
            stdin=watched.out.encode(), **place,
        )  # fmt: skip
        assert back.code == 0, back.err
        after = shown_until(show, lambda found: found["rows"] == 2)
    assert (view["rows"], view["last_words"], view["human"], view["persons"]) == (1, 1, 1, 1)
    [row] = view["latest"]
    assert (row["feedback_id"], row["email_id"]) == (said["feedback_id"], decision["email_id"])
    assert row["decided"]["heads"]["category"]["label"] == label
    assert row["corrected"]["heads"] == {"category": {"label": other, "confirmed": False}}
    assert "body" not in row
    assert (after["withdrawals"], after["last_words"]) == (1, 0)
    first = ShardClosed.decode((await everything(settings(**place), SHARDS))[0].value)
    assert (first.rows, first.uri) == (1, f"file://{tmp_path}/books/shards/{first.shard_id}.parquet")
    [_, kept] = sorted(all_rows(Store(place["ledger"])), key=lambda row: -row.given_at.timestamp())
    assert (kept.subject, kept.sender_domain, kept.mailbox) == ("Order PO-2026-00017", "customer.example", "sales")
    assert "17 units by Friday" in kept.body
    table = mailweir("feedback", "show", **place)
    assert f"category={other}" in table.out
    assert "units" not in table.out


async def test_a_mail_that_the_broker_deleted_is_told_from_one_that_is_there(
    kafka: KafkaCluster, tmp_path: Path
) -> None:
    """Thirty mails, the older ones of each partition deleted: their words are mail_expired, the others are rows."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    known = settings(
        kafka_bootstrap=kafka.bootstrap,
        topic_prefix=prefix,
        group_prefix=prefix,
        ledger=str(tmp_path / "books"),
        feedback_batch_wait_ms=20,
        reject_ratio_max=1,
    )
    await apply(known, partitions=2)
    sink = KafkaBus(known).sink()
    await sink.start()
    await sink.send([on(f"{prefix}.parsed", mail(number)) for number in range(30)])
    mails = [(Email.decode(record.value), record.coordinates) for record in await everything(known, PARSED)]
    decisions = [decided(email, place) for email, place in mails]
    await sink.send([on(f"{prefix}.classified", decision) for decision in decisions])
    await _delete(known, 5)
    beyond = Coordinates(topic=f"{prefix}.parsed", partition=1, offset=10_000)
    words: list[Outgoing] = [on(f"{prefix}.feedback", word(decision)) for decision in decisions]
    await sink.send([*words, on(f"{prefix}.feedback", word(decisions[-1], source=beyond))])
    await sink.stop()
    host = Host(known, KafkaBus(known))
    register(host)
    async with hosted(host):
        await until(lambda: host.stream.readers[0].progress.finished == 31, 60)
    letters = [DeadLetter.from_headers(record.headers) for record in await everything(known, DEAD)]
    assert {letter.code for letter in letters} == {"mail_expired"}
    assert len(letters) == 11
    there = {email.email_id for email, place in mails if place.offset >= 5}
    assert sorted(row.email_id for row in all_rows(Store(known.ledger))) == sorted(there)


async def _delete(known: Settings, before: int) -> None:
    """The first records of each partition of mail.parsed, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=known.kafka_bootstrap)
    await admin.start()
    places = [TopicPartition(known.topic_name("parsed"), number) for number in range(2)]
    await admin.delete_records({place: RecordsToDelete(before_offset=before) for place in places})
    await admin.close()
