"""Every agent and every party that stands outside at its real work, as a process of its own user on a cluster with permissions."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from fleet import Fleet
from house.source import ROOT
from secured import environment_of, settings_of

from mailweir.models.runtime import shipped_bundle
from mailweir.services import topics
from mailweir.services.broker import KafkaCluster
from mailweir.services.cli.worker import STAGES

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SAMPLES = ROOT / "services/cli/samples"
# one word is a shard, one shard calls for a run, every decision may be asked about: each agent has something to do at once
EAGER = {
    "MAILWEIR_METRICS_PORT": "0",
    "MAILWEIR_SHARD_ROWS": "1",
    "MAILWEIR_RETRAIN_MIN_LABELS": "1",
    "MAILWEIR_RETRAIN_LOOK_SECONDS": "0.5",
    "MAILWEIR_REVIEW_BUDGET": "1000000",
    "MAILWEIR_REVIEW_RANDOM_SHARE": "1",
    "MAILWEIR_REVIEW_DIVERSE_SHARE": "0",
}


class Desk:
    """Commands as users of the cluster, with the folders of the workers."""

    def __init__(self, cluster: KafkaCluster, places: dict[str, str]) -> None:
        self._cluster = cluster
        self._places = places

    def run(self, user: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`mailweir …` as this user, to its end."""
        environment = os.environ | self._places | environment_of(self._cluster, user)
        command = [sys.executable, "-m", "mailweir.services.cli", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def told(self, user: str, *words: str) -> list[dict[str, Any]]:
        """Its JSON lines; it must end well."""
        done = self.run(user, *words)
        assert done.returncode == 0, done.stderr
        return [orjson.loads(line) for line in done.stdout.splitlines()]

    def until(self, user: str, *words: str, seen: Callable[[list[dict[str, Any]]], Any]) -> Any:
        """Ask again until it is seen."""
        end = time.monotonic() + 120
        while not (found := seen(self.told(user, *words))):
            assert time.monotonic() < end, (user, words)
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A secure cluster with the permissions that `topics acl --apply` gives, and one worker of each agent at work."""
    folder = tmp_path_factory.mktemp("secured")
    places = {f"MAILWEIR_{name.upper()}": str(folder / name) for name in ("registry", "ledger", "trainer_dir")}
    with KafkaCluster(secure=True) as cluster:
        desk = Desk(cluster, places)
        asyncio.run(topics.apply(settings_of(cluster, "admin"), partitions=1))
        assert "permissions of 11 users" in desk.run("admin", "topics", "acl", "--apply").stdout
        [added] = desk.told("operator", "models", "add", str(shipped_bundle()), "--json")
        desk.run("operator", "models", "promote", added["version"], "--why", "the first").check_returncode()
        with Fleet(folder, places | EAGER) as fleet:
            for stage in STAGES:
                fleet.add(stage, **environment_of(cluster, stage)).start()
            for worker in fleet.workers:
                worker.wait_ready()
            yield desk
            assert [worker.process.poll() for worker in fleet.workers if worker.process] == [None] * len(STAGES)


def test_each_does_its_work_with_its_own_user_alone(desk: Desk) -> None:
    """Sent, parsed, decided, asked about, answered, kept, called for and run: seven steps, each of which only one user could do."""
    desk.run("sender", "send", str(SAMPLES / "en/work-complaint.eml"), "--mailbox", "sales").check_returncode()
    [decision] = desk.told("watcher", "watch", "--json", "--from-beginning", "--count", "1", "--timeout", "60")
    question = desk.until("reviewer", "review", "next", "--json", seen=lambda found: found and found[0])
    assert question["decision_id"] == decision["decision_id"]
    answer = ("review", "answer", decision["decision_id"], "--set", "category=finance", "--person", "u-1")
    assert desk.told("reviewer", *answer)[0]["person"] == "u-1"
    [run] = desk.until(
        "operator", "retrain", "status", "--json", seen=lambda found: [r for r in found[0]["runs"] if r["outcome"]]
    )
    assert run["outcome"] in {"refused", "failed"}


def test_the_operator_sees_what_was_rejected(desk: Desk) -> None:
    """A poisoned file goes to the dead letters by ingest's user, where the operator reads it and the sender does not."""
    poison = str(SAMPLES / "poison/not-a-mail.bin")
    desk.run("sender", "send", poison, "--as-is", "--mailbox", "sales").check_returncode()
    assert desk.until("operator", "dead", "list", "--json", seen=lambda found: found)[0]["code"] == "not_a_mail"
    assert "user sender may not see" in desk.run("sender", "dead", "list").stderr


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("sender", ("watch", "--count", "1", "--timeout", "1")),
        ("watcher", ("send", str(SAMPLES / "en/work-complaint.eml"))),
        ("watcher", ("review", "next", "--json")),
        ("reviewer", ("send", str(SAMPLES / "en/work-complaint.eml"))),
        ("reviewer", ("retrain", "now", "--why", "I say so")),
        ("operator", ("send", str(SAMPLES / "en/work-complaint.eml"))),
        ("client", ("review", "next", "--json")),
        ("ingest", ("topics", "acl", "--apply")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_command_of_somebody_else_is_refused_in_one_line(desk: Desk, user: str, words: tuple[str, ...]) -> None:
    """What a party does not do it may not do, and the message is for people."""
    done = desk.run(user, *words)
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1, done.stderr
