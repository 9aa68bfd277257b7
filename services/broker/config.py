"""server.properties of one node: a real broker and controller in one process, sized for a developer's machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailweir.services.broker.ports import HOST
from mailweir.services.broker.tls import NODE_PRINCIPAL, Certificates
from mailweir.services.broker.users import ADMIN, MECHANISM

MIB = 1024 * 1024
LARGEST_RECORD = 26 * MIB
LARGEST_BATCH = LARGEST_RECORD + 2 * MIB  # key, headers, dead letter's cause, and the batch around them
LARGEST_REQUEST = 100 * MIB

_LOGIN = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="{user}" password="{password}";'


@dataclass(frozen=True, slots=True)
class Place:
    """Where one node lives."""

    node: int  # its id, from 1
    port: int  # for clients and brokers
    controller_port: int
    folder: Path

    @property
    def data(self) -> Path:
        """The log directory."""
        return self.folder / "data"

    @property
    def properties(self) -> Path:
        """The node's settings; holds the brokers' password in a secure cluster."""
        return self.folder / "server.properties"

    @property
    def log(self) -> Path:
        """What the JVM prints."""
        return self.folder / "kafka.log"

    @property
    def scratch(self) -> Path:
        """Where the JVM unpacks its native libraries; a killed one leaves them, so it is not the machine's /tmp."""
        return self.folder / "tmp"


@dataclass(frozen=True, slots=True)
class Security:
    """What makes a cluster secure."""

    certificates: Certificates
    passwords: Mapping[str, str] = field(repr=False)


def server_properties(place: Place, cluster: Sequence[Place], security: Security | None) -> dict[str, str]:
    """Return every setting of one node that differs from Kafka's defaults."""
    listeners = _secure_listeners(security) if security else _plain_listeners()
    return {
        **_identity(place, cluster),
        **listeners,
        **_replication(len(cluster)),
        **_sizes(),
        **_thrift(),
        **_pace(len(cluster)),
    }


def render(properties: Mapping[str, str]) -> str:
    """Return the settings as the text of a properties file."""
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _identity(place: Place, cluster: Sequence[Place]) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": str(place.node),
        "broker.rack": f"rack-{place.node}",
        "controller.quorum.voters": ",".join(f"{one.node}@{HOST}:{one.controller_port}" for one in cluster),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"CLIENT://{HOST}:{place.port},CONTROLLER://{HOST}:{place.controller_port}",
        "advertised.listeners": f"CLIENT://{HOST}:{place.port}",
        "inter.broker.listener.name": "CLIENT",
        "log.dirs": str(place.data),
        # A topic exists because somebody declared it: with auto-creation a typing error is a topic of one partition.
        "auto.create.topics.enable": "false",
    }


def _replication(nodes: int) -> dict[str, str]:
    copies, in_sync = (3, 2) if nodes >= 3 else (nodes, 1)
    internal = ("transaction.state.log", "share.coordinator.state.topic")
    return {
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(copies),
        "unclean.leader.election.enable": "false",
        # a reader that names its rack is sent to the copy there (KIP-392)
        "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
        **{f"{topic}.replication.factor": str(copies) for topic in internal},
        **{f"{topic}.min.isr": str(in_sync) for topic in internal},
    }


def _sizes() -> dict[str, str]:
    return {
        "message.max.bytes": str(LARGEST_BATCH),
        "replica.fetch.max.bytes": str(LARGEST_BATCH),
        # Kafka's own default, and so what other clusters allow. A produce request holds one batch of every partition that the
        # node leads: a producer of large records has to bound the bytes that it has in flight.
        "socket.request.max.bytes": str(LARGEST_REQUEST),
        # All requests that wait in memory: without a bound ten large ones at once would not fit the heap.
        "queued.max.request.bytes": str(LARGEST_REQUEST),
        # Not below the largest batch, which has to fit a segment.
        "log.segment.bytes": str(64 * MIB),
        "log.index.size.max.bytes": str(MIB),
    }


def _thrift() -> dict[str, str]:
    """Fewer threads, partitions and buffers than a server needs."""
    return {
        "num.network.threads": "2",
        "num.io.threads": "3",
        "background.threads": "2",
        "log.cleaner.dedupe.buffer.size": str(2 * MIB),
        "log.cleaner.io.buffer.size": str(64 * 1024),
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "4",
    }


def _pace(nodes: int) -> dict[str, str]:
    pace = {
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # After a crash a broker cannot register again before its old session has ended (default 9 s).
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
    }
    if nodes == 1:
        return pace
    return pace | {
        "controller.quorum.election.timeout.ms": "500",
        "controller.quorum.fetch.timeout.ms": "1000",
        "controller.quorum.election.backoff.max.ms": "500",
        "replica.lag.time.max.ms": "5000",
    }


def _plain_listeners() -> dict[str, str]:
    return {"listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT"}


def _secure_listeners(security: Security) -> dict[str, str]:
    """CLIENT: TLS and a password, for brokers too. CONTROLLER: both sides show the node's certificate."""
    login = _LOGIN.format(user=ADMIN, password=security.passwords[ADMIN])
    return {
        "listener.security.protocol.map": "CLIENT:SASL_SSL,CONTROLLER:SSL",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        "listener.name.client.scram-sha-512.sasl.jaas.config": login,
        "listener.name.client.ssl.client.auth": "none",
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(security.certificates.node),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(security.certificates.authority),
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN};User:{NODE_PRINCIPAL}",
    }
