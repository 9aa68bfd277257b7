import json
import os
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from mailweir.schemas.errors import KafkaSetupError
from mailweir.schemas.topics import TOPICS
from mailweir.services.broker import AclBinding, ports, users, wire
from mailweir.services.broker.config import LARGEST_BATCH, LARGEST_RECORD, Place, Security, server_properties
from mailweir.services.broker.folder import Folder, Ports, State
from mailweir.services.broker.jars import Jars
from mailweir.services.broker.java import find_java
from mailweir.services.broker.tls import Certificates

PORTS = (Ports(21_000, 21_001),)


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JAVA_HOME whose java is still to be written."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return java


def write_java(java: Path, version: str) -> None:
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    java.chmod(0o755)


def places(count: int) -> list[Place]:
    return [Place(node, 21_000 + node, 22_000 + node, Path(f"/data/node{node}")) for node in range(1, count + 1)]


@pytest.mark.parametrize("version", ["17.0.15", "21", "25.0.1"])
def test_java_of_java_home_is_used(fake_java: Path, version: str) -> None:
    """JAVA_HOME decides which Java runs the broker, from 17 on."""
    write_java(fake_java, version)
    assert find_java() == fake_java


@pytest.mark.parametrize(("version", "number"), [("11.0.2", "11"), ("1.8.0_392", "8")])
def test_old_java_is_refused(fake_java: Path, version: str, number: str) -> None:
    """A Java older than 17 is named with its version and the package that brings a newer one."""
    write_java(fake_java, version)
    with pytest.raises(KafkaSetupError, match=rf"17 or newer.* is {number}; .*apt install default-jre-headless"):
        find_java()


def test_java_home_without_java_is_refused(fake_java: Path) -> None:
    """A JAVA_HOME without a java is an error, not a reason to take another one."""
    with pytest.raises(KafkaSetupError, match=f"JAVA_HOME is {fake_java.parents[1]}"):
        find_java()


def test_missing_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without any Java the message says which package to install."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaSetupError, match="apt install default-jre-headless"):
        find_java()


def test_missing_jars_are_named(tmp_path: Path) -> None:
    """A folder without Kafka's jars is refused with both ways to fill it."""
    with pytest.raises(KafkaSetupError, match="make setup") as refused:
        Jars.of(tmp_path)
    assert "mvn -q -B -f deploy/kafka/pom.xml dependency:copy-dependencies" in refused.value.message
    assert f"-DoutputDirectory={tmp_path}" in refused.value.message


def test_missing_openssl_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secure cluster without openssl says which package to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaSetupError, match="apt install openssl"):
        Certificates(tmp_path / "tls").ensure()


def test_certificates_keep_no_authority_key(tmp_path: Path) -> None:
    """Only the authority's certificate and the node's file remain, and the node's is for its owner alone."""
    certificates = Certificates(tmp_path / "tls")
    certificates.ensure()
    before = certificates.node.read_bytes()
    certificates.ensure()
    assert sorted(file.name for file in certificates.folder.iterdir()) == ["ca.pem", "node.pem"]
    assert stat.S_IMODE(certificates.node.stat().st_mode) == 0o600
    assert certificates.node.read_bytes() == before


def test_drawn_ports_are_free_and_different() -> None:
    """Ports are drawn free, each once, outside those to avoid and below the kernel's own range."""
    drawn = ports.draw(20, avoid=range(20_000, 22_000))
    assert len(set(drawn)) == 20
    assert not ports.taken(drawn)
    assert min(drawn) >= 22_000
    assert max(drawn) < 30_000


def test_taken_ports_are_told() -> None:
    """A port on which somebody listens is told from a free one."""
    (free,) = ports.draw(1)
    with socket.create_server((ports.HOST, 0)) as server:
        busy = server.getsockname()[1]
        assert ports.taken([free, busy]) == [busy]


@pytest.mark.parametrize(("nodes", "copies", "in_sync"), [(1, "1", "1"), (2, "2", "1"), (3, "3", "2"), (5, "3", "2")])
def test_replication_follows_the_number_of_nodes(nodes: int, copies: str, in_sync: str) -> None:
    """From three nodes on a topic has three copies of which two confirm."""
    cluster = places(nodes)
    properties = server_properties(cluster[0], cluster, None)
    assert properties["default.replication.factor"] == copies
    assert properties["min.insync.replicas"] == in_sync
    assert properties["offsets.topic.replication.factor"] == copies


def test_settings_agree_on_the_largest_record() -> None:
    """A record of 26 MiB passes every limit on its way: batch, copy, segment and request."""
    properties = server_properties(places(1)[0], places(1), None)
    assert LARGEST_RECORD == 26 * 1024 * 1024
    assert LARGEST_BATCH > LARGEST_RECORD
    limits = ("message.max.bytes", "replica.fetch.max.bytes", "log.segment.bytes", "socket.request.max.bytes")
    assert all(int(properties[limit]) >= LARGEST_BATCH for limit in limits)
    assert properties["auto.create.topics.enable"] == "false"


def test_secure_settings_deny_by_default(tmp_path: Path) -> None:
    """A secure node has no listener without encryption and allows nothing that no permission allows."""
    security = Security(Certificates(tmp_path), {"admin": "hidden"})
    properties = server_properties(places(1)[0], places(1), security)
    assert "PLAINTEXT" not in properties["listener.security.protocol.map"]
    assert properties["allow.everyone.if.no.acl.found"] == "false"
    assert "hidden" not in repr(security)


def test_passwords_are_random_and_private(tmp_path: Path) -> None:
    """Every cluster has passwords of its own, in a file that only its owner reads, and keeps them."""
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    passwords = users.load_or_create(first)
    assert set(passwords) == set(users.USERS)
    assert len(set(passwords.values()) | set(users.load_or_create(second).values())) == 2 * len(users.USERS)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert users.load_or_create(first) == passwords


def test_every_party_of_the_topics_table_has_a_user() -> None:
    """Agents, trainer and client are users of their own; beside them an administrator and one who may do nothing."""
    parties = {party for topic in TOPICS for party in (*topic.writers, *topic.readers)}
    assert {*users.USERS} == parties | {users.ADMIN, "intruder"}


def test_access_hides_its_password() -> None:
    """A printed access shows who connects where, not with which password."""
    access = users.Access("127.0.0.1:9092", "SASL_SSL", users.MECHANISM, "ingest", "hidden", Path("ca.pem"))
    assert "ingest" in repr(access)
    assert "hidden" not in repr(access)


def test_state_survives(tmp_path: Path) -> None:
    """What was saved of a cluster is what is loaded."""
    folder = Folder(tmp_path)
    state = State.new(secure=True, ports=PORTS)
    folder.save(state)
    assert folder.load(1, secure=True) == state
    assert len(state.cluster_id) == 22


@pytest.mark.parametrize(
    ("nodes", "secure", "message"),
    [
        (3, False, "a cluster of 1 node, not 3; start it with --nodes 1 and without --secure, or choose another --dir"),
        (
            1,
            True,
            "a cluster that is not secure; start it with --nodes 1 and without --secure, or choose another --dir",
        ),
    ],
)
def test_folder_of_another_kind_is_refused(tmp_path: Path, nodes: int, secure: bool, message: str) -> None:  # noqa: FBT001
    """A folder made with other nodes or another security says so, and how to start it."""
    folder = Folder(tmp_path)
    folder.save(State.new(secure=False, ports=PORTS))
    with pytest.raises(KafkaSetupError) as refused:
        folder.load(nodes, secure=secure)
    assert refused.value.message == f"{tmp_path} holds {message}"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', json.dumps({"format": 1, "cluster_id": "x", "secure": False, "ports": [1]})]
)
def test_damaged_state_is_refused(tmp_path: Path, text: str) -> None:
    """A state file that is not ours is an error with a remedy, never an empty cluster."""
    (tmp_path / "cluster.json").write_text(text)
    with pytest.raises(KafkaSetupError, match="is damaged"):
        Folder(tmp_path).load(1, secure=False)


def test_later_state_is_refused(tmp_path: Path) -> None:
    """A state file of a later version is named as that."""
    (tmp_path / "cluster.json").write_text('{"format": 2}')
    with pytest.raises(KafkaSetupError, match="is of format 2, this version reads 1"):
        Folder(tmp_path).load(1, secure=False)


def test_folder_with_foreign_files_is_refused(tmp_path: Path) -> None:
    """Kafka's data are never mixed into a folder of something else."""
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(KafkaSetupError, match="holds other files"):
        Folder(tmp_path).hold()
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_folder_is_held_once(tmp_path: Path) -> None:
    """A held folder is refused with the process that holds it, and can be held again once released."""
    first, second = Folder(tmp_path), Folder(tmp_path)
    first.hold()
    with pytest.raises(KafkaSetupError, match=rf"in use by a running broker \(process {os.getpid()}\)"):
        second.hold()
    first.release()
    second.hold()
    second.release()


def test_unusable_folder_is_refused(tmp_path: Path) -> None:
    """A path that is a file is no folder for data."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(KafkaSetupError, match="cannot be used for Kafka's data"):
        Folder(file).hold()


def test_binding_is_encoded_as_kafka_numbers_it() -> None:
    """A binding becomes resource type, name, pattern, principal, host, operation and permission by Kafka's numbers."""
    binding = AclBinding("ingest", "topic", "mail.", "prefixed", "read")
    assert binding.encode() == (2, "mail.", 4, "User:ingest", "*", 3, 3)


def test_metadata_is_understood() -> None:
    """Brokers, their addresses and the controller are read from a Metadata answer; a null rack is no obstacle."""
    answer = struct.pack(">ii", 1, 7) + struct.pack(">h", 4) + b"host" + struct.pack(">ihi", 9092, -1, 7)
    assert wire._parse_metadata(answer) == wire.Seen(7, {7: ("host", 9092)})


def test_module_command_tells_its_usage() -> None:
    """The module's one command is for `make setup`; anything else is a usage error."""
    done = subprocess.run(
        [sys.executable, "-m", "mailweir.services.broker", "up"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: python -m mailweir.services.broker cds" in done.stderr
