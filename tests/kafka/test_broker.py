"""Our way of running Kafka, on real brokers: what users see of it, and the faults that other tests are built on."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError
from broker_clients import create, first, leader, send, visible_topics

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker import Access, KafkaCluster
from mailweir.services.broker.config import LARGEST_RECORD, MIB
from mailweir.services.broker.jars import Jars

pytestmark = pytest.mark.kafka

SERVE = """
import sys
from pathlib import Path
from mailweir.services.broker import KafkaCluster, serve
directory, port, nodes = sys.argv[1:]
sys.exit(serve(KafkaCluster(directory=Path(directory) if directory else None, port=int(port) or None, nodes=int(nodes))))
"""
UP_S = 60.0  # more than a start ever takes; a test that waits this long has failed


class Served:
    """A cluster in the foreground of another process."""

    def __init__(self, directory: Path | None = None, *, port: int = 0, nodes: int = 1) -> None:
        arguments = ["" if directory is None else str(directory), str(port), str(nodes)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"no ready line: {self.process.communicate()}"
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        if number is not None:
            self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=UP_S)
        return self.process.returncode, output, errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def gone(pid: int) -> bool:
    """Whether a process has ended, also when nobody has asked for its status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + UP_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def test_data_survive_a_restart(tmp_path: Path) -> None:
    """`serve` prints one ready line, ends with 0 on Ctrl-C, and the next start has the same cluster, port and records."""
    with Served(tmp_path) as served:
        ready = served.ready()
        access = Access(ready["bootstrap"])
        await create(access, "kept")
        await send(access, "kept", b"before")
        assert served.end(signal.SIGINT) == (0, "", "")
    assert all(map(gone, ready["pids"]))
    state = (tmp_path / "cluster.json").read_text()
    with KafkaCluster(directory=tmp_path) as cluster:
        assert cluster.bootstrap == ready["bootstrap"]
        assert await first(cluster.access(), "kept") == b"before"
    assert (tmp_path / "cluster.json").read_text() == state


async def test_killed_parent_leaves_nothing(tmp_path: Path) -> None:
    """After kill -9 no JVM stays, a temporary folder is gone, and a folder that was named can be used again at once."""
    with Served() as temporary, Served(tmp_path) as named:
        lost, kept = temporary.ready(), named.ready()
        await create(Access(kept["bootstrap"]), "kept")
        assert not any(map(gone, lost["pids"] + kept["pids"]))
        assert temporary.end(signal.SIGKILL)[0] == named.end(signal.SIGKILL)[0] == -signal.SIGKILL
        with KafkaCluster(directory=tmp_path) as cluster:
            await send(cluster.access(), "kept", b"after")
    assert until(lambda: all(map(gone, lost["pids"] + kept["pids"])))
    assert until(lambda: not Path(lost["dir"]).exists())


def test_killed_guard_takes_the_broker_along() -> None:
    """The guard is no weak spot: killed itself, its JVM dies too."""
    with KafkaCluster() as cluster:
        guard = cluster._nodes[1]._guard
        assert guard is not None
        guard.kill()
        assert until(lambda: gone(cluster.pids[0]))
        assert until(
            lambda: cluster.dead() == [1]
        )  # its main thread took the JVM along; its other one may take a moment more


def unpacked(jvm: int) -> set[Path]:
    """The libraries that a JVM took out of its jars and has loaded."""
    lines = Path(f"/proc/{jvm}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if re.search(r"/liblz4\S*\.so$", line)}


def left(folder: Path) -> list[Path]:
    """The same libraries as files."""
    return [*folder.rglob("liblz4*.so")]


async def test_a_killed_broker_leaves_no_library_behind(tmp_path: Path) -> None:
    """What the JVM unpacks is in its node's folder: gone with a temporary one, replaced at the next start of one that stays."""
    with KafkaCluster(directory=tmp_path) as cluster:
        await create(cluster.access(), "t")
        for _ in range(2):
            await send(cluster.access(), "t", b"mail " * 1_000, compression="lz4")
            [library] = unpacked(cluster.pids[0])
            assert library.is_relative_to(tmp_path)
            cluster.kill(1)
            assert left(tmp_path) == [library]
            cluster.start_node(1)
        assert left(tmp_path) == []


def test_full_disk_is_named(tmp_path: Path) -> None:
    """One line with what to do instead of a traceback."""
    (tmp_path / "lock").touch()
    (tmp_path / "cluster.tmp").symlink_to("/dev/full")
    with Served(tmp_path) as served:
        expected = f"no space is left for Kafka's data in {tmp_path}: free some, or choose another --dir\n"
        assert served.end() == (2, "", expected)


def test_dead_node_ends_the_command() -> None:
    """A node that dies ends `serve` with 1, the signal and its log, without what is no warning; SIGTERM during the start: 0."""
    with Served() as served:
        ready = served.ready()
        os.kill(ready["pids"][0], signal.SIGKILL)
        status, output, errors = served.end()
        assert (status, output) == (1, "")
        assert errors.startswith(f"Kafka node 1 was ended by SIGKILL; its log is {ready['dir']}/node1/kafka.log\n")
        assert " INFO " not in errors
    with Served(nodes=3) as served:
        children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
        assert until(lambda: bool(children.read_text()))
        assert served.end(signal.SIGTERM) == (0, "", "")


def test_obstacles_are_named(kafka: KafkaCluster, tmp_path: Path) -> None:
    """A busy port, an impossible one and a folder in use end `serve` with 2 and what to do; the port asked for is the one used."""
    busy = int(kafka.bootstrap.rpartition(":")[2])
    with Served(port=busy) as served:
        expected = f"port {busy} is in use by another program; stop it, or choose another with --port\n"
        assert served.end() == (2, "", expected)
    with pytest.raises(KafkaSetupError, match="--port 65534 "):
        KafkaCluster(nodes=3, port=65_534).start()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        free = holder.getsockname()[1]
    with KafkaCluster(directory=tmp_path, port=free) as cluster, Served(tmp_path) as served:
        assert cluster.bootstrap == f"127.0.0.1:{free}"
        status, _output, errors = served.end()
        assert status == 2
        assert f"{tmp_path} is in use by a running broker (process {os.getpid()})" in errors


async def test_large_record_outlives_its_leader() -> None:
    """A record of 26 MiB is copied to three nodes and read after a crash; killed, stopped and hung nodes come back."""
    record = os.urandom(LARGEST_RECORD)
    with KafkaCluster(nodes=3) as cluster:
        access = cluster.access()
        await create(access, "large", copies=3, **{"min.insync.replicas": "2"})
        await send(access, "large", record)
        crashed = await leader(access, "large")
        stopped, hung = {1, 2, 3} - {crashed}
        cluster.kill(crashed)
        cluster.pause(hung)
        assert cluster.dead() == [crashed]
        cluster.resume(hung)
        assert await first(access, "large") == record
        cluster.start_node(crashed)
        cluster.stop_node(stopped)
        assert await first(access, "large") == record
        cluster.start_node(stopped)
        assert cluster.dead() == []


async def test_topics_do_not_appear_by_themselves(kafka: KafkaCluster) -> None:
    """Naming a topic that nobody declared creates nothing."""
    admin = AIOKafkaAdminClient(**kafka.access().options())
    await admin.start()
    try:
        (described,) = await admin.describe_topics(["never.declared"])
        assert described["error_code"] == UnknownTopicOrPartitionError.errno
    finally:
        await admin.close()
    assert "never.declared" not in await visible_topics(kafka.access())


def test_class_archive_is_built_beside_the_jars(tmp_path: Path) -> None:
    """`cds` leaves an archive in the folder of the jars, so that later brokers start sooner."""
    for jar in Jars.of().paths:
        (tmp_path / jar.name).symlink_to(jar)
    command = [sys.executable, "-m", "mailweir.services.broker", "cds", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()) == tmp_path / "kafka.jsa"
    assert (tmp_path / "kafka.jsa").stat().st_size > MIB
