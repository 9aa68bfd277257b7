"""Delivery on the real broker: poison, large mail, a broker that is away, a breaker that trips."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from factories import settings
from fleet import Fleet, count, mail, read_all, send, settle

from mailweir.schemas.events import DeadLetter, Decision
from mailweir.schemas.ids import email_id
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

Headers = list[tuple[str, bytes]]
JSON: Headers = [("content-type", b"application/json")]


@pytest.fixture
def fleet(tmp_path: Path, broker: KafkaCluster, tiny: Path) -> Iterator[Fleet]:
    """No worker yet; the test starts what it needs."""
    environment = {
        "MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap,
        "MAILWEIR_SESSION_TIMEOUT_MS": "3000",
        "MAILWEIR_BUNDLE": str(tiny),
        "MAILWEIR_RETRY_BACKOFF_MAX_MS": "2000",
    }
    with Fleet(tmp_path, environment) as made:
        yield made


async def _write(known: Settings, records: Sequence[Outgoing]) -> None:
    sink = KafkaBus(known).sink()
    await sink.start()
    await sink.send(records)
    await sink.stop()


async def _write_compressed(known: Settings, record: Outgoing) -> None:
    """As a client whose own limit is far above ours; the broker looks at what is left after compression."""
    options = {"compression_type": "gzip", "max_request_size": 100_000_000}
    producer = AIOKafkaProducer(bootstrap_servers=known.kafka_bootstrap, **options)
    await producer.start()
    try:
        await producer.send_and_wait(record.topic, record.value, record.key)
    finally:
        await producer.stop()


async def _letters(known: Settings, at_least: int) -> list[tuple[bytes, DeadLetter, dict[str, bytes]]]:
    async with asyncio.timeout(60):
        while True:
            found = await read_all(known, "mail.dead")
            if len(found) >= at_least:
                return [(value, DeadLetter.from_headers(headers.items()), headers) for _, value, headers in found]
            await asyncio.sleep(0.3)


async def test_poison_lies_in_the_dead_letters_and_its_neighbours_are_decided(
    broker: KafkaCluster, fleet: Fleet
) -> None:
    """Each kind of poison: original bytes, topic, partition, offset, stage, code and message; the workers live on."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    fleet.environment |= {"MAILWEIR_INGEST_MAX_BYTES": "50000"}
    fleet.start(each=1)
    good = mail(1).value
    poison: dict[str, tuple[bytes, Headers]] = {
        "not_a_mail": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), []),
        "too_large": (good + b"x" * 60_000, []),
        "malformed_json": (b'{"subject": "half', JSON),
        "invalid_event": (b'{"subject": 5}', JSON),
        "unknown_content_type": (good, [("content-type", b"application/pdf")]),
        "empty": (b"", []),
    }
    records = [mail(n) for n in range(20)]
    records += [Outgoing("mail.raw", b"sales0", value, headers) for value, headers in poison.values()]
    records += [mail(n) for n in range(20, 40)]
    await _write(known, records)
    compressed = (
        b"From: a@b.example\r\nSubject: Large\r\n\r\n" + b"word " * 6_000_000
    )  # 30 MB, as one that compresses sends it
    await _write_compressed(known, Outgoing("mail.raw", b"sales0", compressed))
    found = await _letters(known, len(poison) + 1)
    assert [letter.code for value, letter, _ in found if value == compressed] == ["too_large"]
    letters = {letter.code: (value, letter, headers) for value, letter, headers in found if value != compressed}
    result = await settle(known, 40, 20)
    assert result.lost == []
    assert result.decided == 40
    assert letters.keys() == poison.keys()
    for code, (value, letter, headers) in letters.items():
        assert value == poison[code][0]
        assert (letter.stage, letter.source.topic) == ("ingest", "mail.raw")
        assert letter.message
        assert all(headers[name] == content for name, content in poison[code][1])
    assert all(worker.process and worker.process.poll() is None for worker in fleet.workers)


async def test_an_event_that_is_none_on_mail_parsed_dies_at_classify(broker: KafkaCluster, fleet: Fleet) -> None:
    """The second stage rejects what it cannot read, under its own name."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    fleet.start(["classify"], each=1)
    await _write(
        known, [Outgoing("mail.parsed", b"x", b'{"schema": 1}'), Outgoing("mail.parsed", b"x", b'{"schema": 99}')]
    )
    letters = await _letters(known, 2)
    assert {(letter.stage, letter.code) for _, letter, _ in letters} == {
        ("classify", "invalid_event"),
        ("classify", "unknown_schema_version"),
    }


async def test_mail_of_25_megabytes_passes_among_small_ones(broker: KafkaCluster, fleet: Fleet) -> None:
    """Large mail is decided and starves nobody; the largest that the topic takes still fits the dead letters."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    fleet.start(each=1)
    attachment = b"QUJD" * 18 + b"\r\n"
    large = [_with_attachment(n, attachment * (25_000_000 // len(attachment))) for n in range(3)]
    rubbish = Outgoing("mail.raw", b"sales0", b"\x00" * 26_000_000)
    await _write(known, [mail(0), large[0], mail(1), rubbish, large[1], mail(2), large[2], mail(3)])
    [(value, letter, _)] = await _letters(known, 1)
    async with asyncio.timeout(120):
        while len(found := await read_all(known, "mail.classified")) < 7:  # noqa: ASYNC110 - polls a topic
            await asyncio.sleep(0.5)
    result = await count(known, 4)
    decided = {Decision.decode(v).email_id for _, v, _ in found}
    peaks = [_peak_mb(worker.process.pid) for worker in fleet.workers if worker.process]
    print(f"\npeak memory of the workers: {peaks} MB")
    assert max(peaks) < 1_500, "memory grows with the number of large mails, not with one batch of them"
    assert (len(value), letter.code) == (26_000_000, "not_a_mail")
    assert result.lost == []
    assert {email_id((item.key or b"").decode(), item.value) for item in large} <= decided


def _peak_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _with_attachment(number: int, encoded: bytes) -> Outgoing:
    head = (
        f"From: a@b.example\r\nSubject: Drawings {number}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n"
        "--cut\r\nContent-Type: application/zip; name=plans.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return Outgoing("mail.raw", b"sales0", head.encode() + encoded + b"--cut--\r\n")


async def test_a_broker_that_is_away_is_waited_out(broker: KafkaCluster, fleet: Fleet) -> None:
    """Kill -9 of the only broker in the middle of the stream, for longer than a session lasts; after its return nothing is missing."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    fleet.start(each=1)
    await send(known, 300, 300)
    await asyncio.to_thread(broker.kill, 1)
    await asyncio.sleep(8)
    await asyncio.to_thread(broker.start_node, 1)
    await send(known, 600, 300)  # the first 300 a second time: the same mails, no new ids
    result = await settle(known, 600, 60)
    assert result.lost == []
    assert result.conflicts == []
    assert result.decided == 594
    assert all(worker.process and worker.process.poll() is None for worker in fleet.workers)


async def test_the_breaker_stops_a_worker_that_rejects_everything(broker: KafkaCluster, fleet: Fleet) -> None:
    """It ends with exit code 1 before it has rejected a batch, however often it is started; a worker without the breaker takes up where it stopped."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    fleet.start(["ingest"], each=1)
    [worker] = fleet.workers
    await _write(known, [Outgoing("mail.raw", str(n).encode(), b"rubbish %d" % n) for n in range(400)])
    assert worker.process
    assert await asyncio.to_thread(worker.process.wait, 60) == 1
    worker.start()
    assert await asyncio.to_thread(worker.process.wait, 60) == 1
    assert len(await read_all(known, "mail.dead")) < 40, "under twenty a start, if the first batch was a small one"
    assert "of them as not_a_mail" in worker.log.read_text()
    assert "MAILWEIR_REJECT_RATIO_MAX" in worker.log.read_text()
    worker.environment["MAILWEIR_REJECT_RATIO_MAX"] = "1"
    worker.start()
    values = [value for value, _, _ in await _letters(known, 400)]
    assert len(values) == len(set(values)) == 400


async def test_sigterm_ends_a_worker_cleanly_and_repeats_nothing(broker: KafkaCluster, fleet: Fleet) -> None:
    """Exit code 0; what was in hand is committed, so the next worker repeats nothing."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    fleet.start(each=1)
    sending = asyncio.create_task(send(known, 600, 300))
    await asyncio.sleep(1)
    codes = [await asyncio.to_thread(worker.end, signal.SIGTERM) for worker in fleet.workers]
    for worker in fleet.workers:
        worker.start()
    await sending
    result = await settle(known, 600, 30)
    assert codes == [0, 0]
    assert result.lost == []
    assert (await count(known, 600)).repeats == 0
