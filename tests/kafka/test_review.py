"""What people are asked, on the real broker: a worker that is killed, a script that answers, and a person at a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asked import unsure
from command import COMMAND
from factories import hosted, settings, until
from fleet import Fleet, read_all
from loop import mail, on
from typer.testing import CliRunner

from mailweir.schemas.events import Feedback, ReviewAsked
from mailweir.services.app import Host
from mailweir.services.broker import KafkaCluster
from mailweir.services.cli.app import app
from mailweir.services.feedback.find import Finder, Found
from mailweir.services.review.agent import register
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

MAILS = 4


async def _write(known: Settings, numbers: range) -> None:
    """Mails and doubtful decisions about them, as ingest and classify would."""
    bus = KafkaBus(known)
    sink, lookup = bus.sink(), bus.lookup()
    await sink.start()
    emails = [mail(n).model_copy(update={"body": f"{uuid.uuid4()} {uuid.uuid4()} {uuid.uuid4()}"}) for n in numbers]
    await sink.send([on(known.topic_name("parsed"), one) for one in emails])
    keys = {one.email_id.encode(): 0 for one in emails}
    lie = await lookup.by_key(known.topic_name("parsed"), keys, 20_000)
    decisions = [
        unsure(n, 0.05, email_id=one.email_id, source=lie[one.email_id.encode()][0].coordinates)
        for n, one in zip(numbers, emails, strict=True)
    ]
    await sink.send([on(known.topic_name("classified"), one) for one in decisions])
    await sink.stop()
    await lookup.stop()


async def _questions(known: Settings, count: int) -> list[ReviewAsked]:
    end = time.monotonic() + 60
    while len(found := await read_all(known, known.topic_name("review"))) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} questions came"
        await asyncio.sleep(0.1)
    return [ReviewAsked.decode(value) for _, value, _ in found]


class Person:
    """Somebody at the terminal of a command."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self.seen = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self.seen += os.read(self._terminal, 4096).decode(errors="replace")
            except OSError:  # the command ended
                return

    def waits_for(self, text: str) -> None:
        """Until it is shown."""
        end = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            time.sleep(0.02)

    def presses(self, key: str) -> None:
        """A key."""
        os.write(self._terminal, key.encode())

    def leaves(self) -> None:
        """Nothing more is shown."""
        self._reader.join(10)


@contextmanager
def seated(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], Person]]:
    """The command on a pseudo-terminal."""
    person, program = pty.openpty()
    values = {f"MAILWEIR_{name.upper()}": value for name, value in environment.items()}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=program, stdout=program, stderr=program, env=os.environ | values
    )
    os.close(program)
    try:
        yield process, Person(person)
    finally:
        process.kill()
        process.wait(60)
        os.close(person)


def command(environment: dict[str, str], *arguments: str) -> str:
    """The command in this process, which need not start one; what it printed."""
    done = CliRunner().invoke(app, ["review", *arguments], env=environment)
    assert done.exit_code == 0, done.stderr
    return done.stdout


async def test_from_a_decision_to_a_persons_word(kafka: KafkaCluster, tmp_path: Path) -> None:
    """Killed and started again the worker asks about each decision once; a script and a person answer; the answers name their decision."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    place = {"kafka_bootstrap": kafka.bootstrap, "topic_prefix": prefix, "group_prefix": prefix}
    once = {"review_budget": str(24 * MAILS * 3), "session_timeout_ms": "3000", "instance": "one"}
    known = settings(**place, **once)
    await apply(known, partitions=1)
    environment = {f"MAILWEIR_{name.upper()}": value for name, value in {**place, **once, "metrics_port": "0"}.items()}
    with Fleet(tmp_path, environment) as fleet:
        worker = fleet.add("review")
        await _write(known, range(MAILS // 2))
        worker.start()
        await _questions(known, 1)
        worker.end(signal.SIGKILL)  # before or after the commit: both must come out the same
    await _write(known, range(MAILS // 2, MAILS))
    host = Host(known, KafkaBus(known))
    register(host)
    async with hosted(host):
        await until(lambda: sum(one.progress.behind for one in host.stream.readers) == 0 and host.health.ready(), 30)
        asked = await _questions(known, MAILS)
    assert len({one.decision_id for one in asked}) == len(asked) == MAILS

    shown = await asyncio.to_thread(command, environment, "next", "--json", "--count", "2")
    first, second = map(json.loads, shown.splitlines())
    assert first["decision"]["decision_id"] == first["decision_id"]
    options = ["--set", "category=finance", "--person", "u-1"]
    await asyncio.to_thread(command, environment, "answer", first["decision_id"][:16], *options)
    with seated("review", "next", "--person", "u-2", **place) as (process, person):
        await asyncio.to_thread(person.waits_for, f"question 1 of {MAILS - 1}")
        person.presses("\n")
        await asyncio.to_thread(person.waits_for, f"question 2 of {MAILS - 1}")
        person.presses("q")
        await asyncio.to_thread(person.waits_for, "1 answered, 0 skipped, 2 not shown")
        assert await asyncio.to_thread(process.wait, 20) == 0
        person.leaves()
    words = [Feedback.decode(value) for _, value, _ in await read_all(known, known.topic_name("feedback"))]
    assert {word.person: word.decision_id for word in words} == {
        "u-1": first["decision_id"],
        "u-2": second["decision_id"],
    }
    finder = Finder(KafkaBus(known).lookup(), known)
    found = await finder.find(words)
    await finder.stop()
    assert [one.decision.decision_id for one in found if isinstance(one, Found)] == [word.decision_id for word in words]
