"""Spans to a collector, by OTLP over HTTP. The one module that knows OpenTelemetry, and imported only where spans are wanted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from urllib.parse import unquote

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from mailweir.schemas.errors import SettingsError
from mailweir.schemas.headers import TraceParent
from mailweir.services.telemetry.logs import logger
from mailweir.services.telemetry.metrics import Metrics
from mailweir.services.telemetry.traces import Collector, SampledTraces, Span

__all__ = ["OtlpTraces"]

log = logger(__name__)

_QUEUE = 4_096  # spans in memory, about 8 MB: some ten seconds of a worker that records every mail
_REQUEST = 512  # spans
_PAUSE_MS = 1_000.0  # from one request to the next, unless as many wait
_TIMEOUT_S = 5.0  # of a request, with all that the exporter tries again
_CLOSE_S = 3.0  # a worker that stops waits for its spans so long
_LINKS = 10_000  # a batch has fewer mails
_KINDS = {
    "consumer": SpanKind.CONSUMER,
    "producer": SpanKind.PRODUCER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}


class OtlpTraces(SampledTraces):
    """A bounded queue, and a thread that sends it. What finds no room, or no collector, is counted and gone."""

    def __init__(self, collector: Collector, metrics: Metrics) -> None:
        super().__init__(collector.ratio)
        self._ids = _Given()
        self._exporter = _Exporter(collector, metrics)
        self._processor = BatchSpanProcessor(self._exporter, _QUEUE, _PAUSE_MS, _REQUEST)
        provider = TracerProvider(
            ALWAYS_ON,  # who hands a span over has decided
            Resource.create(dict(collector.resource)),
            shutdown_on_exit=False,
            id_generator=self._ids,
            span_limits=SpanLimits(max_links=_LINKS),
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("mailweir")
        self._dropped = metrics.spans.labels("dropped")
        self._handed = 0

    def record(self, span: Span) -> None:
        """Queue it, or drop it where the queue is full. Call it from one thread."""
        if self._handed - self._exporter.taken >= _QUEUE:
            self._dropped.inc()
            return
        self._handed += 1
        self._ids.now = span.context
        made = self._tracer.start_span(
            span.name,
            set_span_in_context(NonRecordingSpan(_context(span.parent))) if span.parent else Context(),
            _KINDS[span.kind],
            {**span.attributes, **({"error.type": span.error} if span.error else {})},
            [Link(_context(link)) for link in span.links],
            span.begun_ns,
        )
        if span.error:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(span.ended_ns)

    def close(self) -> None:
        """Send what waits. A collector that does not answer is left; a daemon thread holds up no exit."""
        self._exporter.close_by(time.monotonic() + _CLOSE_S)
        flushing = threading.Thread(target=self._processor.shutdown, daemon=True)
        flushing.start()
        flushing.join(_CLOSE_S)
        if flushing.is_alive():
            self._exporter.shutdown()
        left = self._handed - self._exporter.taken
        self._dropped.inc(left)


class _Given(IdGenerator):
    """The ids that are on Kafka already."""

    now = TraceParent("", "")

    def generate_span_id(self) -> int:
        return int(self.now.span, 16)

    def generate_trace_id(self) -> int:
        return int(self.now.trace, 16)


class _Exporter(SpanExporter):
    """OpenTelemetry's, counted: it says nothing to Prometheus, and to the log the same line again and again."""

    def __init__(self, collector: Collector, metrics: Metrics) -> None:
        url = f"{collector.endpoint.rstrip('/')}/v1/traces"
        headers = _headers(collector.headers)
        self._otlp = OTLPSpanExporter(url, headers=headers, timeout=_TIMEOUT_S, compression=Compression.Gzip)
        self._endpoint = collector.endpoint
        self._metrics = metrics
        self._cause = _Cause()
        self._good = True
        self._until = float("inf")
        self._closed = False
        self.taken = 0  # spans that wait no longer

    def close_by(self, moment: float) -> None:
        """Send nothing after this monotonic time."""
        self._until = moment

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        late = time.monotonic() >= self._until
        result = SpanExportResult.FAILURE if late else self._otlp.export(spans)
        good = result is SpanExportResult.SUCCESS
        self._metrics.spans.labels("sent" if good else "failed").inc(len(spans))
        self.taken += len(spans)
        self._say(good=good)
        return result

    def _say(self, *, good: bool) -> None:
        if good and not self._good:
            log.info("spans_sent_again", endpoint=self._endpoint)
        elif self._good and not good:
            log.warning(
                "spans_not_sent",
                endpoint=self._endpoint,
                cause=self._cause.said,
                hint="mail goes on without; mailweir_spans_total counts them",
            )
        self._good = good

    def shutdown(self) -> None:
        if not self._closed:  # a queue that was left comes here again
            self._closed = True
            self._otlp.shutdown()  # type: ignore[no-untyped-call]
            self._cause.close()


class _Cause(logging.Handler):
    """The exporter's last words on a failure: it returns none."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = "no answer in time"
        self._logger = logging.getLogger(OTLPSpanExporter.__module__)
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.said = record.getMessage()

    def close(self) -> None:
        self._logger.removeHandler(self)
        super().close()


def _context(parent: TraceParent) -> SpanContext:
    return SpanContext(int(parent.trace, 16), int(parent.span, 16), is_remote=True, trace_flags=TraceFlags(1))


def _headers(text: str) -> dict[str, str]:
    """As OTEL_EXPORTER_OTLP_HEADERS has them. OpenTelemetry's own reader would log what it does not understand, a secret.

    Raises:
        SettingsError: one has no name or no value.
    """
    found = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if any(not name.strip() or not value.strip() for name, _, value in found):
        raise SettingsError(
            "MAILWEIR_OTLP_HEADERS: write name=value, several with commas between, %2C for a comma in one"
        )
    return {unquote(name.strip()): unquote(value.strip()) for name, _, value in found}
