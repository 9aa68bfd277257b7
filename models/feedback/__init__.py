"""Feedback as rows: what the ledger and its shards hold, and whose word counts. Needs pyarrow, of the extra [feedback]."""

from mailweir.models.feedback.learned import LearnedFrom
from mailweir.models.feedback.parquet import SCHEMA, offsets, read_rows, rows_of, withdrawals, write_rows
from mailweir.models.feedback.rows import Corrected, Decided, FeedbackRow, once
from mailweir.models.feedback.words import last_words, taken_back

__all__ = [
    "SCHEMA",
    "Corrected",
    "Decided",
    "FeedbackRow",
    "LearnedFrom",
    "last_words",
    "offsets",
    "once",
    "read_rows",
    "rows_of",
    "taken_back",
    "withdrawals",
    "write_rows",
]
