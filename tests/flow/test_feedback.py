"""The feedback agent on the in-memory bus: what is kept, what is refused, and whose verdicts are counted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from asked import question
from factories import hosted, memory_bus, settings, until
from kept import agent, announced, causes, decide, finished, rows, say, written
from loop import decided, mail, on, word

from mailweir.models.feedback import last_words
from mailweir.schemas.events import (
    Coordinates,
    Correction,
    Feedback,
    ModelRef,
    TaxonomyRef,
)
from mailweir.services.app import Host
from mailweir.services.cli.worker import STAGES
from mailweir.services.feedback import verdicts
from mailweir.services.feedback.redact import KINDS
from mailweir.services.feedback.redaction import Redaction
from mailweir.services.stream import Outgoing
from mailweir.services.telemetry import configure_logging


async def test_a_correction_becomes_a_row_with_its_mail(ledger: Path) -> None:
    """Whether it says where its decision lies or not: the text, the decision, the correction and its lineage."""
    bus = memory_bus()
    (one, at), (other, _) = decide(bus, 1), decide(bus, 2)
    say(bus, word(one, decision_source=at.coordinates), word(other, "u-2", label="personal", origin="rule"))
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 2)
        value = host.metrics.registry.get_sample_value
        assert value("mailweir_mails_total", {"stage": "feedback", "outcome": "kept"}) == 2
        assert value("mailweir_feedback_total", {"origin": "rule"}) == 1
    kept = {row.person: row for row in rows(ledger)}
    assert kept["u-1"].subject == "Order 1"
    assert kept["u-1"].decided.heads["category"].label == "work"
    assert kept["u-2"].corrected.heads == {"category": Correction(label="personal")}
    assert causes(bus) == []


async def test_redaction_is_applied_to_all_that_is_kept(ledger: Path) -> None:
    """No file of the ledger holds what was to be taken out."""

    def phones(text: str, kinds: frozenset[str], language: str, desks: object) -> str:
        return re.sub(r"\+[\d ]+\d", "[PHONE]", text) if kinds == {"phone"} and language == "en" else text

    bus = memory_bus()
    say(bus, word(decide(bus, 1)[0]))
    async with agent(bus, ledger, Redaction(phones, frozenset({"phone"})), shard_rows=1) as host:
        await until(lambda: len(bus.records("mail.shards")) == 1)
        assert finished(host) == 1
    [row] = rows(ledger)
    assert row.body == "Please ship PO-00001 to [PHONE] by Friday."
    assert [kept.body for kept in written(ledger)] == [row.body] * 2  # segment and shard


async def test_a_worker_redacts_the_kinds_of_its_settings(ledger: Path) -> None:
    """The agent as `mailweir worker feedback` registers it: all kinds by default, and those that are named."""
    for kinds, kept in (({}, "[phone]"), ({"redact": ("card",)}, "+")):
        bus = memory_bus()
        folder = ledger / kept
        say(bus, word(decide(bus, 1)[0]))
        host = Host(settings(ledger=str(folder), feedback_batch_wait_ms=5, **kinds), bus)
        STAGES["feedback"](host)
        async with hosted(host):
            await until(lambda host=host: finished(host) == 1)  # type: ignore[misc]
        [row] = rows(folder)
        assert row.body.startswith(f"Please ship PO-00001 to {kept}")
        assert row.redaction == tuple(sorted(kinds.get("redact", KINDS)))


async def test_what_cannot_be_kept_is_in_the_dead_letters_with_its_cause(ledger: Path) -> None:
    """One word for each cause, and a good one in their middle that is kept."""
    bus = memory_bus(1)
    decision, at = decide(bus, 1)
    late = decided(mail(2), Coordinates(topic="mail.parsed", partition=0, offset=999))
    gone, _ = decide(bus, 3)
    lonely = decided(mail(4), bus.write(on("mail.parsed", mail(4))).coordinates)
    elsewhere = at.coordinates.model_copy(update={"topic": "other.classified"})
    bad: dict[str, list[Feedback]] = {
        "mail_expired": [
            word(late),
            word(decision, source=gone.source, decision_source=at.coordinates),  # another mail lies there
            word(decision, source=Coordinates(topic="mail.parsed", partition=9, offset=0)),
        ],
        "unknown_decision": [
            word(lonely),
            word(decision, decision_id="f" * 64),
            word(gone, decision_source=at.coordinates),
            word(gone, decision_source=at.coordinates.model_copy(update={"offset": 77})),
        ],
        "other_taxonomy": [word(decision, taxonomy=TaxonomyRef(name="task", version=1), heads={})],
        "invalid_event": [
            word(decision, model=ModelRef(name="email", version="2")),
            word(decision, source=at.coordinates),
            word(decision, decision_source=elsewhere),
            word(decision, given_at=datetime(2999, 1, 1, tzinfo=UTC)),
            word(decision, heads={}, withdraws="a" * 64, given_at=datetime(2999, 1, 1, tzinfo=UTC)),
        ],
    }
    say(bus, *(one for several in bad.values() for one in several), word(decision))
    raw: dict[str, dict[str, Any]] = {
        "unknown_label": {"heads": {"category": {"label": "wrok"}}},
        "unknown_taxonomy": {"taxonomy": {"name": "email", "version": 99}},
        "unknown_schema_version": {"schema": 2},
        "invalid_event": {"person": "u\n1"},
    }
    for change in raw.values():
        bus.write(Outgoing("mail.feedback", b"k", orjson.dumps(orjson.loads(word(decision).encode()) | change)))
    bus.write(Outgoing("mail.feedback", b"k", b"{"))
    bus.write(Outgoing("mail.feedback", b"k", b""))
    wanted = [code for code, several in bad.items() for _ in several] + [*raw, "malformed_json", "empty"]
    async with agent(bus, ledger, reject_ratio_max=1) as host:
        await until(lambda: finished(host) == len(wanted) + 1)
        value = host.metrics.registry.get_sample_value
        assert value("mailweir_rejects_total", {"stage": "feedback", "code": "mail_expired"}) == 3
    assert causes(bus) == sorted(wanted)
    assert len(rows(ledger)) == 1


async def test_a_mail_that_retention_took_is_told_from_one_that_is_there(ledger: Path) -> None:
    """Below the beginning of the log: mail_expired; its neighbour behind it is kept."""
    bus = memory_bus(1)
    first, second = decide(bus, 1)[0], decide(bus, 2)[0]
    bus.expire(("mail.parsed", 0), 1)
    say(bus, word(first), word(second))
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 2)
    assert causes(bus) == ["mail_expired"]
    assert [row.email_id for row in rows(ledger)] == [second.email_id]


async def test_a_word_can_be_taken_back_after_its_mail_is_gone(ledger: Path) -> None:
    """A mere withdrawal needs no mail; it is kept, and the word does not count any more."""
    bus = memory_bus(1)
    decision, _ = decide(bus, 1)
    said = word(decision)
    say(bus, said)
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 1)
        bus.expire(("mail.parsed", 0), 1)
        say(bus, word(decision, minute=1, heads={}, withdraws=said.event_id))
        await until(lambda: finished(host) == 2)
    assert causes(bus) == []
    assert len(rows(ledger)) == 2
    assert last_words(rows(ledger)) == []


async def test_repeats_are_rows_and_one_last_word(ledger: Path) -> None:
    """The same word sent twice, and a change of mind: three places, one answer."""
    bus = memory_bus()
    decision, _ = decide(bus, 1)
    say(bus, word(decision), word(decision), word(decision, label="personal", minute=2))
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 3)
    assert len(rows(ledger)) == 3
    assert [row.corrected.heads["category"].label for row in last_words(rows(ledger))] == ["personal"]


async def test_no_text_reaches_the_log(ledger: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither of the mail nor of the note, at the most talkative level, kept or refused."""
    configure_logging("debug")
    bus = memory_bus()
    decision, _ = decide(bus, 1)
    secret = "XYZZY-PRIVATE"
    far = decided(mail(9), Coordinates(topic="mail.parsed", partition=0, offset=999))
    try:
        say(bus, word(decision, note=secret), word(far, note=secret))
        async with agent(bus, ledger, shard_rows=1) as host:
            await until(lambda: finished(host) == 2 and len(announced(bus)) == 1)
    finally:
        configure_logging("warning")
    logged = capfd.readouterr().err
    assert '"event":"kept"' in logged
    assert '"code":"mail_expired"' in logged
    assert secret not in logged
    assert "Please ship" not in logged
    assert [secret in row.model_dump_json() for row in written(ledger)] == [False, False]  # segment and shard


async def test_verdicts_of_the_lot_are_told_from_those_that_people_give(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked by lot: counted and weighed by its chance; asked because it is unsure, or not asked: given. A broker that is away delays it."""
    monkeypatch.setattr(verdicts, "_LOOK_SECONDS", 0.02)
    bus = memory_bus(1)
    decisions = [decide(bus, number)[0] for number in range(3)]
    for one, why in ((decisions[0], "random"), (decisions[1], "uncertain")):
        asked = question(0, decision_id=one.decision_id, why=why, chance=0.25 if why == "random" else None)
        bus.write(Outgoing("mail.review", b"k", asked.encode()))
    bus.write(Outgoing("mail.review", b"k", b"rubbish"))
    right = {"category": Correction(label="work", confirmed=True), "intent": Correction(label="complaint")}
    say(bus, word(decisions[0], heads=right), *(word(one) for one in decisions[1:]), word(decisions[2], origin="rule"))
    async with agent(bus, ledger) as host:
        value = host.metrics.registry.get_sample_value

        def counted(sample: str, verdict: str) -> float | None:
            labels = {"head": "category", "version": "1.0.0", "sample": sample, "verdict": verdict}
            return value("mailweir_verdicts_total", labels)

        await until(lambda: counted("given", "wrong") == 2)
        assert (counted("lot", "right"), counted("lot", "wrong"), counted("given", "right")) == (1, None, None)
        weight = {"head": "category", "version": "1.0.0", "verdict": "right"}
        assert value("mailweir_verdict_weight_total", weight) == 4
