"""Speed of the shipped bundle on one thread: `python tests/bench/models.py`. A report, not a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter, process_time

from mailweir.models.runtime import Bundle, find_entities, shipped_bundle
from mailweir.models.text.model_input import ModelInput
from mailweir.models.training.corpus import TEST_AUTHORS, MailRow, load_mails
from mailweir.models.training.prepare import row_input

ROUNDS = 3


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of the best of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        wall, used = perf_counter(), process_time()
        call()
        rounds.append((perf_counter() - wall, process_time() - used))
    return min(rounds)


def entities(rows: Sequence[MailRow], bundle: Bundle) -> None:
    """Run the entity rules over all rows."""
    for row in rows:
        find_entities(row.subject, row.body, bundle.manifest.entity_precision)


def report(name: str, mails: int, call: Callable[[], object]) -> None:
    """Print one line."""
    wall, used = timed(call)
    print(f"{name:<36} {mails / wall:8.1f} mails/s {1000 * used / mails:8.2f} CPU ms a mail")


def main() -> None:
    """Mail of the test authors as it is, then mails of one length."""
    bundle, rows = Bundle.load(shipped_bundle()), [row for row in load_mails() if row.author in TEST_AUTHORS]
    inputs = [row_input(row) for row in rows]
    tokens = [scores.tokens for scores in bundle.classify(inputs)]
    print(f"{len(rows)} mails, {sum(tokens) / len(tokens):.0f} tokens on average")
    report("each mail alone (as served)", len(rows), partial(bundle.classify, inputs))
    report("padded groups of 1,024 tokens", len(rows), partial(bundle.classify, inputs, token_budget=1024))
    report("with reasons", len(rows), partial(bundle.classify, inputs, reasons=True))
    report("entity rules", len(rows), partial(entities, rows, bundle))
    for words in (16, 50, 100, 220):
        same = [ModelInput("query: " + "order " * words, cut=False, empty=False)] * 40
        length = bundle.classify(same[:1])[0].tokens
        report(f"{length} tokens, alone", len(same), partial(bundle.classify, same))


if __name__ == "__main__":
    main()
