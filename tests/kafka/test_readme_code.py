"""README's code for other people's programs runs as it stands and prints a decision."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from factories import settings
from fleet import Fleet
from readme import snippet

from mailweir.schemas.events import Decision
from mailweir.schemas.ids import email_id
from mailweir.services.broker import KafkaCluster
from mailweir.services.broker.jars import Jars
from mailweir.services.broker.java import find_java
from mailweir.services.cli.sample_mails import FOLDER
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ADDRESS = "127.0.0.1:9092"
JAVA_PROGRAM = """\
import java.nio.file.*;
import java.time.*;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

public class Snippet {{
    public static void main(String[] arguments) throws Exception {{
{}
    }}
}}
"""


@pytest.fixture
async def address(tmp_path: Path, broker: KafkaCluster, tiny: Path) -> AsyncIterator[str]:
    """Where a Kafka with topics and both agents is, as after `make up`."""
    await apply(settings(kafka_bootstrap=broker.bootstrap))
    with Fleet(tmp_path, {"MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap, "MAILWEIR_BUNDLE": str(tiny)}) as fleet:
        worker = fleet.add("ingest", "classify")
        worker.start()
        await asyncio.to_thread(worker.wait_ready, 120)
        yield broker.bootstrap


def _code(language: str, address: str) -> str:
    """The snippet, with the test's broker in the place of the development broker."""
    code = snippet(language)
    assert ADDRESS in code
    return code.replace(ADDRESS, address)


def _output(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_the_python_code_prints_the_decision_about_its_mail(tmp_path: Path, address: str) -> None:
    """A producer and a consumer with aiokafka alone, without a warning."""
    (tmp_path / "snippet.py").write_text(_code("python", address), encoding="utf-8")
    decision = Decision.decode(_output([sys.executable, "-W", "error", "snippet.py"], tmp_path).encode())
    mail = b"From: ann@customer.example\r\nSubject: Order 4500123456\r\n\r\nWhere is it?\r\n"
    assert decision.email_id == email_id("sales", mail)


def test_the_java_code_prints_the_decision_about_its_mail(tmp_path: Path, address: str) -> None:
    """Compiled and run against Kafka's own client; the file that it sends is there."""
    shutil.copy(FOLDER / "en" / "work-purchase-order.eml", tmp_path / "order.eml")
    (tmp_path / "Snippet.java").write_text(JAVA_PROGRAM.format(_code("java", address)), encoding="utf-8")
    # a source file as the program: Java compiles it first, which takes a JDK
    command = [find_java(), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", Jars.of().class_path, "Snippet.java"]
    key, _, decision = _output(command, tmp_path).strip().partition(" ")
    assert key == email_id("sales", (tmp_path / "order.eml").read_bytes())
    assert Decision.decode(decision.encode()).email_id == key
