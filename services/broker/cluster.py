"""A real Apache Kafka (KRaft, broker and controller in one process) on this machine, without Docker."""

import asyncio
import ssl
import tempfile
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from types import TracebackType
from typing import Self

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker import ports, users, wire
from mailweir.services.broker.acl import AclBinding, await_brokers, create_acls
from mailweir.services.broker.config import Place, Security
from mailweir.services.broker.folder import Folder, Ports, State
from mailweir.services.broker.install import install
from mailweir.services.broker.java import Java
from mailweir.services.broker.node import Node
from mailweir.services.broker.tls import Certificates
from mailweir.services.broker.users import Access

_ATTEMPTS = 3  # another program may take a drawn port before the broker does
_PROBE_S = 0.03
_PORT_LOST = "Address already in use"


@dataclass(kw_only=True, eq=False)
class KafkaCluster:
    """Nodes of one cluster; a context manager that starts and stops them.

    Every JVM dies with this process, however this process dies. Nodes are numbered from 1.
    """

    nodes: int = 1
    secure: bool = False  # SCRAM-SHA-512 over TLS, a user per agent, and nothing allowed but `acls`
    acls: Sequence[AclBinding] = ()  # created at every start of a secure cluster
    directory: Path | None = None  # None: a temporary folder, deleted at the end
    port: int | None = None  # of node 1; node 2 has the next one, and so on; None: free ones, kept over restarts
    libs: Path | None = None  # folder of Kafka's jars; None: the one of `make setup`
    heap: str = "256m"  # of each JVM
    jvm_options: Sequence[str] = ()
    start_timeout_s: float = 60.0

    _folder: Folder = field(init=False, repr=False)
    _java: Java = field(init=False, repr=False)
    _security: Security | None = field(init=False, repr=False, default=None)
    _nodes: dict[int, Node] = field(init=False, repr=False, default_factory=dict)

    @property
    def path(self) -> Path:
        """The folder of the cluster, once started."""
        return self._folder.path

    @property
    def bootstrap(self) -> str:
        """Addresses of all nodes, with commas between, as every Kafka client takes them."""
        return ",".join(f"{ports.HOST}:{node.place.port}" for node in self._nodes.values())

    @property
    def users_file(self) -> Path:
        """The file with the passwords of a secure cluster: JSON, user → password, readable by its owner only."""
        return self.path / "users.json"

    @property
    def pids(self) -> list[int]:
        """Process ids of the JVMs, in the order of the nodes."""
        return [node.jvm for node in self._nodes.values()]

    def access(self, user: str = users.ADMIN) -> Access:
        """Return what a client needs to connect; the user matters in a secure cluster only."""
        if self._security is None:
            return Access(self.bootstrap)
        password = self._security.passwords[user]
        authority = self._security.certificates.authority
        return Access(self.bootstrap, "SASL_SSL", users.MECHANISM, user, password, authority)

    def start(self) -> Self:
        """Start all nodes and return when the cluster takes requests; KafkaSetupError says what is in the way."""
        if any(node.running for node in self._nodes.values()):
            raise RuntimeError("the cluster is running already")
        self._java = Java.find(self.libs)
        self._folder = Folder(self._choose_folder())
        with ExitStack() as undo:
            undo.callback(self.stop, graceful=False)
            try:
                self._folder.hold()
                self._launch()
            except OSError as error:
                raise self._folder.unusable(error) from error
            undo.pop_all()
        return self

    def stop(self, *, graceful: bool | None = None) -> None:
        """Stop all nodes; a temporary cluster is killed, since its data go with it, any other one shuts down in order."""
        in_order = self.directory is not None if graceful is None else graceful
        # All at once: a node that is stopped last has no quorum of controllers to say goodbye to.
        _each([node.stop if in_order else node.kill for node in self._nodes.values()])
        self._folder.release()
        if self.directory is None:
            self._folder.remove()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def kill(self, node: int) -> None:
        """Crash a node (SIGKILL)."""
        self._nodes[node].kill()

    def pause(self, node: int) -> None:
        """Hang a node (SIGSTOP): its connections stay open, its session times out."""
        self._nodes[node].signal(SIGSTOP)

    def resume(self, node: int) -> None:
        """Let a paused node go on."""
        self._nodes[node].signal(SIGCONT)

    def stop_node(self, node: int) -> None:
        """Let a node shut down in order."""
        self._nodes[node].stop()

    def start_node(self, node: int, *, wait: bool = True) -> None:
        """Start a node that was killed or stopped, and wait until it is back in the cluster."""
        self._spawn(self._nodes[node])
        if wait:
            self.wait_ready([node])

    def wait_ready(self, nodes: Collection[int] | None = None) -> None:
        """Wait until these nodes (default: all) take requests, know a controller and are registered with it."""
        wanted = set(self._nodes if nodes is None else nodes)
        deadline = time.monotonic() + self.start_timeout_s
        probe = self._probe(wanted)
        for number in sorted(wanted):
            while not probe(self._nodes[number].place):
                self._check(self._nodes[number], deadline)
                time.sleep(_PROBE_S)
        if self._security is not None:
            _run(await_brokers(self.access(), wanted, self.start_timeout_s))

    def dead(self) -> list[int]:
        """Return the nodes whose process has ended."""
        return [number for number, node in self._nodes.items() if not node.running]

    def log(self, node: int) -> str:
        """Return what a node printed since its last start."""
        return self._nodes[node].log()

    def why(self, node: int) -> str:
        """Return how a node ended, where its log is, and what it says about the cause."""
        own = self._nodes[node]
        return f"{own.how()}; its log is {own.place.log}\n{own.why()}".rstrip()

    def _choose_folder(self) -> Path:
        if self.directory is None:
            return Path(tempfile.mkdtemp(prefix="mailweir-kafka-"))
        return self.directory.expanduser().resolve()

    def _launch(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self._install(redraw=attempt > 1)
            try:
                self._start_all()
            except KafkaSetupError:
                lost = any(_PORT_LOST in node.log() for node in self._nodes.values())
                if not lost or attempt == _ATTEMPTS:
                    raise
                _each([node.kill for node in self._nodes.values()])
            else:
                return

    def _start_all(self) -> None:
        for node in self._nodes.values():
            self._spawn(node)
        self.wait_ready()
        if self._security is not None and self.acls:
            _run(create_acls(self.access(), self.acls))

    def _install(self, *, redraw: bool) -> None:
        """Settle what the cluster is and where it listens, and put that on disk."""
        known = self._folder.load(self.nodes, secure=self.secure)
        chosen = self._choose_ports(known.ports if known and not redraw else ())
        state = State(known.cluster_id, self.secure, chosen) if known else State.new(secure=self.secure, ports=chosen)
        self._folder.save(state)
        places = [
            Place(number, own.client, own.controller, self._folder.node(number))
            for number, own in enumerate(state.ports, start=1)
        ]
        self._security = self._secure() if self.secure else None
        install(self._java, places, self._security, state.cluster_id)
        throwaway = self.directory is None
        self._nodes = {place.node: Node(place, throwaway=throwaway, lock=self._folder.lock) for place in places}

    def _choose_ports(self, known: Sequence[Ports]) -> tuple[Ports, ...]:
        fixed = self._fixed_ports()
        clients = fixed or _keep_or_draw([own.client for own in known], self.nodes, avoid=())
        controllers = _keep_or_draw([own.controller for own in known], self.nodes, avoid=clients)
        return tuple(Ports(*pair) for pair in zip(clients, controllers, strict=True))

    def _fixed_ports(self) -> list[int]:
        if self.port is None:
            return []
        wanted = list(range(self.port, self.port + self.nodes))
        if wanted[0] < 1 or wanted[-1] > ports.LAST:
            raise KafkaSetupError(
                f"--port {self.port} is no TCP port for {self.nodes} node(s); choose 1024 to {ports.LAST}"
            )
        if busy := ports.taken(wanted):
            named = ", ".join(map(str, busy))
            raise KafkaSetupError(f"port {named} is in use by another program; stop it, or choose another with --port")
        return wanted

    def _secure(self) -> Security:
        certificates = Certificates(self.path / "tls")
        certificates.ensure()
        return Security(certificates, users.load_or_create(self.users_file))

    def _spawn(self, node: Node) -> None:
        options = [f"-Djava.io.tmpdir={node.place.scratch}", *self.jvm_options]
        node.start(self._java.broker(node.place.properties, self.heap, options))

    def _probe(self, wanted: Collection[int]) -> Callable[[Place], bool]:
        if self._security is None:
            return lambda place: _knows(place, wanted)
        trust = self._security.certificates.trust()
        return lambda place: _answers(place, trust)

    def _check(self, node: Node, deadline: float) -> None:
        name = f"Kafka node {node.place.node}"
        if not node.running:
            raise KafkaSetupError(f"{name} {node.how()} before it was ready; from {node.place.log}:\n{node.why()}")
        if time.monotonic() > deadline:
            raise KafkaSetupError(f"{name} is not ready after {self.start_timeout_s:.0f} s:\n{node.why()}")


def _knows(place: Place, wanted: Collection[int]) -> bool:
    try:
        seen = wire.probe_metadata(ports.HOST, place.port)
    except OSError:
        return False
    return seen.controller >= 0 and set(wanted) <= set(seen.brokers)


def _answers(place: Place, trust: ssl.SSLContext) -> bool:
    """Tell whether the node speaks TLS with the right certificate; what it knows can be asked only after a login."""
    try:
        wire.probe_versions(ports.HOST, place.port, tls=trust)
    except OSError:
        return False
    return True


def _keep_or_draw(known: Sequence[int], count: int, *, avoid: Collection[int]) -> list[int]:
    """Return the known ports when all are still free, or else new ones."""
    if known and not ports.taken(known) and not set(known) & set(avoid):
        return list(known)
    return ports.draw(count, avoid)


def _each(actions: Sequence[Callable[[], None]]) -> None:
    """Do all at the same time; the first failure is raised after the last has ended."""
    if actions:
        with ThreadPoolExecutor(len(actions)) as pool:
            for done in [pool.submit(action) for action in actions]:
                done.result()


def _run(work: Coroutine[None, None, None]) -> None:
    """Run to the end, also when the caller is itself inside an event loop (a test's)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
    else:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, work).result()
