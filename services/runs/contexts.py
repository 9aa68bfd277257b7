"""Traces of the loop: a shard and a run have one each, which follows from their id, so that nobody needs to look it up."""

from __future__ import annotations

from mailweir.schemas.events import RetrainRequested
from mailweir.schemas.headers import TraceParent, child_traceparent
from mailweir.schemas.ids import digest, trace_id

__all__ = ["end_context", "request_context", "run_log_context", "shard_context", "shard_contexts", "shard_log_context"]


def shard_context(shard_id: str, *, sampled: bool) -> TraceParent:
    """Of the announcement of a shard."""
    return child_traceparent(trace_id(digest("shard", shard_id)), "feedback", shard_id, sampled=sampled)


def shard_contexts(request: RetrainRequested) -> tuple[TraceParent, ...]:
    """Of the shards that a run learns from: what its spans link."""
    return tuple(shard_context(shard.shard_id, sampled=True) for shard in request.shards)


def request_context(run_id: str, *, sampled: bool) -> TraceParent:
    """Of the request for a run, the first of its trace."""
    return child_traceparent(trace_id(run_id), "retrain", run_id, sampled=sampled)


def end_context(run_id: str, *, sampled: bool) -> TraceParent:
    """Of the try of a run that came to its end."""
    return child_traceparent(trace_id(run_id), "trainer", f"{run_id}:finished", sampled=sampled)


def shard_log_context(shard_id: str) -> dict[str, str]:
    """Fields that say which shard a log line is about."""
    return {"shard_id": shard_id, "trace_id": shard_context(shard_id, sampled=False).trace}


def run_log_context(run_id: str) -> dict[str, str]:
    """Fields that say which run a log line is about."""
    return {"run_id": run_id, "trace_id": trace_id(run_id)}
