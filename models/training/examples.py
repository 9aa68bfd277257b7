"""What fine-tuning learns from, and what it tells about an epoch."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mailweir.models.export.weights import Floats
from mailweir.models.runtime.graph import Ids
from mailweir.models.training.heads import Question

Tell = Callable[[int, float], None]
"""Told after each batch: mails done, loss."""
Score = Callable[[Floats], float]
"""Mean F1 of the heads on the validation rows from (rows, labels) logits."""


@dataclass(frozen=True, slots=True)
class Examples:
    """What the network learns from: rows of tokens with what is known about each."""

    mails: Sequence[Ids]
    questions: Sequence[Question]
    tags: Sequence[NDArray[np.int64] | None]  # per mail (tokens,), None where entities were not annotated
    late: NDArray[np.float64] | None = None  # (mails,) from 0 to 1: when a curriculum takes it in; None: always

    def only(self, rows: NDArray[np.int64]) -> "Examples":
        """The examples of these rows, in their order."""
        questions = [replace(q, answers=q.answers[rows], known=q.known[rows]) for q in self.questions]
        mails, tags = [self.mails[row] for row in rows], [self.tags[row] for row in rows]
        return Examples(mails, questions, tags, None if self.late is None else self.late[rows])

    def fingerprint(self) -> str:
        """Digest of all that is in them."""
        digest = hashlib.sha256()
        for mail in self.mails:
            digest.update(mail.tobytes())
        for question in self.questions:
            digest.update(question.answers.tobytes() + question.known.tobytes())
        for tags in self.tags:
            digest.update(b"-" if tags is None else tags.tobytes())
        digest.update(b"" if self.late is None else self.late.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to; `score` is the mean F1 of the heads on the validation rows."""

    phase: str
    number: int
    loss: float
    score: float
