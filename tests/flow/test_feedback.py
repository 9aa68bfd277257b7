"""The feedback agent on the in-memory bus: what is kept, what is refused, and what a restart or a lost partition changes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from asked import question
from factories import hosted, memory_bus, settings, until
from loop import decided, mail, on, word
from s3 import bucket

from mailweir.models.feedback import FeedbackRow, last_words, read_rows
from mailweir.schemas.errors import DependencyError, RejectRatioExceeded
from mailweir.schemas.events import (
    Coordinates,
    Correction,
    DeadLetter,
    Decision,
    Feedback,
    ModelRef,
    ShardClosed,
    TaxonomyRef,
)
from mailweir.services.app import Host
from mailweir.services.cli.worker import STAGES
from mailweir.services.feedback import verdicts
from mailweir.services.feedback.agent import register
from mailweir.services.feedback.join import withdrawal
from mailweir.services.feedback.ledger import Ledger, all_rows
from mailweir.services.feedback.redact import KINDS
from mailweir.services.feedback.redaction import UNREDACTED, Redaction
from mailweir.services.feedback.store import Store
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing, Record
from mailweir.services.telemetry import configure_logging


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The folder of an empty ledger."""
    return tmp_path / "ledger"


@asynccontextmanager
async def agent(
    bus: MemoryBus, ledger: Path | str, redaction: Redaction = UNREDACTED, **changes: Any
) -> AsyncIterator[Host]:
    """A worker with the feedback agent."""
    host = Host(settings(ledger=str(ledger), **({"feedback_batch_wait_ms": 5} | changes)), bus)
    register(host, redaction)
    async with hosted(host):
        yield host


def decide(bus: MemoryBus, number: int, **changes: Any) -> tuple[Decision, Record]:
    """A mail and its decision on their topics; the decision and its record."""
    email = mail(number)
    place = bus.write(on("mail.parsed", email)).coordinates
    decision = decided(email, place, **changes)
    return decision, bus.write(on("mail.classified", decision))


def say(bus: MemoryBus, *words: Feedback) -> None:
    """Put words onto mail.feedback."""
    for one in words:
        bus.write(on("mail.feedback", one))


def rows(ledger: Path) -> list[FeedbackRow]:
    """What the ledger holds."""
    return all_rows(Store(str(ledger)))


def written(folder: Path) -> list[FeedbackRow]:
    """Every row of every file below a folder, repeats included."""
    return [row for path in sorted(folder.rglob("*.parquet")) for row in read_rows(path.read_bytes(), str(path))]


def causes(bus: MemoryBus) -> list[str]:
    """Codes of the dead letters."""
    return sorted(DeadLetter.from_headers(record.headers).code for record in bus.records("mail.dead"))


def finished(host: Host) -> int:
    """Records whose offsets were committed."""
    return host.stream.readers[0].progress.finished


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


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize("batch", [1, 3, 8])
async def test_what_was_written_and_not_committed_is_recognised(ledger: Path, batch: int) -> None:
    """The first worker dies between file and commit; the next one has other batches: no row twice, none missing, rejects told."""
    bus = memory_bus(1)
    good = [word(decide(bus, number)[0]) for number in range(12)]
    bad = word(decided(mail(99), Coordinates(topic="mail.parsed", partition=0, offset=999)))
    say(bus, *good[:5], bad, *good[5:])
    host = Host(settings(ledger=str(ledger), feedback_batch_wait_ms=5, batch_mails=5), bus)
    register(host)
    [reader] = host.stream.readers
    deaths = 0

    async def die(records: Sequence[Record]) -> bool:
        nonlocal deaths
        deaths += 1
        raise Killed

    reader._commit = die  # type: ignore[method-assign]
    await host.start()
    await until(lambda: deaths == 1)
    await host.stop()
    assert len(rows(ledger)) == 5
    async with agent(bus, ledger, batch_mails=batch) as second:
        await until(lambda: finished(second) == 13)
        again = second.metrics.registry.get_sample_value(
            "mailweir_redelivered_total", {"stage": "feedback", "cause": "in_ledger"}
        )
        assert again == 5
    assert sorted(row.offset for row in written(ledger)) == [*range(5), *range(6, 13)]
    assert causes(bus) == ["mail_expired"]


async def test_a_ledger_that_is_away_holds_the_words(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is rejected or committed; once it is back all is kept, once."""
    bus = memory_bus()
    say(bus, *(word(decide(bus, number)[0]) for number in range(6)))
    create, away = Store.create, 3

    def failing(self: Store, path: str, data: bytes) -> bool:
        nonlocal away
        away -= 1
        if away >= 0:
            raise DependencyError("the store is away")
        return create(self, path, data)

    monkeypatch.setattr(Store, "create", failing)
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 6)
    assert (causes(bus), len(rows(ledger))) == ([], 6)


async def test_a_broker_that_does_not_find_holds_the_words(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup that gets no answer is no mail that expired."""
    bus = memory_bus()
    say(bus, word(decide(bus, 1)[0]))
    at, tries = MemoryBus.at, 0

    def failing(self: MemoryBus, place: Coordinates) -> Record | None:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise DependencyError("Kafka did not answer")
        return at(self, place)

    monkeypatch.setattr(MemoryBus, "at", failing)
    async with agent(bus, ledger) as host:
        await until(lambda: finished(host) == 1)
    assert (causes(bus), len(rows(ledger))) == ([], 1)


async def test_the_breaker_stops_before_words_are_rejected_in_masses(ledger: Path) -> None:
    """Good rows of the batch are kept, none is rejected; after a restart with other limits the rest goes its way, once."""
    bus = memory_bus(1)
    nowhere = Coordinates(topic="mail.parsed", partition=0, offset=999)
    say(bus, *(word(decided(mail(number), nowhere)) for number in range(30)), word(decide(bus, 50)[0]))
    host = Host(settings(ledger=str(ledger), feedback_batch_wait_ms=100, batch_mails=31), bus)
    register(host)
    with pytest.raises(RejectRatioExceeded):
        await host.serve(lambda _: None)
    assert (causes(bus), len(rows(ledger))) == ([], 1)
    async with agent(bus, ledger, reject_ratio_max=1) as second:
        await until(lambda: finished(second) == 31)
    assert (len(causes(bus)), len(rows(ledger))) == (30, 1)


def announced(bus: MemoryBus) -> list[ShardClosed]:
    """What is on mail.shards."""
    return [ShardClosed.decode(record.value) for record in bus.records("mail.shards")]


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
        await until(lambda: len(rows(ledger)) == 60, 20)
    assert sorted(row.email_id for row in rows(ledger)) == sorted(one.email_id for one in words)
    assert causes(bus) == []


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
