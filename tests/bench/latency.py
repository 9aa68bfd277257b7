"""One mail of about 128 tokens through the whole pipeline, alone: `python tests/bench/latency.py`. A report, not a test.

Raw bytes to a decision: parsed by a parser process, composed, tokenized, scored, entities, decision.
"""

from __future__ import annotations

import asyncio
import statistics
from email.message import EmailMessage
from time import perf_counter

from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.training.corpus import VALIDATION_AUTHORS, MailRow, load_mails
from mailweir.models.training.prepare import row_input
from mailweir.schemas.events import Decision
from mailweir.services.cli.pipeline import Pipeline
from mailweir.services.ingest.raw import RawMail
from mailweir.services.settings import Settings

TOKENS, NEAR = 128, 8
MAILS, WARM_UP = 100, 5


def mails() -> list[MailRow]:
    """Mails of the validation authors that are `TOKENS` long, give or take a few."""
    rows = [row for row in load_mails() if row.author in VALIDATION_AUTHORS]
    scores = Bundle.load(shipped_bundle()).classify([row_input(row) for row in rows])
    return [row for row, one in zip(rows, scores, strict=True) if abs(one.tokens - TOKENS) <= NEAR]


def raw(row: MailRow) -> RawMail:
    """The mail as it comes over the wire."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.com", " ".join(row.subject.split())
    message.set_content(row.body)
    return RawMail(message.as_bytes(), row.mailbox)


async def measure() -> dict[str, list[tuple[float, Decision]]]:
    """Milliseconds and decision of each mail, one after the other, by turns without and with reasons."""
    given = [raw(row) for row in mails()]
    found: dict[str, list[tuple[float, Decision]]] = {"without reasons": [], "with reasons": []}
    async with Pipeline(Settings()) as plain, Pipeline(Settings(classify_reasons=True)) as explained:
        for place in range(WARM_UP + MAILS):
            for name, pipeline in zip(found, (plain, explained), strict=True):
                start = perf_counter()
                (decision,) = await pipeline.decide([given[place % len(given)]])
                spent = (perf_counter() - start) * 1_000
                if isinstance(decision, Decision) and place >= WARM_UP:
                    found[name].append((spent, decision))
    return found


def main() -> None:
    """Median and 90th percentile, and the median of each step; without and with reasons."""
    for name, found in asyncio.run(measure()).items():
        total = statistics.quantiles([spent for spent, _ in found], n=10)
        steps = {
            step: statistics.median(decision.timings_ms[step] for _, decision in found)
            for step in found[0][1].timings_ms
        }
        said = ", ".join(f"{step} {spent:.2f}" for step, spent in steps.items())
        print(f"{name:<16} median {total[4]:.1f} ms, 90 % below {total[8]:.1f} ms ({said})")


if __name__ == "__main__":
    main()
