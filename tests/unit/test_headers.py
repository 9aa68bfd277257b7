"""Headers: CloudEvents in binary mode and W3C trace context."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.schemas.events import Decision
from mailweir.schemas.headers import (
    TraceParent,
    child_traceparent,
    event_headers,
    header,
    traceparent_of,
)
from mailweir.schemas.ids import trace_id

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def trace_of(headers: list[tuple[str, bytes | None]]) -> str | None:
    found = traceparent_of(headers)
    return found.trace if found else None


def test_an_event_carries_its_cloudevents_attributes() -> None:
    """All required attributes, the version in the type, the time in UTC, and the trace."""
    decision = Decision.decode((GOLDEN / "decision.json").read_bytes())
    at = datetime(2026, 3, 2, 12, 14, 0, 120_900, tzinfo=timezone(timedelta(hours=3)))
    assert event_headers(decision, "classify", PARENT, at) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", decision.decision_id.encode()),
        ("ce_type", b"mailweir.decision.v1"),
        ("ce_source", b"/mailweir/classify"),
        ("ce_time", b"2026-03-02T09:14:00.120Z"),
        ("content-type", b"application/json"),
        ("traceparent", PARENT.encode()),
    ]


def test_time_of_an_event_is_now_unless_told() -> None:
    """The attribute is the time of writing."""
    decision = Decision.decode((GOLDEN / "decision.json").read_bytes())
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    written = header(event_headers(decision, "classify", PARENT), "ce_time")
    assert before <= datetime.fromisoformat(written or "") <= datetime.now(UTC)


def test_a_header_is_found_whatever_its_case_and_the_last_one_counts() -> None:
    """Kafka keeps repeats; a missing header or one without a value is none."""
    headers = [("Content-Type", b"text/plain"), ("content-type", b"message/rfc822"), ("x", None), ("y", b"\xff")]
    assert header(headers, "content-type") == "message/rfc822"
    assert (header(headers, "x"), header(headers, "z")) == (None, None)
    assert header(headers, "y") == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("value", "trace"),
    [
        (PARENT, TRACE),
        (f"00-{TRACE}-{SPAN}-00", TRACE),
        (f"01-{TRACE}-{SPAN}-01", TRACE),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", TRACE),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (PARENT.upper(), None),
        (PARENT + "\n", None),
        (f"00-{TRACE[:-1]}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f" {PARENT}", None),
        ("", None),
        ("garbage", None),
    ],
)
def test_only_a_valid_traceparent_has_a_trace(value: str, trace: str | None) -> None:
    """By the rules of the standard: lower-case hex, no zero ids, not version ff, later versions may be longer."""
    assert trace_of([("traceparent", value.encode())]) == trace


def test_a_record_without_traceparent_has_no_trace() -> None:
    """Nothing is made up here; the stage that needs a trace makes one from the mail's id."""
    assert trace_of([]) is None
    assert trace_of([("traceparent", None)]) is None


@given(
    st.text("0123456789abcdef", min_size=64, max_size=64).filter(lambda text: set(text[:32]) != {"0"}),
    st.text(max_size=9),
)
def test_a_child_keeps_the_trace_and_a_repeat_is_the_same_span(email: str, stage: str) -> None:
    """What a stage makes of a mail stays in its trace, also in a trace made from the id; repeats join their first try."""
    made = child_traceparent(trace_id(email), stage, email)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", str(made))
    assert trace_of([("traceparent", str(made).encode())]) == email[:32]
    assert made == child_traceparent(trace_id(email), stage, email)
    assert made != child_traceparent(trace_id(email), stage + "2", email)


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
def test_the_lowest_flag_says_whether_a_trace_is_recorded(flags: str, sampled: bool) -> None:  # noqa: FBT001
    """The other flags are of later levels of the standard and change nothing; what we write says the same."""
    [name, trace, span] = ["traceparent", TRACE, SPAN]
    found = traceparent_of([(name, f"00-{trace}-{span}-{flags}".encode())])
    assert found == TraceParent(trace, span, sampled)
    assert traceparent_of([(name, str(found).encode())]) == found


def test_golden_raw_mail_headers_are_understood() -> None:
    """What a producer of version 1 sends: content type and trace."""
    stored = json.loads((GOLDEN / "raw-mail.headers.json").read_text())
    headers = [(name, value.encode()) for name, value in stored["headers"]]
    assert header(headers, "content-type") == "message/rfc822"
    assert trace_of(headers) == TRACE
