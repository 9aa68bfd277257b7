"""Traces of mails through real workers on a real broker, as a collector gets them, and what the workers log meanwhile."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from collector import Collector, Got, collecting
from command import mailweir
from factories import settings
from fleet import Fleet, Worker, read_all

from mailweir.schemas.events import Decision
from mailweir.schemas.headers import traceparent_of
from mailweir.schemas.ids import email_id
from mailweir.schemas.taxonomy import installed_taxonomy
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PRODUCER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
POISON = b"\x00 rubbish of Ann"
SECRETS = (b"Ann", b"customer.example", b"sesame", b"Zanzibar", b"box@firm.example", b"rubbish", b"Bearer")


def mail(number: int) -> bytes:
    return (
        f"From: Ann <ann{number}@customer.example>\r\nTo: box@firm.example\r\nSubject: Zanzibar {number}\r\n\r\n"
        f"Please open sesame number {number}.\r\n"
    ).encode()


def raw(known: Settings, value: bytes, flags: str = "") -> Outgoing:
    """A mail, with the context of its producer where there are flags."""
    headers = [("traceparent", f"00-{PRODUCER[0]}-{PRODUCER[1]}-{flags}".encode())] if flags else []
    return Outgoing(f"{known.topic_prefix}.raw", b"box@firm.example", value, headers)


async def write(known: Settings, mails: list[Outgoing]) -> None:
    sink = KafkaBus(known).sink()
    await sink.start()
    await sink.send(mails)
    await sink.stop()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.05)


async def decided(known: Settings, count: int) -> list[tuple[Decision, dict[str, bytes]]]:
    """So many decisions with their headers."""
    end = time.monotonic() + 90
    while len(found := await read_all(known, f"{known.topic_prefix}.classified")) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} came"
        await asyncio.sleep(0.1)
    return [(Decision.decode(value), headers) for _, value, headers in found]


@contextmanager
def fleet(known: Settings, folder: Path, tiny: Path, **more: str) -> Iterator[Fleet]:
    """No worker yet, on topics of their own."""
    values = {
        "kafka_bootstrap": known.kafka_bootstrap,
        "topic_prefix": known.topic_prefix,
        "group_prefix": known.group_prefix,
        "bundle": str(tiny),
        "metrics_port": "0",
        "ledger": str(folder / "ledger"),
        "feedback_batch_wait_ms": "20",
        "log_level": "debug",
    } | more
    with Fleet(folder, {f"MAILWEIR_{name.upper()}": value for name, value in values.items()}) as made:
        yield made


def place(kafka: KafkaCluster) -> Settings:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    return settings(kafka_bootstrap=kafka.bootstrap, topic_prefix=prefix, group_prefix=prefix)


def lines(worker: Worker, event: str) -> list[dict[str, Any]]:
    """What a worker logged of this kind."""
    rows = [orjson.loads(row) for row in worker.log.read_bytes().splitlines() if row.startswith(b"{")]
    return [row for row in rows if row["event"] == event]


def only(spans: list[Got], email: str) -> Got:
    [found] = [span for span in spans if span.attributes.get("mailweir.email_id") == email]
    return found


async def test_a_mail_is_one_trace_from_ingest_to_feedback(kafka: KafkaCluster, tiny: Path, tmp_path: Path) -> None:
    """Three processes, one trace: each span's parent is the span before, and what is on Kafka is what was sent to the collector."""
    known = place(kafka)
    await apply(known, partitions=1)
    ours, theirs = (email_id("box@firm.example", mail(number)) for number in (1, 2))
    with collecting() as got, fleet(known, tmp_path, tiny, **_to(got)) as workers:
        ingest, classify, feedback = (workers.add(stage) for stage in ("ingest", "classify", "feedback"))
        for worker in workers.workers:
            worker.start()
        for worker in workers.workers:
            worker.wait_ready()
        await write(known, [raw(known, mail(1)), raw(known, mail(2), "01"), raw(known, POISON)])
        decisions = {decision.email_id: (decision, headers) for decision, headers in await decided(known, 2)}
        _correct(known, decisions[theirs][0])
        await until(lambda: len(got.of("feedback", "process ")) == 1)
        assert [worker.end(signal.SIGTERM) for worker in workers.workers] == [0, 0, 0]

    for email, trace, first in ((ours, ours[:32], ""), (theirs, *PRODUCER)):
        at_ingest, at_classify = (only(got.of(stage, "process "), email) for stage in ("ingest", "classify"))
        assert {at_ingest.trace, at_classify.trace} == {trace}
        assert (at_ingest.parent, at_classify.parent) == (first, at_ingest.span)
        sent = traceparent_of(decisions[email][1].items())
        assert sent
        assert (sent.trace, sent.span, sent.sampled) == (*at_classify.ids, True)
        assert {at_ingest.kind, at_classify.kind} == {"consumer"}
    word = only(got.of("feedback", "process "), theirs)
    assert (word.trace, word.parent) == only(got.of("classify", "process "), theirs).ids
    _check_batches(got)
    _check_fields(known, only(got.of("classify", "process "), ours), decisions[ours][0])
    [dead] = [span for span in got.spans if span.failed]
    assert (dead.stage, dead.attributes["error.type"]) == ("ingest", "not_a_mail")
    assert dead.attributes["mailweir.email_id"] == email_id("box@firm.example", POISON)
    everything = b"".join(got.bodies)
    assert [secret for secret in SECRETS if secret in everything] == []
    assert {one["authorization"] for one in got.headers} == {"Bearer of news"}
    assert {one["path"] for one in got.headers} == {"/v1/traces"}

    for worker, event, email, trace in (
        (ingest, "published", ours, ours[:32]),
        (ingest, "published", theirs, PRODUCER[0]),
        (classify, "published", theirs, PRODUCER[0]),
        (feedback, "kept", theirs, PRODUCER[0]),
        (ingest, "rejected", dead.attributes["mailweir.email_id"], dead.trace),
    ):
        assert (email, trace) in [(line["email_id"], line["trace_id"]) for line in lines(worker, event)]


def _to(collector: Collector) -> dict[str, str]:
    return {"otlp_endpoint": collector.url, "otlp_headers": "authorization=Bearer%20of%20news"}


def _correct(known: Settings, decision: Decision) -> None:
    label = decision.heads["category"].label
    other = next(one for one in installed_taxonomy("email", 1).labels("category") if one != label)
    where = {name: str(getattr(known, name)) for name in ("kafka_bootstrap", "topic_prefix", "group_prefix")}
    arguments = ("feedback", "send", "-", "--person", "u-17", "--head", f"category={other}")
    sent = mailweir(*arguments, stdin=decision.encode() + b"\n", **where)
    assert sent.code == 0, sent.err


def _check_batches(got: Collector) -> None:
    """A batch is a trace of its own that links the span of each of its mails, and is linked by them."""
    for stage in ("ingest", "classify", "feedback"):
        batches = {span.ids: span for span in got.of(stage, "process_batch ")}
        mails = got.of(stage, "process ")
        assert sorted(link for span in batches.values() for link in span.links) == sorted(span.ids for span in mails)
        for span in mails:
            assert [link for link in span.links if link in batches and span.ids in batches[link].links]
        assert sum(span.attributes["messaging.batch.message_count"] for span in batches.values()) == len(mails)
        steps = [span for span in got.spans if span.stage == stage and span.kind == "internal"]
        assert {span.name for span in steps} == {
            "ingest": {"parse"},
            "classify": {"decide"},
            "feedback": {"find", "keep"},
        }[stage]
        for step in (*steps, *got.of(stage, "send ")):
            assert (step.trace, step.parent) in batches


def _check_fields(known: Settings, span: Got, decision: Decision) -> None:
    """By the conventions, and the version of the bundle as well."""
    found = span.attributes
    assert span.name == f"process {known.topic_prefix}.parsed"
    assert decision.source
    assert {name: value for name, value in found.items() if not name.endswith(("_ms", "body.size", "client.id"))} == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": f"{known.topic_prefix}.parsed",
        "messaging.destination.partition.id": str(decision.source.partition),
        "messaging.kafka.offset": decision.source.offset,
        "messaging.consumer.group.name": f"{known.group_prefix}.classify",
        "mailweir.stage": "classify",
        "mailweir.attempt": 1,
        "mailweir.email_id": decision.email_id,
        "mailweir.decision_id": decision.decision_id,
        "mailweir.model.name": decision.model.name,
        "mailweir.model.version": decision.model.version,
        "mailweir.tier": decision.tier,
        "mailweir.needs_review": decision.needs_review,
    }
    assert found["messaging.client.id"].startswith("mailweir-classify-")
    assert span.resource["service.name"] == "mailweir"
    assert {"service.version", "service.instance.id"} <= span.resource.keys()


async def test_a_share_of_the_mails_is_recorded_the_same_in_every_stage(
    kafka: KafkaCluster, tiny: Path, tmp_path: Path
) -> None:
    """Those with the lowest trace ids, unless the mail's producer has decided; the others say so to whoever reads on."""
    known = place(kafka)
    await apply(known, partitions=2)
    mails = [mail(number) for number in range(40)]
    low = {one for value in mails if int((one := email_id("box@firm.example", value))[16:32], 16) < 2**62}
    assert 0 < len(low) < 20
    no, yes = mail(100), mail(101)
    with collecting() as got, fleet(known, tmp_path, tiny, **_to(got), otlp_ratio="0.25") as workers:
        worker = workers.add("ingest", "classify")
        worker.start()
        worker.wait_ready()
        await write(known, [*(raw(known, value) for value in mails), raw(known, no, "00"), raw(known, yes, "01")])
        decisions = await decided(known, 42)
        assert worker.end(signal.SIGTERM) == 0
    wanted = low | {email_id("box@firm.example", yes)}
    for stage in ("ingest", "classify"):
        assert {span.attributes["mailweir.email_id"] for span in got.of(stage, "process ")} == wanted
    flags = {decision.email_id: traceparent_of(headers.items()) for decision, headers in decisions}
    assert {email for email, sent in flags.items() if sent and sent.sampled} == wanted


@pytest.mark.parametrize("how", ["refused", "away", "hangs"])
async def test_a_collector_that_fails_costs_no_mail(kafka: KafkaCluster, tiny: Path, tmp_path: Path, how: str) -> None:
    """Every mail is decided while nobody takes a span, the spans are counted, one line says why, and the worker stops as ever."""
    known = place(kafka)
    await apply(known, partitions=1)
    with collecting() as got, fleet(known, tmp_path, tiny, **_to(got)) as workers:
        worker = workers.add("ingest", "classify")
        if how == "away":
            worker.environment["MAILWEIR_OTLP_ENDPOINT"] = "http://127.0.0.1:1"  # nothing of ours listens there
        elif how == "hangs":
            got.held.clear()
        got.status = 401
        worker.start()
        worker.wait_ready()
        for first in range(0, 60, 20):
            await write(known, [raw(known, mail(number)) for number in range(first, first + 20)])
            assert len(await decided(known, first + 20)) == first + 20
        if how != "hangs":
            await until(lambda: worker.figure("mailweir_spans_total", outcome="failed") > 0)
        else:
            await until(got.asked.is_set)
        assert worker.end(signal.SIGTERM) == 0  # within a minute; what hangs would hold it up for five
    told = lines(worker, "spans_not_sent")
    assert len(told) <= 1 if how == "hangs" else len(told) == 1
    if how == "refused":
        assert "401" in told[0]["cause"]
    assert b"of news" not in worker.log.read_bytes()
    assert all(row.startswith(b"{") for row in worker.log.read_bytes().splitlines())  # nothing of the library's own
    assert got.spans == []
