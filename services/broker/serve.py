"""A cluster in the foreground: what `mailweir kafka up` does."""

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

import orjson

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker.cluster import KafkaCluster

_POLL_S = 0.5
_NODE_DIED = 1
_SET_UP_ERROR = 2


def serve(cluster: KafkaCluster, say: Callable[[str], None] | None = None) -> int:
    """Run the cluster until Ctrl-C or SIGTERM; print one JSON line on standard output when it is ready.

    Returns the exit status: 0 after a signal, 1 when a node died by itself, 2 when the cluster could not start. Everything for
    people goes through `say` (default: standard error). Must be called from the main thread, which handles signals.
    """
    tell = say or _to_standard_error
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return _serve(cluster, tell)
    except KeyboardInterrupt:
        return 0
    except KafkaSetupError as error:
        tell(error.message)
        return _SET_UP_ERROR


def _serve(cluster: KafkaCluster, tell: Callable[[str], None]) -> int:
    began = time.monotonic()
    with cluster:
        _announce(cluster, time.monotonic() - began)
        while not (dead := cluster.dead()):
            time.sleep(_POLL_S)
        tell(f"Kafka node {dead[0]} {cluster.why(dead[0])}")
    return _NODE_DIED


def _announce(cluster: KafkaCluster, seconds: float) -> None:
    ready: dict[str, object] = {
        "bootstrap": cluster.bootstrap,
        "nodes": cluster.nodes,
        "dir": str(cluster.path),
        "seconds": round(seconds, 2),
        "pids": cluster.pids,
    }
    if cluster.secure:
        ready |= {
            "security_protocol": "SASL_SSL",
            "mechanism": cluster.access().mechanism,
            "cafile": str(cluster.access().cafile),
            "users": str(cluster.users_file),
        }
    sys.stdout.write(orjson.dumps(ready).decode() + "\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End the wait wherever it is; a second signal must not cut the orderly stop short."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _to_standard_error(message: str) -> None:
    sys.stderr.write(f"{message}\n")
