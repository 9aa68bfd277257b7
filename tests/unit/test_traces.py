"""Spans to a collector: which are recorded, what is dropped and counted, and how long anybody waits for it."""

from __future__ import annotations

import pytest
from collector import collecting
from command import mailweir
from factories import settings
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from mailweir.schemas.errors import SettingsError
from mailweir.schemas.headers import TraceParent
from mailweir.services.stream import traces_of
from mailweir.services.telemetry import Metrics, Span, otlp
from mailweir.services.telemetry.traces import MemoryTraces, Traces

HEX = st.text("0123456789abcdef", min_size=32, max_size=32)


def span(number: int, error: str = "") -> Span:
    context = TraceParent(f"{number + 1:032x}", f"{number + 1:016x}", sampled=True)
    return Span(f"span {number}", "internal", context, 1, 2, None, {"mailweir.stage": "test"}, (), error)


def counted(metrics: Metrics) -> dict[str, float]:
    """Spans by outcome."""
    outcomes = ("sent", "failed", "dropped")
    value = metrics.registry.get_sample_value
    return {one: value("mailweir_spans_total", {"outcome": one}) or 0.0 for one in outcomes}


@given(HEX, st.floats(0, 1))
def test_the_share_is_that_of_opentelemetry(trace: str, ratio: float) -> None:
    """By the lower half of the trace id: programs with its sampler and the same ratio record the same traces."""
    theirs = TraceIdRatioBased(ratio).should_sample(None, int(trace, 16), "any")
    assert MemoryTraces(ratio).samples(trace) == (theirs.decision is Decision.RECORD_AND_SAMPLE)


def test_who_began_a_trace_decides_for_all_of_it() -> None:
    """Whatever the ratio; and a worker that records nothing never says that it does."""
    yes, no = (TraceParent("ab" * 16, "cd" * 8, flag) for flag in (True, False))
    assert [MemoryTraces(0.0).recorded(yes, yes.trace), MemoryTraces(1.0).recorded(no, no.trace)] == [True, False]
    assert [Traces().recorded(yes, yes.trace), Traces().recorded(None, yes.trace)] == [False, False]


def test_ids_arrive_as_they_were_given() -> None:
    """A span and an error: the collector has the very ids, the code, and which process it was."""
    with collecting() as got:
        metrics = Metrics()
        traces = traces_of(settings(otlp_endpoint=got.url + "/", instance="w0"), metrics)
        traces.record(span(1))
        traces.record(span(2, "not_a_mail"))
        traces.close()
    assert [(one.ids, one.failed, one.attributes.get("error.type")) for one in got.spans] == [
        ((f"{2:032x}", f"{2:016x}"), False, None),
        ((f"{3:032x}", f"{3:016x}"), True, "not_a_mail"),
    ]
    assert {one.resource["service.instance.id"] for one in got.spans} == {"mailweir-w0"}
    assert counted(metrics) == {"sent": 2, "failed": 0, "dropped": 0}


def test_what_finds_no_room_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that hangs: no more than the queue waits, and the end of the worker waits for no answer."""
    monkeypatch.setattr(otlp, "_QUEUE", 10)
    monkeypatch.setattr(otlp, "_REQUEST", 5)
    monkeypatch.setattr(otlp, "_CLOSE_S", 0.2)
    with collecting() as got:
        got.held.clear()
        metrics = Metrics()
        traces = traces_of(settings(otlp_endpoint=got.url), metrics)
        for number in range(25):
            traces.record(span(number))
        assert counted(metrics)["dropped"] == 15
        traces.close()
        assert got.asked.is_set()
        assert got.spans == []  # nobody let it answer
    assert counted(metrics)["dropped"] == 25


def test_after_the_last_moment_nothing_is_sent() -> None:
    """What waits then has failed, without a request that would hold up the end."""
    with collecting() as got:
        metrics = Metrics()
        traces = traces_of(settings(otlp_endpoint=got.url), metrics)
        assert isinstance(traces, otlp.OtlpTraces)
        traces.record(span(1))
        traces._exporter.close_by(0.0)
        traces._processor.force_flush()
        assert counted(metrics) == {"sent": 0, "failed": 1, "dropped": 0}
        assert not got.asked.is_set()
        traces.close()


@pytest.mark.parametrize("text", ["sesame", "=sesame", "authorization=", "a=b,sesame"])
def test_headers_that_are_none_are_refused_and_not_repeated(text: str) -> None:
    """They are a secret: the message says how to write them."""
    with pytest.raises(SettingsError, match="write name=value") as caught:
        traces_of(settings(otlp_endpoint="http://127.0.0.1:4318", otlp_headers=text), Metrics())
    assert "sesame" not in caught.value.message


def test_the_headers_for_the_collector_are_a_secret() -> None:
    """Stars in the list of settings; an address with a password in it is refused, and the message does not repeat it."""
    told = mailweir("settings", "--json", otlp_endpoint="http://127.0.0.1:4318", otlp_headers="authorization=sesame")
    rows = {row["name"]: row for row in told.rows()}
    assert rows["otlp_headers"]["secret"]
    assert set(rows["otlp_headers"]["value"]) == {"*"}
    assert "sesame" not in told.out
    wrong = mailweir("settings", otlp_endpoint="https://ann:sesame@collector.example")
    assert (wrong.code, "MAILWEIR_OTLP_ENDPOINT" in wrong.err, "sesame" in wrong.err) == (2, True, False)
