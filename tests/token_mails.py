"""What a tiny network can learn: mails of random tokens with a rule in them."""

from __future__ import annotations

import numpy as np

from mailweir.models.training.examples import Examples
from mailweir.models.training.heads import Question


def examples(rows: int = 48) -> Examples:
    """Mails whose first token tells the label, and whose every third token is tagged."""
    draw = np.random.default_rng(4)
    mails = [draw.integers(4, 60, size=int(size)) for size in draw.integers(4, 20, size=rows)]
    right = np.array([int(mail[0] % 2) for mail in mails])
    answers = np.eye(2, dtype=np.int64)[right]
    one = Question("category", "one", ("even", "odd"), answers, np.ones(rows, bool))
    many = Question("next_actions", "many", ("a", "b"), answers, np.arange(rows) % 3 > 0)
    return Examples(mails, [one, many], [(np.arange(len(mail)) % 3 == 0).astype(np.int64) for mail in mails])
