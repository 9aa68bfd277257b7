"""What a worker does on the real broker when what surrounds it is wrong: a name used twice, a login revoked, a topic deleted."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from factories import settings, until
from fleet import Fleet, Worker, send

from mailweir.schemas.errors import DependencyError
from mailweir.services.broker import KafkaCluster
from mailweir.services.broker.ports import draw
from mailweir.services.settings import Settings, load_settings
from mailweir.services.stream import KafkaBus, Outgoing, Sink, kafka
from mailweir.services.topics import acl_bindings, apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture
def fleet(tmp_path: Path, broker: KafkaCluster) -> Iterator[Fleet]:
    """No worker yet."""
    environment = {
        "MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap,
        "MAILWEIR_SESSION_TIMEOUT_MS": "3000",
        "MAILWEIR_RETRY_BACKOFF_MAX_MS": "2000",
    }
    with Fleet(tmp_path, environment) as made:
        yield made


async def _code(worker: Worker, seconds: float = 60) -> int:
    """How it ended."""
    assert worker.process
    return await asyncio.to_thread(worker.process.wait, seconds)


async def _first_to_end(workers: list[Worker]) -> Worker:
    async with asyncio.timeout(60):
        while True:
            for worker in workers:
                assert worker.process
                if worker.process.poll() is not None:
                    return worker
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("together", [True, False], ids=["at-once", "one-after-the-other"])
async def test_two_workers_of_one_name_do_not_share_it_in_silence(
    broker: KafkaCluster, fleet: Fleet, *, together: bool
) -> None:
    """One ends with exit code 1 and names the setting, however far apart they started."""
    await apply(settings(kafka_bootstrap=broker.bootstrap))
    fleet.environment |= {"MAILWEIR_INSTANCE": "w-0"}
    for _ in range(2):
        worker = fleet.add("classify")
        worker.start()
        if not together:
            worker.wait_ready()
    loser = await _first_to_end(fleet.workers)
    assert await _code(loser) == 1
    assert "another worker of group mailweir.classify runs as MAILWEIR_INSTANCE=w-0" in loser.log.read_text()


def _said(worker: Worker, event: str) -> Callable[[], bool]:
    """Whether a line of ours is in its log."""
    return lambda: f'"event":"{event}"' in worker.log.read_text()


async def _ask(worker: Worker, path: str) -> tuple[int, str]:
    """Its health, as a probe sees it."""
    url = worker.metrics.replace("/metrics", path)
    return await asyncio.to_thread(_fetch, url)


def _fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_an_idle_worker_says_that_its_broker_is_away_and_back(broker: KafkaCluster, fleet: Fleet) -> None:
    """It has nothing to do, yet one line tells who is silent, retries are counted, it is not alive; one line when all is well."""
    await apply(settings(kafka_bootstrap=broker.bootstrap))
    fleet.environment |= {"MAILWEIR_STALL_SECONDS": "8"}
    worker = fleet.add("classify")
    worker.start()
    worker.wait_ready()
    assert (await _ask(worker, "/live"))[0] == 200
    await asyncio.to_thread(broker.kill, 1)
    await until(_said(worker, "broker_away"), 30)
    [line] = [line for line in worker.log.read_text().splitlines() if "broker_away" in line]
    assert broker.bootstrap in line
    assert "ConnectionRefused" in line or "Connect call failed" in line
    async with asyncio.timeout(60):
        while (live := await _ask(worker, "/live"))[0] == 200:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.3)
    assert json.loads(live[1])["broker_silent"] == ["classify"]
    await asyncio.to_thread(broker.start_node, 1)
    await until(_said(worker, "broker_back"), 30)
    assert (await _ask(worker, "/live"))[0] == 200
    samples = dict(line.rsplit(" ", 1) for line in (await _ask(worker, "/metrics"))[1].splitlines() if line[0] != "#")
    assert float(samples['mailweir_broker_contact_seconds{stage="classify"}']) < 5
    assert float(samples['mailweir_dependency_retries_total{stage="classify",step="contact"}']) > 1
    assert worker.log.read_text().count("broker_away") == worker.log.read_text().count("broker_back") == 1


async def test_a_login_that_is_refused_from_now_on_ends_the_worker(tmp_path: Path, fleet: Fleet) -> None:
    """The broker comes back with other passwords: no green worker that reads nothing, but exit code 1 and the settings' names."""
    [port] = draw(1)
    acls = acl_bindings("mail", "mailweir")
    with KafkaCluster(secure=True, acls=acls, directory=tmp_path / "old", port=port) as old:
        await apply(_login(old, "admin"), partitions=1)
        access = old.access("classify")
        fleet.environment |= {
            "MAILWEIR_KAFKA_BOOTSTRAP": old.bootstrap,
            "MAILWEIR_KAFKA_SECURITY": access.security_protocol,
            "MAILWEIR_KAFKA_USERNAME": access.username,
            "MAILWEIR_KAFKA_PASSWORD": access.password,
            "MAILWEIR_KAFKA_CA_FILE": str(access.cafile),
        }
        worker = fleet.add("classify")
        worker.start()
        await asyncio.to_thread(worker.wait_ready)
    shutil.copytree(tmp_path / "old" / "tls", tmp_path / "new" / "tls")
    (tmp_path / "new" / "lock").touch()
    with KafkaCluster(secure=True, acls=acls, directory=tmp_path / "new", port=port):
        assert await _code(worker, 60) == 1
    said = worker.log.read_text()
    assert "refuses our login" in said
    assert "MAILWEIR_KAFKA_PASSWORD" in said
    assert access.password not in said


def _login(cluster: KafkaCluster, user: str) -> Settings:
    access = cluster.access(user)
    return load_settings(
        kafka_bootstrap=access.bootstrap,
        kafka_security=access.security_protocol,
        kafka_username=access.username,
        kafka_password=access.password,
        kafka_ca_file=access.cafile,
    )


async def _delete(broker: KafkaCluster, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()


async def test_a_worker_whose_topic_is_deleted_says_so_and_ends(broker: KafkaCluster, fleet: Fleet) -> None:
    """Exit code 2 with the command that brings it back, instead of green health and deafness."""
    await apply(settings(kafka_bootstrap=broker.bootstrap))
    worker = fleet.add("classify")
    worker.start()
    worker.wait_ready()
    await _delete(broker, "mail.parsed")
    assert await _code(worker) == 2
    assert "mail.parsed is no longer on the Kafka at" in worker.log.read_text()
    assert "`mailweir topics apply`" in worker.log.read_text()


async def test_a_worker_too_many_says_why_it_idles(broker: KafkaCluster, fleet: Fleet) -> None:
    """One line, and it stays as a spare."""
    await apply(settings(kafka_bootstrap=broker.bootstrap), partitions=1)
    fleet.start(["classify"], each=2)
    await until(lambda: any(_said(worker, "no_partitions_for_us")() for worker in fleet.workers), 30)
    await asyncio.sleep(2)
    assert sum(worker.log.read_text().count("no_partitions_for_us") for worker in fleet.workers) == 1
    assert [(await _ask(worker, "/live"))[0] for worker in fleet.workers] == [200, 200]


async def _write_on(sink: Sink) -> None:
    while True:
        await sink.send([Outgoing("mail.classified", b"k", b"v")])


async def test_a_topic_that_cannot_be_written_is_named(broker: KafkaCluster) -> None:
    """Deleted under a running producer: the error says which and what to look at."""
    known = settings(kafka_bootstrap=broker.bootstrap, request_timeout_ms=2_000)
    await apply(known)
    sink = KafkaBus(known).sink()
    await sink.start()
    await sink.send([Outgoing("mail.classified", b"k", b"v")])
    await _delete(broker, "mail.classified")
    with pytest.raises(DependencyError, match=r"write to mail\.classified .*`mailweir topics check`"):
        await _write_on(sink)
    await sink.stop()


async def test_a_probe_without_an_answer_does_not_say_that_there_is_nothing(
    broker: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is too slow when asked what a hole holds: an error to ask again, not `None`."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known, partitions=1)
    sink, source = KafkaBus(known).sink(), KafkaBus(known).source("mail.raw", "mailweir.probe")
    await sink.start()
    await sink.send([Outgoing("mail.raw", b"k", b"v")])
    await sink.stop()
    assert await source.first_at_or_after(("mail.raw", 0), 0) == 0

    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    # cut off while it waits and not while it connects: there aiokafka may forget a socket, which the next test would be blamed for
    monkeypatch.setattr(kafka, "_first", silent)
    monkeypatch.setattr(kafka, "_PROBE_SECONDS", 1.0)
    with pytest.raises(DependencyError, match=r"mail\.raw\[0\] does not say"):
        await source.first_at_or_after(("mail.raw", 0), 0)
    await source.stop()


async def test_sigterm_while_the_broker_is_away_is_obeyed_in_seconds(broker: KafkaCluster, fleet: Fleet) -> None:
    """With mail in hand that cannot be committed: left to the next start, exit code 0, and the log tells start and stop."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    fleet.environment |= {"MAILWEIR_SESSION_TIMEOUT_MS": "10000"}
    worker = fleet.add("ingest", "classify")
    worker.start()
    worker.wait_ready()
    await send(known, 300, 1_000)  # more than the model decides in the meantime
    await asyncio.to_thread(broker.kill, 1)
    await asyncio.sleep(1)
    assert worker.process
    worker.process.send_signal(signal.SIGTERM)
    assert await _code(worker, 20) == 0  # two readers one after another waited for 48 s
    assert "Task was destroyed" not in worker.log.read_text()
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    told = {line["event"]: line for line in lines if line["event"] in {"worker_started", "stopping", "stopped"}}
    assert told["worker_started"]["stages"] == ["ingest", "classify"]
    assert (told["worker_started"]["bootstrap"], told["worker_started"]["pid"]) == (
        broker.bootstrap,
        worker.process.pid,
    )
    assert told["stopping"]["signal"] == "SIGTERM"
    assert told["stopped"].keys() >= {"mails", "seconds"}
    print(f"\nstopped after {told['stopped']['seconds']} s")
