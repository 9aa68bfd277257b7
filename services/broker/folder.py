"""The folder of a cluster: who holds it, and what cluster is in it."""

import base64
import errno
import fcntl
import json
import os
import shutil
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from mailweir.schemas.errors import KafkaSetupError

_FORMAT = 1
_LEAVING_S = 15.0  # a killed owner's brokers are given 10 s by their guards


@dataclass(frozen=True, slots=True)
class Ports:
    """One node's ports."""

    client: int
    controller: int


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of a cluster between two starts."""

    cluster_id: str
    secure: bool
    ports: tuple[Ports, ...]  # of node 1, 2, …

    @classmethod
    def new(cls, *, secure: bool, ports: tuple[Ports, ...]) -> Self:
        """Return the state of a cluster that never ran."""
        return cls(_new_cluster_id(), secure, ports)

    def write(self, file: Path) -> None:
        """Replace the file at once, so that it is never half written."""
        draft = file.with_suffix(".tmp")
        draft.write_text(json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n")
        draft.replace(file)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `write` wrote; refuse anything else."""
        try:
            state = json.loads(file.read_text())
            if state["format"] != _FORMAT:
                raise KafkaSetupError(f"{file} is of format {state['format']}, this version reads {_FORMAT}")
            ports = tuple(Ports(**one) for one in state["ports"])
            return cls(str(state["cluster_id"]), bool(state["secure"]), ports)
        except (ValueError, KeyError, TypeError) as error:
            raise KafkaSetupError(
                f"{file} is damaged ({error!r}); move the folder away to start an empty one"
            ) from error


class Folder:
    """A cluster's folder, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Name a folder without touching it."""
        self.path = path
        self._lock: int | None = None

    @property
    def lock(self) -> int:
        """The descriptor of the held lock file; every process that inherits it keeps the folder held."""
        if self._lock is None:
            raise RuntimeError("the folder is not held")
        return self._lock

    def node(self, number: int) -> Path:
        """Return the folder of one node."""
        return self.path / f"node{number}"

    def hold(self) -> None:
        """Create the folder and take its lock; refuse a folder with foreign files or one in use.

        After a kill -9 the guards still hold the lock until their JVMs are down: with the owner gone they are waited for.
        """
        self._create()
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _LEAVING_S
        while not _locked(lock):
            owner = os.pread(lock, 32, 0).decode()
            if _alive(owner) or time.monotonic() > deadline:
                os.close(lock)
                raise KafkaSetupError(
                    f"{self.path} is in use by a running broker (process {owner or 'unknown'}); stop it, or choose another --dir"
                )
            time.sleep(0.1)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def release(self) -> None:
        """Give the folder back; does nothing when it is not held."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self, nodes: int, *, secure: bool) -> State | None:
        """Return the state of the cluster in the folder, None for an empty one; refuse a cluster of another kind."""
        file = self.path / "cluster.json"
        if not file.exists():
            return None
        state = State.read(file)
        if len(state.ports) != nodes:
            raise KafkaSetupError(
                f"{self.path} holds a cluster of {_nodes(len(state.ports))}, not {nodes}; {_remedy(state)}"
            )
        if state.secure != secure:
            raise KafkaSetupError(
                f"{self.path} holds a cluster that is {'' if state.secure else 'not '}secure; {_remedy(state)}"
            )
        return state

    def save(self, state: State) -> None:
        """Remember the state."""
        state.write(self.path / "cluster.json")

    def remove(self) -> None:
        """Delete the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def unusable(self, error: OSError) -> KafkaSetupError:
        """What a failure to read or write in here means for the user."""
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return KafkaSetupError(
                f"no space is left for Kafka's data in {self.path}: free some, or choose another --dir"
            )
        return KafkaSetupError(f"{self.path} cannot be used for Kafka's data: {error.strerror or error}")

    def _create(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            foreign = any(self.path.iterdir()) and not (self.path / "lock").exists()
        except OSError as error:
            raise self.unusable(error) from error
        if foreign:
            raise KafkaSetupError(f"{self.path} holds other files; choose an empty or new folder with --dir")


def _new_cluster_id() -> str:
    while True:
        candidate = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not candidate.startswith("-"):  # the storage tool would take it for an option
            return candidate


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(owner: str) -> bool:
    if not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"


def _remedy(state: State) -> str:
    options = f"--nodes {len(state.ports)}{' --secure' if state.secure else ''}"
    return f"start it with {options}{'' if state.secure else ' and without --secure'}, or choose another --dir"
