"""What a command starts with: settings from the environment and its options, and logs that suit it."""

from __future__ import annotations

from mailweir.services.settings import Settings, load_settings
from mailweir.services.telemetry import configure_logging

__all__ = ["client_settings"]


def client_settings(**options: object) -> Settings:
    """Settings for a command that people run: options left out (None) are the environment's.

    Libraries log what they retry; a person gets the one line that says what failed. MAILWEIR_LOG_LEVEL brings the rest back.
    """
    settings = load_settings(**{name: value for name, value in options.items() if value is not None})
    asked = "log_level" in settings.model_fields_set
    configure_logging(settings.log_level if asked else "critical", settings.log_format)
    return settings
