"""The real agents on the in-memory bus: what they count, what they log, and that thinking does not stop the loop."""

from __future__ import annotations

import asyncio
import errno
import math
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from factories import hosted, memory_bus, settings, until

from mailweir.models.runtime import Bundle
from mailweir.schemas.events import Decision
from mailweir.services.app import Host
from mailweir.services.classify.agent import register as register_classify
from mailweir.services.ingest import sandbox
from mailweir.services.ingest.agent import Parsers
from mailweir.services.ingest.agent import register as register_ingest
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing, Record
from mailweir.services.stream.lag import LagMeter
from mailweir.services.stream.transport import Lag
from mailweir.services.telemetry import Metrics, configure_logging

MARK = "XYZZY-PRIVATE"
MAIL = (
    f"From: Ann <ann@customer.example>\r\nTo: sales@firm.example\r\nSubject: {MARK} order 4500123456\r\n"
    f"Date: Mon, 02 Mar 2026 09:14:00 +0000\r\n\r\nWhere is it? {MARK}\r\n"
)


@asynccontextmanager
async def _worker(bus: MemoryBus, bundle: Path, **changes: Any) -> AsyncIterator[Host]:
    host = Host(settings(bundle=bundle, **changes), bus)
    register_ingest(host)
    register_classify(host)
    async with hosted(host):
        yield host


def _write(bus: MemoryBus, *mails: bytes) -> None:
    for number, mail in enumerate(mails):
        bus.write(Outgoing("mail.raw", f"box{number}".encode(), mail))


async def test_every_metric_is_counted_by_a_mail_on_its_way(tiny: Path) -> None:
    """One mail decided and one rejected leave the right figure in each metric that they touch."""
    bus = memory_bus()
    _write(bus, MAIL.encode(), b"\x00 rubbish")
    async with _worker(bus, tiny, metrics_mailboxes=("box0",)) as host:
        await until(lambda: len(bus.records("mail.classified")) + len(bus.records("mail.dead")) == 2, 30)
        await until(lambda: all(reader.progress.behind == 0 for reader in host.stream.readers))
        value = host.metrics.registry.get_sample_value
        decision = Decision.decode(bus.records("mail.classified")[0].value)
        version = decision.model.version
        review = {"version": version, "tier": "encoder", "needs_review": str(decision.needs_review).lower()}
        assert value("mailweir_decisions_total", review) == 1
        head = decision.heads["category"]
        of_head = {"head": "category", "version": version, "tier": "encoder"}
        assert value("mailweir_labels_total", of_head | {"label": head.label}) == 1
        assert value("mailweir_confidence_ratio_count", of_head) == 1
        assert value("mailweir_confidence_ratio_sum", of_head) == head.probability
        assert value("mailweir_abstentions_total", of_head) == head.abstained
        by_mailbox = {"mailbox": "box0", "needs_review": review["needs_review"]}
        assert value("mailweir_mailbox_decisions_total", by_mailbox) == 1
        assert (
            0
            < value("mailweir_onnxruntime_seconds_sum", {"role": "champion"})
            <= decision.timings_ms["model"] / 1_000 + 1e-6
        )  # type: ignore[operator]
        for stage in ("ingest", "classify"):  # from the same moment on: when the mail came
            assert value("mailweir_event_age_seconds_count", {"stage": stage}) == (2 if stage == "ingest" else 1)
        assert value("mailweir_bundle_info", {"name": "email", "version": version}) == 1
        assert value("mailweir_mail_tokens_count", {"stage": "classify"}) == 1
        assert value("mailweir_mail_tokens_sum", {"stage": "classify"}) > 5  # type: ignore[operator]
        assert value("mailweir_rejects_total", {"stage": "ingest", "code": "not_a_mail"}) == 1
        steps = (("ingest", "parse"), *(("classify", step) for step in ("tokenize", "model", "entities")))
        for stage, step in steps:
            assert value("mailweir_step_seconds_count", {"stage": stage, "step": step}) == 1
        for stage in ("ingest", "classify"):
            assert value("mailweir_batch_oldest_seconds_count", {"stage": stage}) >= 1  # type: ignore[operator]
            assert value("mailweir_commits_total", {"stage": stage, "outcome": "done"}) >= 1  # type: ignore[operator]
            assert value("mailweir_rebalances_total", {"stage": stage}) == 1
            assert value("mailweir_step_seconds_count", {"stage": stage, "step": "publish"}) >= 1  # type: ignore[operator]


@pytest.mark.parametrize("wanted", [True, False])
async def test_reasons_are_named_where_they_are_wanted(tiny: Path, *, wanted: bool) -> None:
    """`classify_reasons`: words of the mail with a weight for each head of one label, or nothing."""
    bus = memory_bus()
    _write(bus, MAIL.encode())
    async with _worker(bus, tiny, classify_reasons=wanted):
        await until(lambda: len(bus.records("mail.classified")) == 1, 30)
    decision = Decision.decode(bus.records("mail.classified")[0].value)
    assert set(decision.reasons) == (set(decision.heads) if wanted else set())
    words = {reason.text for reasons in decision.reasons.values() for reason in reasons}
    assert bool(words) == wanted
    read = f"{MAIL} box0".lower()  # the mailbox is part of what the model reads
    assert all(word.lower() in read for word in words)


async def test_no_text_of_a_mail_reaches_the_log(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Good mail, rubbish, half a JSON and a mail above the limit, at the most talkative level: ids, never text."""
    configure_logging("debug")
    bus = memory_bus()
    _write(bus, MAIL.encode(), b"\x00" + MARK.encode(), MAIL.encode() + MARK.encode() * 2_000)
    bus.write(Outgoing("mail.raw", b"box", b'{"subject": "' + MARK.encode(), [("content-type", b"application/json")]))
    bus.write(Outgoing("mail.parsed", b"x", b'{"email_id": "' + MARK.encode() + b'"}'))
    try:
        async with _worker(bus, tiny, ingest_max_bytes=10_000):
            await until(lambda: len(bus.records("mail.classified")) == 1 and len(bus.records("mail.dead")) == 4, 30)
    finally:
        configure_logging("warning")
    logged = capfd.readouterr().err
    email = Decision.decode(bus.records("mail.classified")[0].value).email_id
    assert MARK not in logged
    assert logged.count('"event":"rejected"') == 4
    lines = [orjson.loads(line) for line in logged.splitlines() if '"event":"published"' in line]
    assert any(line["email_id"] == email and len(line["trace_id"]) == 32 for line in lines)


async def test_a_parser_that_cannot_be_started_holds_the_mail(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser died and there is no descriptor for another: nothing dies, and all is parsed once there is."""
    bus = memory_bus(1)
    start, refusals = sandbox._Child.start, iter(range(3))

    async def refuse(limits: ParseLimits) -> sandbox._Child:
        if next(refusals, None) is not None:
            raise OSError(errno.EMFILE, "Too many open files")
        return await start(limits)

    async with _worker(bus, tiny) as host:
        parsers = next(part for part in host.parts if isinstance(part, Parsers))
        child = parsers.pool._idle.get_nowait()
        assert child
        await child.kill()
        parsers.pool._idle.put_nowait(None)
        monkeypatch.setattr(sandbox._Child, "start", refuse)
        _write(bus, *[MAIL.encode()] * 5)
        await until(lambda: len(bus.records("mail.parsed")) == 5, 30)
        assert not bus.records("mail.dead")
    assert next(refusals, None) is None


async def test_the_loop_goes_on_while_the_model_thinks(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Health answers in the middle of a batch: inference runs in a thread."""
    thinking, done = threading.Event(), threading.Event()
    classify = Bundle.classify

    def slow(self: Bundle, inputs: Any, **options: Any) -> Any:
        thinking.set()
        done.wait(20)
        return classify(self, inputs, **options)

    bus = memory_bus()
    async with _worker(bus, tiny) as host:
        monkeypatch.setattr(Bundle, "classify", slow)
        _write(bus, MAIL.encode())
        await until(thinking.is_set, 30)
        url = host.health.url.replace("/metrics", "/live")
        status = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).status)
        decided = len(bus.records("mail.classified"))
        done.set()
        await until(lambda: len(bus.records("mail.classified")) == 1)
    assert (status, decided) == (200, 0)


async def test_a_worker_with_a_wrong_bundle_says_so_at_once(tmp_path: Path) -> None:
    """It does not wait for a batch that never was."""
    from mailweir.schemas.errors import BundleError

    host = Host(settings(bundle=tmp_path, rebalance_wait_ms=60_000), memory_bus())
    register_classify(host)
    started = time.monotonic()
    with pytest.raises(BundleError, match=r"manifest\.json"):
        await host.serve(lambda _: None)
    assert time.monotonic() - started < 30  # half of what an unstarted reader would be waited for


class _Meter:
    """A lag meter of two partitions and what it exports."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.meter = LagMeter("ingest", self.metrics)

    def report(self, *ends: int | None, waiting: Sequence[Record] = ()) -> int:
        """The broker's ends; everything up to offset 1 was read."""
        return self.meter.report({("mail.raw", n): Lag(end, 1) for n, end in enumerate(ends)}, waiting)

    def seconds(self, partition: int) -> float | None:
        """As Prometheus would get it; None where it gets nothing."""
        labels = {"stage": "ingest", "topic": "mail.raw", "partition": str(partition)}
        return self.metrics.registry.get_sample_value("mailweir_lag_seconds", labels)


def _aged(partition: int, seconds: float) -> Record:
    return Record("mail.raw", partition, 0, None, b"x", (), int((time.time() - seconds) * 1_000))


def test_lag_seconds_belong_to_their_partition_and_grow_while_a_batch_is_stuck() -> None:
    """A finished partition is not behind because another one is."""
    lag = _Meter()
    lag.report(1, 1)
    lag.meter.begin([_aged(0, 300)])
    assert lag.seconds(0) > 299
    assert lag.seconds(1) == 0
    assert lag.report(1, 50, waiting=[_aged(1, 300)]) == 50
    assert lag.seconds(0) == 0
    assert lag.seconds(1) > 299


def test_a_partition_with_lag_of_which_nothing_was_pulled_is_not_zero_seconds_behind() -> None:
    """Unknown is no number; then the last record finished, or the moment when nothing waited, bounds the age."""
    lag = _Meter()
    assert lag.report(None, None) == 0
    assert lag.seconds(0) is None
    lag.report(400, 400)
    assert math.isnan(lag.seconds(0))
    lag.meter.finish([_aged(0, 300)])
    assert 299 < lag.seconds(0) < 310
    assert math.isnan(lag.seconds(1))
    lag.report(400, 1)
    lag.report(400, 90)
    assert 0 < lag.seconds(1) < 10
    lag.meter.forget(frozenset({("mail.raw", 0)}))
    lag.report(400, 90)
    assert math.isnan(lag.seconds(0))
