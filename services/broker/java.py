"""The Java that runs the broker: where it is, whether it is new enough, and the commands with the options that keep it small."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker.jars import Jars

OLDEST_JAVA = 17  # every Kafka 4.x broker
_INSTALL = "install one with: apt install default-jre-headless"
_SIMPLE = "-Dorg.slf4j.simpleLogger"
_LOGGING = (
    f"{_SIMPLE}.defaultLogLevel=warn",
    f"{_SIMPLE}.log.kafka.server=info",
    f"{_SIMPLE}.log.kafka.server.KafkaConfig=warn",
    f"{_SIMPLE}.showDateTime=true",
    f"{_SIMPLE}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    f"{_SIMPLE}.logFile=System.out",
)
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java() -> Path:
    """Return the java of JAVA_HOME, or else the first on PATH; refuse a missing and a too old one."""
    java = _candidate()
    version = _major_version(java)
    if version < OLDEST_JAVA:
        raise KafkaSetupError(f"Kafka needs Java {OLDEST_JAVA} or newer, {java} is {version}; {_INSTALL}")
    return java


def _candidate() -> Path:
    if home := os.environ.get("JAVA_HOME"):
        java = Path(home) / "bin" / "java"
        if not os.access(java, os.X_OK):
            raise KafkaSetupError(f"JAVA_HOME is {home}, but {java} cannot be run; unset it, or {_INSTALL}")
        return java
    if found := shutil.which("java"):
        return Path(found)
    raise KafkaSetupError(f"no Java found, and Kafka needs {OLDEST_JAVA} or newer; {_INSTALL}")


@cache
def _major_version(java: Path) -> int:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KafkaSetupError(f"{java} -version failed ({error}); {_INSTALL}") from error
    found = _VERSION.search(answer.stderr + answer.stdout)
    if found is None:
        raise KafkaSetupError(f"{java} -version does not tell its version; {_INSTALL}")
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that runs Kafka, and Kafka's jars: together the commands."""

    executable: Path
    jars: Jars

    @classmethod
    def find(cls, libs: Path | None) -> Self:
        """Find both; a missing one raises KafkaSetupError with its remedy."""
        return cls(find_java(), Jars.of(libs))

    def broker(self, properties: Path, heap: str, options: Sequence[str] = ()) -> list[str]:
        """Return the command that runs a broker in the foreground."""
        return [*self._java(heap), *options, *self._main("kafka.Kafka"), str(properties)]

    def storage_tool(self, *arguments: str) -> list[str]:
        """Return the command of `kafka-storage`."""
        return [*self._java("128m"), *self._main("kafka.tools.StorageTool"), *arguments]

    def _java(self, heap: str) -> list[str]:
        archive = self.jars.archive
        shared = [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"] if archive.exists() else []
        return [str(self.executable), *_memory_options(heap), *_LOGGING, *shared]

    def _main(self, name: str) -> list[str]:
        return ["-cp", self.jars.class_path, name]


def _memory_options(heap: str) -> list[str]:
    """Return the options of a broker of one developer: one collector thread, one compiler, bounded everything.

    A socket's read goes through a direct buffer as large as the request that a thread reads, so direct memory must hold a
    record of 26 MiB for every network thread and replica fetcher.
    """
    return [
        f"-Xms{heap}",
        f"-Xmx{heap}",
        "-Xss512k",
        "-XX:MaxDirectMemorySize=256m",
        "-XX:MaxMetaspaceSize=160m",
        "-XX:ReservedCodeCacheSize=48m",
        "-XX:+UseSerialGC",
        # The first compiler only: a secure node is up after 2.6 s of CPU time instead of 4.6 s. It knows no AES instructions, so
        # large records over TLS pass at 17 MB/s instead of 45: enough here; jvm_options can take it back (=4).
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
    ]
