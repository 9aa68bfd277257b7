"""What a mail costs each stage, each topic and each worker: `PYTHONPATH=tests python tests/bench/footprint.py [MAILS]`. A report, not a test.

One worker process per agent on a broker of one copy, so that CPU, memory and bytes are told apart; `mailweir size` counts with
these figures. CPU is counted from the moment when a worker is ready, bytes are those of the broker's log segments (compressed as
the producers compress), memory is the resident set size after the mails, parser processes included: pages that processes share count in each.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from email.message import EmailMessage
from pathlib import Path

from factories import settings
from fleet import Fleet, Worker, read_all
from loop import word

from mailweir.schemas.events import Correction, Decision, utc_now
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

CORPUS = Path(__file__).parents[2] / "models" / "corpus"
STAGES = ("ingest", "classify", "review", "feedback", "retrain")
TICK = os.sysconf("SC_CLK_TCK")


def mails(count: int) -> list[Outgoing]:
    """Annotated mails as RFC 822 bytes, each once, then with another Message-ID until there are enough."""
    rows = [json.loads(line) for path in sorted(CORPUS.glob("*.jsonl")) for line in path.read_text().splitlines()]
    rows = [row for row in rows if "from" in row]
    return [_mail(rows[number * 7 % len(rows)], number) for number in range(count)]


def _mail(row: dict[str, str], number: int) -> Outgoing:
    message = EmailMessage()
    message["From"], message["To"] = "bench@customer.example", "bench@firm.example"
    message["Subject"] = re.sub(r"\s+", " ", row["subject"])
    message["Message-ID"] = f"<{number}@bench.example>"
    message.set_content(row["body"])
    return Outgoing("mail.raw", f"box{number % 40}".encode(), message.as_bytes())


def family(pid: int) -> list[int]:
    """The process and those below it: parsers are processes of their own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in family(int(child)))]


def cpu_ms(pid: int) -> float:
    """User and system time of the process and of those below it."""
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in family(pid)]
    return sum(int(field[11]) + int(field[12]) for field in fields) / TICK * 1_000


def memory_mb(pid: int) -> float:
    """Resident set size of the process and of those below it."""
    texts = [Path(f"/proc/{one}/status").read_text() for one in family(pid)]
    found = [re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE) for text in texts]
    return sum(int(match[1]) for match in found if match) * 1_024 / 1e6


def topic_bytes(folder: Path) -> dict[str, int]:
    """Bytes of the log segments by topic."""
    found: dict[str, int] = {}
    for segment in folder.glob("**/mail.*-*/*.log"):
        topic = segment.parent.name.rpartition("-")[0]
        found[topic] = found.get(topic, 0) + segment.stat().st_size
    return found


async def decisions(known: Settings, count: int) -> list[Decision]:
    """All of them, once they are there."""
    while True:
        if len(found := await read_all(known, "mail.classified")) >= count:
            return [Decision.decode(value) for _, value, _ in found]
        await asyncio.sleep(2)


def agreement(decision: Decision) -> Outgoing:
    """A person calls the category right."""
    right = Correction(label=decision.heads["category"].label, confirmed=True)
    said = word(decision, heads={"category": right}, given_at=utc_now())
    return Outgoing("mail.feedback", decision.email_id.encode(), said.encode())


async def measure(count: int) -> None:
    """Mails through all agents, then a word about one in ten of them."""
    with KafkaCluster() as broker, tempfile.TemporaryDirectory() as folder:
        known = settings(kafka_bootstrap=broker.bootstrap)
        await apply(known)
        sink = KafkaBus(known).sink()
        await sink.start()
        surroundings = {"MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap, "MAILWEIR_LEDGER": f"{folder}/ledger"}
        with Fleet(Path(folder), surroundings) as fleet:
            await asyncio.to_thread(fleet.start, STAGES, 1)
            begun = [cpu_ms(_pid(worker)) for worker in fleet.workers]
            await sink.send(mails(count))
            decided = await decisions(known, count)
            report(fleet, begun, count)
            before = [cpu_ms(_pid(worker)) for worker in fleet.workers]
            await sink.send([agreement(decision) for decision in decided[: count // 10]])
            await asyncio.sleep(20)  # for batches of words to end
            spent = [cpu_ms(_pid(w)) - ms for w, ms in zip(fleet.workers, before, strict=True) if "feedback" in w.name]
            print(f"feedback worker: {spent[0] / (count // 10):.1f} ms CPU a word of a person")
        await sink.stop()
        for topic, size in sorted(topic_bytes(broker.path).items()):
            records = len(await read_all(known, topic))
            print(f"{topic}: {records} records, {size / max(records, 1):.0f} bytes each on disk")


def _pid(worker: Worker) -> int:
    assert worker.process
    return worker.process.pid


def report(fleet: Fleet, begun: list[float], count: int) -> None:
    """CPU a mail and memory of each worker."""
    raw = sum(len(mail.value or b"") for mail in mails(count)) / count
    print(f"{count} mails of {raw:.0f} bytes on average")
    for worker, start in zip(fleet.workers, begun, strict=True):
        spent = (cpu_ms(_pid(worker)) - start) / count
        print(f"{worker.name}: {spent:.2f} ms CPU a mail, {memory_mb(_pid(worker)):.0f} MB")


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
