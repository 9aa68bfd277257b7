"""A decision says where it comes from, and so does what is logged about a mail."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from factories import hosted, memory_bus, settings, until

from mailweir.models.runtime import POLICY_VERSION, Bundle
from mailweir.models.text import compose
from mailweir.schemas.events import Coordinates, Decision, Email
from mailweir.schemas.ids import decision_id, email_id
from mailweir.services.app import Host
from mailweir.services.classify.agent import register as register_classify
from mailweir.services.classify.decide import decision_of
from mailweir.services.ingest.agent import register as register_ingest
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing
from mailweir.services.telemetry import configure_logging

MAIL = b"From: Ann <ann@customer.example>\r\nTo: sales@firm.example\r\nSubject: Order\r\n\r\nWhere is it?\r\n"
RUBBISH = b"\x00 rubbish"


async def _through(bus: MemoryBus, bundle: Path, done: int) -> Host:
    """Run both agents until so many records came out of them."""
    host = Host(settings(bundle=bundle), bus)
    register_ingest(host)
    register_classify(host)
    async with hosted(host):
        await until(lambda: len(bus.records("mail.classified")) + len(bus.records("mail.dead")) >= done, 30)
    return host


async def test_a_decision_is_that_of_its_mail_and_names_its_place_and_makers(tiny: Path) -> None:
    """All of it, compared with what the bundle alone says about the parsed mail."""
    bus = memory_bus()
    raw = bus.write(Outgoing("mail.raw", b"box", MAIL))
    await _through(bus, tiny, 1)
    [parsed], [decided] = bus.records("mail.parsed"), bus.records("mail.classified")
    email, decision = Email.decode(parsed.value), Decision.decode(decided.value)
    bundle = Bundle.load(tiny, 1)
    model, taxonomy = bundle.manifest.model, bundle.manifest.taxonomy
    assert email.source == raw.coordinates
    assert email.received_at == raw.time
    assert decision.source == Coordinates(topic="mail.parsed", partition=parsed.partition, offset=parsed.offset)
    assert decision.decision_id == decision_id(
        email_id("box", MAIL),
        f"{model.name}:{model.version}",
        f"{taxonomy.name}:{taxonomy.version}",
        str(POLICY_VERSION),
    )
    [scores] = bundle.classify([compose(email)])
    expected = decision_of(email, scores, bundle.manifest, decision.source, decision.decided_at)
    assert decision.model_copy(update={"timings_ms": {}}) == expected.model_copy(update={"timings_ms": {}})


def test_a_mail_that_ingest_cut_is_a_truncated_decision(tiny: Path) -> None:
    """Also where the model saw all that was left of it."""
    bundle = Bundle.load(tiny, 1)
    found = {}
    for cut in (False, True):
        email = Email(email_id="ab" * 32, mailbox="sales", body="short", truncated=cut)
        [scores] = bundle.classify([compose(email)])
        decision = decision_of(email, scores, bundle.manifest, None, datetime(2026, 3, 2, tzinfo=UTC))
        found[cut] = (scores.truncated, decision.truncated)
    assert found == {False: (False, False), True: (False, True)}


async def test_the_log_of_a_reject_names_the_mail(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By the id that its decision would have carried."""
    configure_logging("warning")  # to the standard error of this test
    bus = memory_bus()
    bus.write(Outgoing("mail.raw", b"box", RUBBISH))
    await _through(bus, tiny, 1)
    [line] = [orjson.loads(row) for row in capfd.readouterr().err.splitlines() if '"event":"rejected"' in row]
    wanted = email_id("box", RUBBISH)
    assert (line["email_id"], line["trace_id"], line["code"]) == (wanted, wanted[:32], "not_a_mail")


async def test_long_mails_share_a_batch_because_what_is_cut_costs_nothing(tiny: Path) -> None:
    """A mail weighs at most what the model reads of it: two of 40 kB fit a budget of a thousand tokens."""
    bus = memory_bus(1)
    for number in range(2):
        email = Email(email_id=f"{number:064x}", mailbox="sales", body="word " * 8_000)
        bus.write(Outgoing("mail.parsed", email.email_id.encode(), email.encode()))
    host = Host(settings(bundle=tiny, batch_tokens=1_000, batch_mails=2, batch_wait_ms=5_000), bus)
    register_classify(host)
    async with hosted(host):
        await until(lambda: len(bus.records("mail.classified")) == 2, 30)
    value = host.metrics.registry.get_sample_value
    assert value("mailweir_batch_mails_count", {"stage": "classify"}) == 1
