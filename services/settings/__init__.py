"""All settings, in one frozen object read from `MAILWEIR_*`."""

from __future__ import annotations

from mailweir.services.settings.loop import RedactKind
from mailweir.services.settings.settings import Settings, load_settings, masked

__all__ = ["RedactKind", "Settings", "load_settings", "masked"]
