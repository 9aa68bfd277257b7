"""What lies on disk before a node's first start: its settings, and a data folder that Kafka calls formatted."""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker import config
from mailweir.services.broker.config import Place, Security
from mailweir.services.broker.java import Java
from mailweir.services.broker.users import scram_arguments

_CHECKPOINT = "bootstrap.checkpoint"
_FORMAT_TIMEOUT_S = 60.0


def install(java: Java, cluster: Sequence[Place], security: Security | None, cluster_id: str) -> None:
    """Write every node's settings, and format the data folders that are new."""
    for place in cluster:
        place.folder.mkdir(exist_ok=True)
        _write_private(place.properties, config.render(config.server_properties(place, cluster, security)))
    new = [place for place in cluster if not (place.data / "meta.properties").exists()]
    if new:
        checkpoint = _first_metadata(java, new[0], security, cluster_id)
        for place in new:
            _format(place, checkpoint, cluster_id)


def _first_metadata(java: Java, place: Place, security: Security | None, cluster_id: str) -> bytes:
    """Return the first metadata of the cluster; the storage tool takes a second, so a plain cluster's is kept."""
    kept = java.jars.checkpoint
    if security is None and kept.exists():
        return kept.read_bytes()
    _run_storage_tool(java, place, security, cluster_id)
    checkpoint = (place.data / _CHECKPOINT).read_bytes()
    if security is None:
        _keep(checkpoint, kept)
    return checkpoint


def _format(place: Place, checkpoint: bytes, cluster_id: str) -> None:
    """Make the data folder as the storage tool would; meta.properties comes last, since it stands for 'formatted'."""
    place.data.mkdir(exist_ok=True)
    _write_private(place.data / _CHECKPOINT, checkpoint)
    # Without a directory.id, which the broker adds by itself: it must differ between nodes.
    (place.data / "meta.properties").write_text(f"version=1\ncluster.id={cluster_id}\nnode.id={place.node}\n")


def _run_storage_tool(java: Java, place: Place, security: Security | None, cluster_id: str) -> None:
    arguments = place.folder / "format.arguments"  # a file, for passwords on a command line are read by everybody
    _write_private(arguments, "\n".join(scram_arguments(security.passwords)) if security else "")
    command = java.storage_tool("format", "-t", cluster_id, "-c", str(place.properties))
    try:
        done = subprocess.run(  # noqa: S603 (the command is our own)
            [*command, f"@{arguments}"] if security else command,
            capture_output=True,
            text=True,
            timeout=_FORMAT_TIMEOUT_S,
            check=False,
        )
    finally:
        arguments.unlink()
    if done.returncode:
        raise KafkaSetupError(f"Kafka's storage tool could not format {place.data}:\n{done.stderr.strip()}")


def _keep(checkpoint: bytes, kept: Path) -> None:
    with suppress(OSError):  # a read-only folder costs a second at the next new cluster, no more
        draft = kept.with_name(f".{kept.name}.{id(checkpoint)}")
        draft.write_bytes(checkpoint)
        draft.replace(kept)


def _write_private(file: Path, content: str | bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
