"""The pure parts of delivery: when a batch closes, what counts as a hole, when the breaker trips."""

from __future__ import annotations

import logging

import pytest
from aiokafka.errors import KafkaError, for_code
from hypothesis import given
from hypothesis import strategies as st

from mailweir.schemas.errors import DeliveryError, MalformedJson, RejectRatioExceeded
from mailweir.schemas.events import DeadLetter, Email
from mailweir.schemas.topics import PARSED
from mailweir.services.stream import BatchLimits, Outgoing, Record
from mailweir.services.stream.breaker import RejectBreaker
from mailweir.services.stream.gather import Gatherer
from mailweir.services.stream.letters import Writer
from mailweir.services.stream.producer import waves
from mailweir.services.stream.seat import Seat
from mailweir.services.stream.sequence import Gap, Sequence
from mailweir.services.telemetry.logs import _Calm
from mailweir.services.telemetry.traces import MemoryTraces

PLACE = ("mail.raw", 0)


def record(offset: int, size: int = 10, key: bytes | None = b"sales") -> Record:
    """A record of `size` bytes."""
    return Record("mail.raw", 0, offset, key, b"x" * size, (), 1_772_000_000_000)


def gatherer(mails: int = 4, tokens: int = 1_000, wait_ms: int = 50, size: int = 1_000_000) -> Gatherer:
    """One that counts bytes as tokens."""
    return Gatherer(BatchLimits(mails, tokens, wait_ms, size), lambda r: len(r.value))


def test_a_batch_closes_at_its_count_before_its_time() -> None:
    """Four mails are a batch at once, three wait for company."""
    waiting = gatherer()
    waiting.add([record(n) for n in range(3)], now=0.0)
    assert waiting.close(0.0) is None
    assert waiting.wait_ms(0.02) == 30
    waiting.add([record(3)], now=0.03)
    assert [r.offset for r in waiting.close(0.03) or []] == [0, 1, 2, 3]


def test_a_batch_closes_when_its_oldest_mail_has_waited_long_enough() -> None:
    """The age counts from the first mail, not from the last."""
    waiting = gatherer()
    waiting.add([record(0)], now=0.0)
    waiting.add([record(1)], now=0.04)
    assert waiting.close(0.049) is None
    assert len(waiting.close(0.051) or []) == 2


@pytest.mark.parametrize("limit", [{"tokens": 25}, {"size": 25}])
def test_a_batch_closes_at_its_token_and_byte_budget(limit: dict[str, int]) -> None:
    """What would go over the budget begins the next batch; one mail that is over it alone is a batch of one."""
    waiting = gatherer(mails=10, **limit)
    waiting.add([record(0), record(1), record(2), record(3, size=99), record(4)], now=0.0)
    closed = [[r.offset for r in waiting.close(0.0) or []] for _ in range(3)]
    assert closed == [[0, 1], [2], [3]]
    assert waiting.close(0.0) is None


@given(st.lists(st.integers(0, 60), max_size=60), st.integers(1, 8), st.integers(1, 80), st.integers(1, 80))
def test_gathering_neither_loses_nor_reorders(sizes: list[int], mails: int, tokens: int, size: int) -> None:
    """Whatever the sizes and limits, the batches together are the records in order, and no batch breaks a limit."""
    waiting = gatherer(mails, tokens, 0, size)
    waiting.add([record(n, s) for n, s in enumerate(sizes)], now=0.0)
    batches = []
    while batch := waiting.close(1.0):
        batches.append(batch)
    assert [r.offset for batch in batches for r in batch] == list(range(len(sizes)))
    assert all(len(batch) <= mails for batch in batches)
    total = min(tokens, size)
    assert all(len(batch) == 1 or sum(len(r.value) for r in batch) <= total for batch in batches)


def test_a_gap_is_told_and_then_expected_behind_it() -> None:
    """The first record must be the committed one; a jump names what is missing; going back is a negative gap."""
    sequence = Sequence()
    assert not sequence.knows(PLACE)
    sequence.begin(PLACE, 5)
    assert sequence.advance(record(5)) is None
    assert sequence.advance(record(9)) == Gap(PLACE, expected=6, found=9)
    assert sequence.advance(record(10)) is None
    back = sequence.advance(record(3))
    assert back
    assert back.missing == -8


def test_the_breaker_forgives_few_and_counts_only_its_window() -> None:
    """Eighty-nine of ninety-nine say nothing yet; later successes push old rejects out of the window."""
    breaker = RejectBreaker("ingest", window=200, ratio_max=0.5)
    breaker.count([None] * 10 + ["empty"] * 89)
    breaker.count([None] * 150)
    breaker.count(["empty"] * 40)
    with pytest.raises(
        RejectRatioExceeded, match="reject 130 of the 200 latest records, 90 of them as not_a_mail"
    ) as caught:
        breaker.count(["not_a_mail"] * 90)
    assert caught.value.detail == {"stage": "ingest", "rejected": 130, "seen": 200, "code": "not_a_mail"}


def test_the_breaker_stops_before_a_first_batch_of_rejects_is_published() -> None:
    """A worker that is started again and again must not reject a batch each time; a few bad mails at the start stop nobody."""
    RejectBreaker("ingest", window=500, ratio_max=0.5).count(["empty"] * 19)
    RejectBreaker("ingest", window=500, ratio_max=0.5).count(["empty"] * 17 + [None] * 3)
    RejectBreaker("ingest", window=500, ratio_max=1).count(["empty"] * 64)
    with pytest.raises(RejectRatioExceeded, match="64 of them as too_large"):
        RejectBreaker("ingest", window=500, ratio_max=0.5).count(["too_large"] * 64)


def test_a_dead_letter_of_a_dead_letter_names_the_last_cause_only() -> None:
    """A redriven record that fails again carries one cause, and its own headers stay."""
    writer = Writer("ingest", "mail")
    first = writer.dead_letter(record(7), MalformedJson("once"), 1)
    again = Record("mail.raw", 0, 8, first.key, first.value, (("x-own", b"1"), *first.headers), 0)
    second = writer.dead_letter(again, MalformedJson("twice"), 1)
    assert DeadLetter.from_headers(second.headers).message == "twice"
    assert len(second.headers) == len(first.headers) + 1


def test_a_result_continues_the_trace_it_came_with() -> None:
    """The trace id stays, a span that is recorded is new; a mail without a trace gets one that follows from its id."""
    writer = Writer("ingest", "mail", MemoryTraces())
    email = Email(email_id="ab" * 32, mailbox="sales")
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    traced = Record("mail.raw", 0, 1, None, b"x", (("traceparent", parent),), 0)
    spans = [dict(writer.result(r, PARSED, email, 1).headers)["traceparent"] for r in (traced, record(1))]
    assert spans[0].startswith(b"00-0af7651916cd43dd8448eb211c80319c-")
    assert parent not in spans
    assert spans[1].startswith(b"00-" + b"ab" * 16)
    assert writer.result(record(1), PARSED, email, 2).headers[-1] == ("traceparent", spans[1])


def test_a_stage_that_records_nothing_hands_the_context_on() -> None:
    """As the standard asks: a span that is nowhere would be a hole in somebody's trace. One made up says that it is none."""
    writer, email = Writer("ingest", "mail"), Email(email_id="ab" * 32, mailbox="sales")
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    traced = Record("mail.raw", 0, 1, None, b"x", (("traceparent", parent),), 0)
    spans = [dict(writer.result(r, PARSED, email, 1).headers)["traceparent"] for r in (traced, record(1))]
    assert spans[0] == parent
    assert spans[1].endswith(b"-00")


def test_a_client_that_repeats_itself_is_held_back_and_counted() -> None:
    """One line of aiokafka in ten seconds, with the number of those not shown; other lines pass."""
    calm = _Calm()

    def line(at: float, name: str = "aiokafka.conn") -> logging.LogRecord:
        made = logging.LogRecord(name, logging.ERROR, "conn.py", 5, "broker %s away", (1,), None)
        made.created = at
        return made

    assert [calm.filter(line(t)) for t in (100.0, 100.1, 105.0)] == [True, False, False]
    late = line(111.0)
    assert calm.filter(late)
    assert late.getMessage() == "broker 1 away (and 2 more like it)"
    assert all(calm.filter(line(100.0, "mailweir.x")) for _ in range(3))


def test_a_group_that_is_new_is_no_error_unless_it_stays_so() -> None:
    """The first join on a fresh cluster asks once too early; a coordinator that is away for ten seconds is told."""
    calm = _Calm()

    def line(at: float) -> logging.LogRecord:
        text = "Group Coordinator Request failed: %s"
        made = logging.LogRecord("aiokafka.x", logging.ERROR, "g.py", 5, text, ("[Error 15] Group",), None)
        made.created = at
        return made

    assert [calm.filter(line(t)) for t in (100.0, 100.1, 109.0, 111.0)] == [False, False, False, True]


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 60))
def test_waves_keep_order_and_limit(sizes: list[int], limit: int) -> None:
    """Nothing is lost, nothing overtakes, and only a record that is too large alone goes over the limit."""
    records = [Outgoing("t", None, b"x" * size) for size in sizes]
    found = list(waves(records, limit))
    assert [record for wave in found for record in wave] == records
    assert all(len(wave) == 1 or sum(record.size for record in wave) <= limit for wave in found)


def test_a_place_that_is_taken_again_and_again_has_two_workers() -> None:
    """Five new member ids within the window are another process of our name; rarer ones are long pauses, without a name they are nothing."""
    seat = Seat("g", "w-0", 3.0)
    for number, now in enumerate((0.0, 0.0, 100.0, 200.0, 300.0, 320.0, 340.0)):
        seat.taken(f"member-{number}", now)
        seat.check(now)
    seat.taken("member-6", 340.0)  # a rebalance that leaves us our place
    seat.taken("member-7", 345.0)
    seat.check(345.0)
    seat.taken("member-8", 350.0)
    with pytest.raises(DeliveryError, match="MAILWEIR_INSTANCE=w-0"):
        seat.check(350.0)
    nameless = Seat("g", "", 3.0)
    for number in range(20):
        nameless.taken(f"member-{number}", 0.0)
        nameless.check(0.0)


def test_the_brokers_error_82_is_known_as_a_shared_name() -> None:
    """The client has no class for it and would pass it on as an unknown error."""
    seat = Seat("g", "w-0", 3.0)
    assert seat.fenced(for_code(82)())
    assert seat.fenced(KafkaError(repr(for_code(82)())))
    assert not seat.fenced(KafkaError("UnknownError()"))
