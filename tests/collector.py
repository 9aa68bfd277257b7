"""An OpenTelemetry collector in this process: takes spans by OTLP over HTTP on loopback and keeps them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = ("", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True)
class Got:
    """A span as it came."""

    name: str
    kind: str
    trace: str
    span: str
    parent: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]  # trace and span
    failed: bool
    resource: dict[str, Any]

    @property
    def ids(self) -> tuple[str, str]:
        """Trace and span."""
        return self.trace, self.span

    @property
    def stage(self) -> str:
        """The agent that made it."""
        return str(self.attributes.get("mailweir.stage", ""))


@dataclass
class Collector:
    """What came; `held` is cleared to let a request wait, `status` is what it answers."""

    url: str = ""
    status: int = 200
    spans: list[Got] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # as they were before compression
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)  # a request has begun
    held: threading.Event = field(default_factory=threading.Event)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """One request; the status of its answer."""
        self.asked.set()
        self.held.wait(300)
        plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        self.headers.append({"path": path, **headers})
        self.bodies.append(plain)
        if self.status == 200:
            self.spans += _spans(ExportTraceServiceRequest.FromString(plain))
        return self.status

    def of(self, stage: str, name: str) -> list[Got]:
        """Spans of a stage whose name begins so."""
        return [span for span in self.spans if span.stage == stage and span.name.startswith(name)]


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _spans(request: Any) -> Iterator[Got]:
    for group in request.resource_spans:
        resource = {one.key: _value(one.value) for one in group.resource.attributes}
        for scope in group.scope_spans:
            for one in scope.spans:
                assert one.end_time_unix_nano >= one.start_time_unix_nano > 0
                yield Got(
                    one.name,
                    KINDS[one.kind],
                    one.trace_id.hex(),
                    one.span_id.hex(),
                    one.parent_span_id.hex(),
                    {each.key: _value(each.value) for each in one.attributes},
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in one.links),
                    one.status.code == 2,
                    resource,
                )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port, from start to stop."""
    collector = Collector()
    collector.held.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(collector.take(self.path, dict(self.headers), body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return  # who asked did not wait for the answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
