"""Times as people write them on the command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import utc_now

__all__ = ["moment"]

_AGO = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, option: str) -> datetime:
    """A date or time (RFC 3339; without a zone the local one), or how long ago: 90m, 2h, 7d.

    Raises:
        InputError: it is neither; the message names the `option`.
    """
    if ago := _AGO.fullmatch(text.strip()):
        return utc_now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        message = f"{option} {text} is no time: write 2026-03-02T09:00 (local), 2026-03-02T09:00Z, or 90m, 2h, 7d ago"
        raise InputError(message, option=option) from error
