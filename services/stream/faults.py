"""Whose fault it is when a stage raises: the machine's, a dependency's, or the record's."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mailweir.schemas.errors import DeliveryError, DependencyError, RecordError, SetupError, Unexpected

__all__ = ["common_fault", "dead_cause", "dependency", "where"]

# No file descriptor, process or memory left: every record would fail, and none is to blame.
_MACHINE = (OSError, MemoryError, SetupError)


def dependency(error: BaseException) -> DependencyError | None:
    """What is away, if the error says that something is; None if the record is to blame."""
    if isinstance(error, DependencyError):
        return error
    if isinstance(error, SetupError):
        return DependencyError(error.message)
    return DependencyError(f"this machine fails us: {where(error)}") if isinstance(error, _MACHINE) else None


def dead_cause(stage: str, error: BaseException) -> RecordError:
    """What is written into the dead letter of a record that makes `stage` raise."""
    return error if isinstance(error, RecordError) else Unexpected(f"{stage} raised {where(error)}")


def common_fault(stage: str, count: int, causes: Sequence[BaseException]) -> DeliveryError | None:
    """Each of `count` records, tried alone, fails for one and the same cause: then none of them is to blame."""
    places = {where(cause) for cause in causes}
    if not len(causes) == count > 1 or len(places) != 1:
        return None
    return DeliveryError(
        f"each of {count} records, tried alone, makes {stage} raise {places.pop()}: the cause is "
        "not the mail. Nothing was rejected; mend it and start the worker again, it resumes from the committed offset."
    )


def where(error: BaseException) -> str:
    """Type, system error and place of an exception, without its message: that may quote a mail."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
    system = f" ({os.strerror(error.errno)}, errno {error.errno})" if isinstance(error, OSError) and error.errno else ""
    return f"{type(error).__name__}{system}{place}"
