"""Spans as the agents see them: finished facts that are handed over, and what becomes of them. Knows no OpenTelemetry.

A span's ids are on Kafka before the span is over, and a mail that comes again has the same ones: so no tracer makes them up,
they follow from trace, stage and subject (`child_traceparent`). What was handed over is `services/telemetry/otlp.py`'s to send.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mailweir.schemas.errors import SetupError
from mailweir.schemas.headers import TraceParent, child_traceparent
from mailweir.services.telemetry.metrics import Metrics

__all__ = ["Collector", "Kind", "MemoryTraces", "Span", "Traces", "open_traces", "own_context"]

Kind = Literal["consumer", "producer", "client", "internal"]
Value = str | int | float | bool

_LOW_BITS = 2**64


@dataclass(frozen=True, slots=True)
class Span:
    """Something that is over. Nothing in it may come from a mail's text, addresses or file names."""

    name: str
    kind: Kind
    context: TraceParent
    begun_ns: int  # since 1970
    ended_ns: int
    parent: TraceParent | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[TraceParent, ...] = ()
    error: str = ""  # code of ours; empty where it went well


class Traces:
    """Where no spans are wanted: none is recorded, and a context goes on as it came."""

    on = False

    def samples(self, trace: str) -> bool:  # noqa: ARG002 - the others look at it
        """Whether a trace that begins here is recorded."""
        return False

    def recorded(self, parent: TraceParent | None, trace: str) -> bool:
        """Whether a span is: who began its trace has decided, for all of it."""
        return self.on and (parent.sampled if parent else self.samples(trace))

    def context(self, parent: TraceParent | None, trace: str, stage: str, subject: str) -> TraceParent:
        """The context of what `stage` makes of `subject`: of its own span, or the one that came where it records none."""
        if self.recorded(parent, trace):
            return child_traceparent(trace, stage, subject, sampled=True)
        return parent or child_traceparent(trace, stage, subject)

    def record(self, span: Span) -> None:
        """Take a span over. Never waits, never raises."""

    def close(self) -> None:
        """Send what waits, for a few seconds at most. Blocking."""


class SampledTraces(Traces):
    """Spans of a share of the traces: those with the lowest ids, as OpenTelemetry's TraceIdRatioBased has it.

    So a mail that comes again, in whatever worker, is recorded again or never.
    """

    on = True

    def __init__(self, ratio: float = 1.0) -> None:
        self._bound = round(ratio * _LOW_BITS)

    def samples(self, trace: str) -> bool:
        """By the lower half of the trace id."""
        return int(trace[16:], 16) < self._bound


class MemoryTraces(SampledTraces):
    """Keeps all spans, open to assertions."""

    def __init__(self, ratio: float = 1.0) -> None:
        super().__init__(ratio)
        self.spans: list[Span] = []

    def record(self, span: Span) -> None:
        """Keep it."""
        self.spans.append(span)


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go, and who sends them."""

    endpoint: str  # base URL; empty: nowhere
    headers: str  # name=value, comma-separated: a secret
    ratio: float
    resource: Mapping[str, str]  # attributes of the process


def own_context(trace: str = "") -> TraceParent:
    """The context of a recorded span that no record carries: its id may be any. Without a `trace` it begins one."""
    return TraceParent(trace or os.urandom(16).hex(), os.urandom(8).hex(), sampled=True)


def open_traces(collector: Collector, metrics: Metrics) -> Traces:
    """What a process gives its spans to.

    Raises:
        SetupError: there is an endpoint, and the packages that send to it are not installed.
        SettingsError: the headers are none.
    """
    if not collector.endpoint:
        return Traces()
    try:
        from mailweir.services.telemetry.otlp import OtlpTraces
    except ImportError as error:
        raise SetupError(
            f"MAILWEIR_OTLP_ENDPOINT needs a package ({error}): pip install 'mailweir[otlp]', or unset it"
        ) from error
    return OtlpTraces(collector, metrics)
