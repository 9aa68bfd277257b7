"""The review agent on the in-memory bus: decisions in, questions out, each once, within the budget of a day."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asked import place, question, unsure
from factories import hosted, memory_bus, settings, until
from loop import decided, mail, on, word

from mailweir.schemas.errors import DependencyError
from mailweir.schemas.events import DeadLetter, Decision, ReviewAsked, utc_now
from mailweir.schemas.headers import header
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus, _MemoryJournal, _MemorySink
from mailweir.services.review.agent import register
from mailweir.services.stream import Outgoing, Record

PLENTY = {"review_budget": 24 * 50}  # fifty an hour: the hour ahead is enough for a test at any time of day


@asynccontextmanager
async def asker(bus: MemoryBus, **changes: Any) -> AsyncIterator[Host]:
    """A worker with the review agent."""
    host = Host(settings(**PLENTY | changes), bus)
    register(host)
    async with hosted(host):
        yield host


def text_of(number: int) -> str:
    """Words of its own for every mail."""
    draw = random.Random(number)
    return " ".join("".join(draw.choices("abcdefgh", k=6)) for _ in range(20))


def put(bus: MemoryBus, number: int, margin: float) -> Decision:
    """A mail and a decision about it, onto their topics."""
    email = mail(number).model_copy(update={"body": text_of(number)})
    source = bus.write(on("mail.parsed", email)).coordinates
    decision = unsure(number, margin, email_id=email.email_id, source=source)
    bus.write(on("mail.classified", decision))
    return decision


def asked(bus: MemoryBus) -> list[ReviewAsked]:
    """The questions."""
    return [ReviewAsked.decode(record.value) for record in bus.records("mail.review")]


def done(host: Host) -> int:
    """Decisions that were seen and committed."""
    return host.stream.readers[0].progress.finished


def sample(host: Host, name: str, **labels: str) -> float | None:
    """A metric."""
    return host.metrics.registry.get_sample_value(name, labels)


async def test_the_unsure_are_asked_about_and_the_sure_are_not() -> None:
    """The question names decision and mail by id and place, under the mail's key; the rest is merely committed."""
    bus = memory_bus(1)
    doubtful, certain = put(bus, 1, 0.05), put(bus, 2, 0.95)
    async with asker(bus, review_random_share=0) as host:
        await until(lambda: done(host) == 2)
        assert sample(host, "mailweir_review_asked_total", why="uncertain") == 1
        assert sample(host, "mailweir_review_budget_left") == PLENTY["review_budget"] - 1
    [one] = asked(bus)
    assert (one.decision_id, one.email_id, one.source) == (doubtful.decision_id, doubtful.email_id, doubtful.source)
    assert one.decision_source == place(0)
    assert (one.why, one.score, one.labels, one.language) == ("uncertain", 0.95, {"category": "work"}, "en")
    record = bus.records("mail.review")[0]
    assert record.key == doubtful.email_id.encode()
    assert header(record.headers, "ce_id") == f"{doubtful.decision_id}:asked"
    assert certain.decision_id not in {one.decision_id for one in asked(bus)}


async def test_a_question_counts_once_it_is_on_the_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it cannot be written nobody was asked; then it counts once, however often it was tried."""
    bus, away, tries = memory_bus(1), True, 0
    send = _MemorySink.send

    async def later(sink: _MemorySink, records: Sequence[Outgoing]) -> None:
        nonlocal tries
        tries += 1
        if away:
            raise DependencyError("the broker is away")
        await send(sink, records)

    monkeypatch.setattr(_MemorySink, "send", later)
    put(bus, 1, 0.05)
    async with asker(bus, review_random_share=0, retry_backoff_max_ms=100) as host:
        await until(lambda: tries >= 3)
        assert sample(host, "mailweir_review_asked_total", why="uncertain") == 0
        away = False
        await until(lambda: done(host) == 1)
        assert sample(host, "mailweir_review_asked_total", why="uncertain") == 1


async def test_a_decision_that_comes_again_is_asked_about_once() -> None:
    """A worker died between question and commit: another one finds the question on the topic."""
    bus = memory_bus(1)
    for number in range(6):
        put(bus, number, 0.05)
    async with asker(bus) as host:
        await until(lambda: done(host) == 6)
    before = asked(bus)
    for group in bus._groups.values():
        group.offsets.clear()
    async with asker(bus) as host:
        await until(lambda: done(host) == 6)
    assert asked(bus) == before
    assert len(before) == 6


async def test_the_budget_of_the_day_outlives_the_worker() -> None:
    """What was asked today is counted from the topic: a new worker does not begin anew."""
    bus = memory_bus(1)
    for number in range(3):
        bus.write(Outgoing("mail.review", b"x", question(100 + number, utc_now()).encode()))
    for number in range(4):
        put(bus, number, 0.05)
    async with asker(bus, review_budget=3, review_random_share=0, review_diverse_share=0) as host:
        await until(lambda: done(host) == 4)
        assert sample(host, "mailweir_review_budget_left") == 0
    assert len(asked(bus)) == 3


async def test_what_cannot_be_asked_is_left_out_or_rejected() -> None:
    """The mail is gone; it says the same as another; the record is no decision. The worker goes on."""
    bus = memory_bus(1)
    put(bus, 1, 0.05)
    same = mail(2).model_copy(update={"body": text_of(1), "subject": "Order 1"})
    source = bus.write(on("mail.parsed", same)).coordinates
    bus.write(on("mail.classified", unsure(2, 0.05, email_id=same.email_id, source=source)))
    bus.write(on("mail.classified", unsure(3, 0.05, source=place(999, "mail.parsed"))))
    bus.write(on("mail.classified", decided(mail(4), place(1, "mail.elsewhere"), needs_review=True)))
    bus.write(Outgoing("mail.classified", b"x", b"{}"))
    async with asker(bus, review_random_share=0) as host:
        await until(lambda: done(host) == 5)
    assert [one.email_id for one in asked(bus)] == [mail(1).email_id]
    [dead] = bus.records("mail.dead")
    letter = DeadLetter.from_headers(dead.headers)
    assert (letter.stage, letter.code) == ("review", "invalid_event")


async def test_open_and_answered_questions_are_counted() -> None:
    """From the topics, at the start: one of two was answered."""
    bus = memory_bus(1)
    for number in (1, 2):
        bus.write(Outgoing("mail.review", b"x", question(number, utc_now()).encode()))
    bus.write(Outgoing("mail.review", b"x", b"rubbish"))
    bus.write(on("mail.feedback", word(unsure(1, 0.1))))
    async with asker(bus) as host:
        await until(lambda: sample(host, "mailweir_review_answered") == 1)
        assert sample(host, "mailweir_review_open") == 1


async def test_nothing_is_asked_without_knowing_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the topic of questions cannot be read, the decisions are held; then the question comes once."""
    bus, tries = memory_bus(1), []
    read = _MemoryJournal.rest

    async def rest(journal: _MemoryJournal) -> list[Record]:
        tries.append(len(asked(bus)))
        if len(tries) < 5:
            raise DependencyError("the topic does not answer")
        return await read(journal)

    monkeypatch.setattr(_MemoryJournal, "rest", rest)
    put(bus, 1, 0.05)
    async with asker(bus, retry_backoff_max_ms=100) as host:
        await until(lambda: done(host) == 1)
    assert tries[:5] == [0] * 5
    assert len(asked(bus)) == 1
    assert bus.records("mail.dead") == []


async def test_what_a_batch_had_chosen_and_never_published_is_forgotten() -> None:
    """Its questions are not on the topic: when its decisions come again they are asked about, and cost the budget once."""
    bus = memory_bus(1)
    decision = put(bus, 1, 0.05)
    async with asker(bus) as host:
        await until(lambda: done(host) == 1)
        bus._logs["mail.review", 0].clear()  # as if it had been abandoned before it published
        bus.write(on("mail.classified", decision))
        await until(lambda: done(host) == 2)
        assert [one.decision_id for one in asked(bus)] == [decision.decision_id]
        assert sample(host, "mailweir_review_budget_left") == PLENTY["review_budget"] - 1
