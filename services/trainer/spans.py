"""Spans of a training run: one for each try, in the trace of the request, with its phases; it links the shards it learns from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mailweir.schemas.errors import MailweirError
from mailweir.schemas.events import RetrainFinished, RetrainRequested
from mailweir.schemas.ids import trace_id
from mailweir.services.runs.contexts import end_context, request_context, shard_contexts
from mailweir.services.telemetry import Span, Traces, own_context
from mailweir.services.trainer.progress import Phase, Progress

__all__ = ["RunSpans", "process_span", "traced"]

Ended = Callable[[RetrainFinished], None]


@dataclass(slots=True)
class RunSpans:
    """Of one try, in the process that carries it out. A run comes once a day: its spans are recorded whatever the ratio."""

    request: RetrainRequested
    begun_ns: int = field(default_factory=time.time_ns)
    phases: list[tuple[Phase, int]] = field(default_factory=list)  # and when each began

    def tell(self, progress: Progress) -> None:
        """Take note of a phase that begins."""
        if not self.phases or self.phases[-1][0] != progress.phase:
            self.phases.append((progress.phase, time.time_ns()))

    def of(self, end: RetrainFinished | None, error: str) -> list[Span]:
        """The spans, once it is over. The one of a try that came to an end is what the end's record carries."""
        now, run_id = time.time_ns(), self.request.run_id
        context = end_context(run_id, sampled=True) if end else own_context(trace_id(run_id))
        fields = {"mailweir.run_id": run_id} | ({"mailweir.outcome": end.outcome} if end else {})
        if end and end.candidate:
            fields |= {"mailweir.model.name": end.candidate.name, "mailweir.model.version": end.candidate.version}
        parent, links = request_context(run_id, sampled=True), shard_contexts(self.request)
        run = Span("run", "internal", context, self.begun_ns, now, parent, fields, links, error)
        ends = [*(began for _, began in self.phases[1:]), now]
        below = {"mailweir.run_id": run_id}
        return [run] + [
            Span(phase, "internal", own_context(trace_id(run_id)), began, ended, context, below)
            for (phase, began), ended in zip(self.phases, ends, strict=True)
        ]


@contextmanager
def traced(traces: Traces, request: RetrainRequested) -> Iterator[tuple[RunSpans, Ended]]:
    """A try: what it tells goes to the spans, and so does its end; without one it failed. Sends them before it leaves."""
    spans, ends, error = RunSpans(request), list[RetrainFinished](), "interrupted"
    try:
        yield spans, ends.append
        error = "run_failed" if ends and ends[-1].outcome == "failed" else ""
    except MailweirError as raised:
        error = raised.code
        raise
    finally:
        for span in spans.of(ends[-1] if ends else None, error) if traces.on else ():
            traces.record(span)
        traces.close()


def process_span(request: RetrainRequested, begun_ns: int, pid: int, code: int, error: str) -> Span:
    """A process of a run as its worker saw it: one that was killed tells nothing itself."""
    return Span(
        "run_process",
        "internal",
        own_context(trace_id(request.run_id)),
        begun_ns,
        time.time_ns(),
        request_context(request.run_id, sampled=True),
        {"mailweir.run_id": request.run_id, "process.pid": pid, "process.exit.code": code},
        shard_contexts(request),
        error,
    )
