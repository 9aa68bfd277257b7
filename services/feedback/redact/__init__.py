"""Redaction: personal data of a mail becomes placeholders before the mail is kept to learn from."""

from mailweir.services.feedback.redact.apply import Redacted, inspect, redact
from mailweir.services.feedback.redact.finds import KINDS, Find, Kind, placeholder

__all__ = ["KINDS", "Find", "Kind", "Redacted", "inspect", "placeholder", "redact"]
