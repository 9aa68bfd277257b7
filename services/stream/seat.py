"""A place in the group under a name of its own: noticing that another process takes it again and again."""

from __future__ import annotations

from collections import deque

from aiokafka.errors import BrokerResponseError, kafka_errors

from mailweir.schemas.errors import DeliveryError

__all__ = ["FencedInstanceId", "Seat"]

# A worker that was paused longer than its session loses its place once. Two processes of one name take it from each other
# with every heartbeat: several times in this window.
_TIMES = 5
_WINDOW_SECONDS = 60.0
_WINDOW_HEARTBEATS = 15


class FencedInstanceId(BrokerResponseError):  # type: ignore[misc]  # aiokafka has no types
    """The broker's error 82, which aiokafka does not know: another process of our name joined in this moment."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


kafka_errors.setdefault(FencedInstanceId.errno, FencedInstanceId)


class Seat:
    """Our place in `group` as static member `instance`; without a name it cannot be taken. Pure: the caller brings the clock."""

    def __init__(self, group: str, instance: str, heartbeat_s: float) -> None:
        self._group = group
        self._instance = instance
        self._window_s = max(_WINDOW_SECONDS, _WINDOW_HEARTBEATS * heartbeat_s)
        self._member = ""
        self._lost: deque[float] = deque(maxlen=_TIMES)

    def taken(self, member: str, now: float) -> None:
        """We joined and are `member` now; another id than before means that our place was gone."""
        if self._member and member != self._member:
            self._lost.append(now)
        self._member = member

    def check(self, now: float) -> None:
        """Raise DeliveryError if somebody else sits on our place."""
        if self._instance and len(self._lost) == _TIMES and now - self._lost[0] < self._window_s:
            raise self.shared()

    def fenced(self, error: BaseException) -> bool:
        """Whether a client's error says that another process has just taken our place."""
        return bool(self._instance) and FencedInstanceId.__name__ in f"{type(error).__name__} {error}"

    def shared(self) -> DeliveryError:
        """The error for it."""
        return DeliveryError(
            f"another worker of group {self._group} runs as MAILWEIR_INSTANCE={self._instance}, and each takes the partitions "
            "from the other: give every worker a name of its own, or none.",
            group=self._group,
            instance=self._instance,
        )
