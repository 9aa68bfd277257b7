"""The image's own root, without Docker: a worker in it starts, is healthy, does its work and ends in peace."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from fleet import read_all
from house.source import ROOT
from image import Container

from mailweir.services import topics
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import load_settings
from mailweir.services.stream import KafkaBus, Outgoing

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("debootstrap") is None,
        reason="a root of its own needs root and debootstrap: apt-get install debootstrap",
    ),
]
MAIL = b"From: ann@customer.example\r\nSubject: Order 4500123456\r\n\r\nWhere is it?\r\n"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What deploy/docker/Dockerfile makes."""
    folder = tmp_path_factory.mktemp("image") / "root"
    done = subprocess.run([ROOT / "deploy/docker/root.sh", folder], capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-2000:]
    yield folder
    shutil.rmtree(folder)


def _child(process: subprocess.Popen[bytes]) -> int:
    """The container's first process, as this machine counts it."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


async def _decisions(bootstrap: str) -> int:
    """Send a mail and wait for its decision."""
    settings = load_settings(kafka_bootstrap=bootstrap)
    sink = KafkaBus(settings).sink()
    await sink.start()
    await sink.send([Outgoing("mail.raw", b"sales", MAIL, [("content-type", b"message/rfc822")])])
    await sink.stop()
    async with asyncio.timeout(60):
        while not (found := await read_all(settings, "mail.classified")):  # noqa: ASYNC110 - only the topic knows
            await asyncio.sleep(0.1)
    return len(found)


def test_nobody_writes_but_into_tmp_and_torch_is_not_there(image: Path) -> None:
    """The user has a number and no rights; the image is read-only for it and for whoever takes it over."""
    inside = Container(image, "Dockerfile")
    told = inside.run(
        "sh", "-c", "id -u; touch /tmp/x && echo /tmp; touch /opt/mailweir/x; grep CapBnd /proc/self/status"
    )
    assert told.stdout.split() == ["10001", "/tmp", "CapBnd:", "0" * 16]
    assert "Read-only file system" in told.stderr
    assert inside.run("python", "-c", "import torch").returncode == 1
    assert inside.run("python", "-c", "import onnxruntime").returncode == 0


def test_a_worker_decides_is_healthy_and_ends_by_its_signal(image: Path, broker: KafkaCluster) -> None:
    """As the first process of its container, with the Dockerfile's variables and its health check; SIGTERM ends it with 0."""
    asyncio.run(topics.apply(load_settings(kafka_bootstrap=broker.bootstrap), partitions=1))
    inside = Container(image, "Dockerfile", MAILWEIR_KAFKA_BOOTSTRAP=broker.bootstrap, MAILWEIR_METRICS_PORT="0")
    began = time.monotonic()
    process = subprocess.Popen(
        inside.command("mailweir", "worker"), env=inside.environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )  # fmt: skip
    try:
        assert process.stdout
        with process.stdout as told:
            port = orjson.loads(told.readline())["metrics"].rpartition(":")[2].partition("/")[0]
            ready = time.monotonic() - began
            health = [word.replace(":9464/", f":{port}/") for word in inside.health]
            assert asyncio.run(_decisions(broker.bootstrap)) == 1
            assert inside.run(*health).returncode == 0
            told_to_end = time.monotonic()
            os.kill(_child(process), signal.SIGTERM)
            assert process.wait(60) == 0
            print(f"ready after {ready:.1f} s, gone {time.monotonic() - told_to_end:.1f} s after SIGTERM")
        assert inside.run(*health).returncode == 1
    finally:
        process.kill()
        process.wait()
