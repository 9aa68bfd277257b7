"""What spans there are: repeats, retries, shadows, words of people, and none at all where nobody wants them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest
from bundles import promote, stocked
from factories import add_stage, memory_bus, parsed, raw, settings, until, write_raw
from loop import decided, mail, on, word

from mailweir.models.runtime import Bundle
from mailweir.schemas.errors import NotAMail
from mailweir.schemas.events import ModelRef
from mailweir.schemas.headers import TraceParent, child_traceparent, traceparent_of
from mailweir.schemas.ids import email_id
from mailweir.services.app import Host
from mailweir.services.classify.agent import register as register_classify
from mailweir.services.feedback.agent import register as register_feedback
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing, Record, Result
from mailweir.services.telemetry import Span, configure_logging
from mailweir.services.telemetry.traces import MemoryTraces


async def through(
    bus: MemoryBus,
    register: Callable[[Host], None],
    done: Callable[[], bool],
    traces: MemoryTraces | None = None,
    **changes: object,
) -> list[Span]:
    """The spans of a worker that ran until `done`."""
    traces = traces or MemoryTraces()
    host = Host(settings(**changes), bus, traces)
    register(host)
    await host.start()
    try:
        await until(done, 30)
    finally:
        await host.stop()
    return traces.spans


def of_mails(spans: Sequence[Span]) -> list[Span]:
    return [span for span in spans if span.name.startswith("process ")]


async def test_a_mail_that_comes_again_is_the_same_span() -> None:
    """Two deliveries of a record, in two workers: trace, span and what is on Kafka are the same."""
    seen = []
    for _ in range(2):
        bus = memory_bus(1)
        write_raw(bus, 1)
        stage = lambda host: add_stage(host, _parse)  # noqa: E731
        spans = await through(bus, stage, lambda bus=bus: len(bus.records("mail.parsed")) == 1)
        [record] = bus.records("mail.parsed")
        seen.append([span.context for span in of_mails(spans)] + [traceparent_of(record.headers)])
    assert seen[0] == seen[1]
    assert seen[0][0] == seen[0][1]


async def _parse(records: Sequence[Record]) -> list[Result]:
    return [parsed(record) for record in records]


async def test_a_record_that_fails_is_tried_alone_and_its_span_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    """Its neighbour's span is of the second try as well; the log names both mails, then the one that is dead."""
    configure_logging("warning")
    bus = memory_bus(1)
    write_raw(bus, 2)

    async def handle(records: Sequence[Record]) -> list[Result]:
        if any(b"order 1" in record.value for record in records):
            raise ZeroDivisionError
        return [parsed(record) for record in records]

    spans = await through(bus, lambda host: add_stage(host, handle), lambda: len(bus.records("mail.dead")) == 1)
    mails = [email_id((one.key or b"").decode(), one.value) for one in (raw(0), raw(1))]
    found = {
        span.attributes["mailweir.email_id"]: (span.attributes["mailweir.attempt"], span.error)
        for span in of_mails(spans)
    }
    assert found == {mails[0]: (2, ""), mails[1]: (2, "unexpected")}
    lines = {line["event"]: line for row in capfd.readouterr().err.splitlines() if (line := orjson.loads(row))}
    assert lines["stage_raised"]["email_ids"] == mails
    assert lines["stage_raised"]["trace_ids"] == [one[:32] for one in mails]
    assert (lines["rejected"]["email_id"], lines["rejected"]["trace_id"]) == (mails[1], mails[1][:32])


async def test_a_wait_for_a_broker_names_the_mails_that_wait(capfd: pytest.CaptureFixture[str]) -> None:
    """Each try is a line with what cannot be published meanwhile."""
    configure_logging("warning")
    bus = memory_bus(1)
    write_raw(bus, 1)
    mail_id = email_id((raw(0).key or b"").decode(), raw(0).value)

    async def handle(records: Sequence[Record]) -> list[Result]:
        bus.away = True
        return [parsed(record) for record in records]

    said: list[dict[str, object]] = []

    def done() -> bool:
        said.extend(orjson.loads(row) for row in capfd.readouterr().err.splitlines())
        if any(line["event"] == "publish_retried" for line in said):
            bus.away = False
        return bool(bus.held("mail.parsed"))

    await through(bus, lambda host: add_stage(host, handle), done)
    line = next(line for line in said if line["event"] == "publish_retried")
    assert (line["email_id"], line["trace_id"]) == (mail_id, mail_id[:32])


async def test_a_batch_without_a_recorded_mail_is_none_and_links_only_those_that_are() -> None:
    """Producers decided: of three mails in one batch one is recorded, of the next batch none."""
    bus = memory_bus(1)
    for number, flags in enumerate(("00", "01", "00", "00")):
        parent = f"00-{number + 1:032x}-{number + 1:016x}-{flags}"
        made = raw(number)
        bus.write(Outgoing(made.topic, made.key, made.value, [*made.headers, ("traceparent", parent.encode())]))
    done = lambda: len(bus.records("mail.parsed")) == 4  # noqa: E731
    spans = await through(bus, lambda host: add_stage(host, _parse), done, batch_mails=3)
    [batch] = [span for span in spans if span.name.startswith("process_batch ")]
    [one] = of_mails(spans)
    assert (batch.links, batch.attributes["messaging.batch.message_count"]) == ((one.context,), 3)
    assert one.parent
    assert (one.parent.trace, one.parent.span) == (f"{2:032x}", f"{2:016x}")
    sent = [traceparent_of(record.headers) for record in bus.records("mail.parsed")]
    assert [one.sampled for one in sent if one] == [False, True, False, False]


async def test_a_rejected_mail_has_a_span_of_its_own_below_its_producers_and_the_batch_links_it_too() -> None:
    """What lies in the dead letters carries the producer's context untouched, which is no id for a span of ours."""
    bus, parent = memory_bus(1), TraceParent(f"{7:032x}", f"{7:016x}", sampled=True)
    for number in range(3):
        made = raw(number)
        bus.write(Outgoing(made.topic, made.key, made.value, [*made.headers, ("traceparent", str(parent).encode())]))

    async def handle(records: Sequence[Record]) -> list[Result]:
        return [NotAMail("rubbish") if record.offset == 1 else parsed(record) for record in records]

    done = lambda: len(bus.records("mail.parsed")) + len(bus.records("mail.dead")) == 3  # noqa: E731
    spans = await through(bus, lambda host: add_stage(host, handle), done, batch_mails=3)
    mails = of_mails(spans)
    assert [span.error for span in mails] == ["", "not_a_mail", ""]
    assert {span.parent for span in mails} == {parent}
    assert len({span.context.span for span in mails} | {parent.span}) == 4
    [batch] = [span for span in spans if span.name.startswith("process_batch ")]
    assert batch.links == tuple(span.context for span in mails)
    assert batch.attributes["mailweir.rejected"] == 1


async def test_the_shadow_has_a_span_beside_the_champions(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the mail's trace, with its own version; what it breaks on is its error, and the log names the mail."""
    configure_logging("warning")
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    registry.set_shadow(ModelRef(name="email", version="1.b"), share=1.0, by="ann")
    bus, traces, ready = memory_bus(1), MemoryTraces(), []
    shadow = lambda: [span for span in traces.spans if span.attributes.get("mailweir.stage") == "shadow"]  # noqa: E731

    def done() -> bool:
        host = ready[0]
        if host.metrics.registry.get_sample_value("mailweir_shadow_info", {"name": "email", "version": "1.b"}) == 1:
            if not bus.records("mail.parsed"):
                bus.write(on("mail.parsed", mail(1)))
            elif len(shadow()) == 1 and len(bus.records("mail.parsed")) == 1:
                monkeypatch.setattr(Bundle, "classify", _breaks_in_shadow(Bundle.classify))
                bus.write(on("mail.parsed", mail(2)))
        return len(shadow()) == 2

    def register(host: Host) -> None:
        ready.append(host)
        register_classify(host)

    await through(bus, register, done, traces, registry=registry.root, registry_poll_ms=50)
    [good, bad] = shadow()
    assert (good.attributes["mailweir.model.version"], good.error) == ("1.b", "")
    assert (good.context.trace, bad.error) == (mail(1).email_id[:32], "unexpected")
    [carried] = [traceparent_of(record.headers) for record in bus.records("mail.classified.shadow")]
    assert carried == good.context
    lines = [orjson.loads(row) for row in capfd.readouterr().err.splitlines()]
    [line] = [line for line in lines if line["event"] == "shadow_failed"]
    assert (line["email_id"], line["trace_id"]) == (mail(2).email_id, bad.context.trace)


def _breaks_in_shadow(classify: Callable[..., object]) -> Callable[..., object]:
    import threading

    def scored(*arguments: object, **options: object) -> object:
        if threading.current_thread().name.startswith("shadow"):
            raise ZeroDivisionError
        return classify(*arguments, **options)

    return scored


@pytest.mark.parametrize("flags", ["01", "00"])
async def test_a_word_joins_its_mail_unless_it_has_a_trace_of_its_own(tmp_path: Path, flags: str) -> None:
    """Who corrects through an application that traces keeps that trace, and a link leads to the decision."""
    bus = memory_bus(1)
    record = bus.write(on("mail.parsed", mail(1)))
    made = child_traceparent("ab" * 16, "classify", mail(1).email_id, sampled=True)
    decision = decided(mail(1), record.coordinates)
    bus.write(
        Outgoing(
            "mail.classified", decision.email_id.encode(), decision.encode(), [("traceparent", str(made).encode())]
        )
    )
    own = f"00-{'cd' * 16}-{'ef' * 8}-{flags}".encode()
    said = word(decision)
    bus.write(Outgoing("mail.feedback", said.email_id.encode(), said.encode(), [("traceparent", own)]))
    kept = MemoryTraces()
    spans = await through(
        bus, register_feedback, lambda: bool(of_mails(kept.spans)), kept, ledger=str(tmp_path), feedback_batch_wait_ms=5
    )
    [span] = of_mails(spans)
    assert span.parent
    assert (span.context.trace, span.parent.span) == (
        ("cd" * 16, "ef" * 8) if flags == "01" else (made.trace, made.span)
    )
    assert (made in span.links) == (flags == "01")


async def test_names_are_those_of_the_conventions() -> None:
    """Every attribute is one that OpenTelemetry names, or begins with mailweir."""
    import opentelemetry.semconv._incubating.attributes.messaging_attributes as names

    bus = memory_bus(1)
    write_raw(bus, 2)
    spans = await through(bus, lambda host: add_stage(host, _parse), lambda: len(bus.records("mail.parsed")) == 2)
    known = {value for name, value in vars(names).items() if name.startswith("MESSAGING_")}
    used = {name for span in spans for name in span.attributes}
    assert {name for name in used if not name.startswith("mailweir.")} <= known
    assert len(used & known) >= 9


_OFF = """
import asyncio, sys
from factories import memory_bus, settings, until, write_raw
from mailweir.services.app import Host
from mailweir.services.cli.worker import STAGES

async def main(bundle, folder):
    bus = memory_bus(1)
    write_raw(bus, 3)
    host = Host(settings(bundle=bundle, ledger=folder), bus)
    for stage in ("ingest", "classify", "review", "feedback", "retrain"):
        STAGES[stage](host)
    await host.start()
    try:
        await until(lambda: len(bus.records("mail.classified")) == 3, 60)
    finally:
        await host.stop()

asyncio.run(main(*sys.argv[1:]))
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry", "google.protobuf"))))
"""


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded(tiny: Path, tmp_path: Path) -> None:
    """A fresh interpreter, all agents but the trainer, three mails decided."""
    tests = str(Path(__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {tests!r})\n{_OFF}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny), str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["[]"]), done.stderr


_WITHOUT = """
import sys
sys.modules["opentelemetry.sdk.trace"] = None
from mailweir.schemas.errors import SetupError
from mailweir.services.settings import Settings
from mailweir.services.stream import traces_of
from mailweir.services.telemetry import Metrics
try:
    traces_of(Settings(otlp_endpoint="http://127.0.0.1:4318"), Metrics())
except SetupError as error:
    print(error.message)
"""


def test_without_its_packages_the_extra_is_named() -> None:
    """What to install, before a mail is read."""
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'mailweir[otlp]'" in done.stdout
