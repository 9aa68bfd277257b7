"""The class data archive (CDS) beside the jars: with it a JVM starts in half the time."""

from pathlib import Path

from mailweir.services.broker.cluster import KafkaCluster
from mailweir.services.broker.jars import Jars


def build_archive(libs: Path | None = None) -> Path | None:
    """Run one broker once and keep what it loaded; None where this Java cannot write an archive (Kafka then starts slower)."""
    archive = Jars.of(libs).archive
    archive.unlink(missing_ok=True)
    draft = archive.with_name(f".{archive.name}")
    cluster = KafkaCluster(libs=libs, jvm_options=[f"-XX:ArchiveClassesAtExit={draft}"])
    cluster.start()
    cluster.stop(graceful=True)  # the JVM writes the archive when it ends in order
    return draft.replace(archive) if draft.exists() else None
