"""Kafka itself: the jars that Maven fetched into one folder, and what is kept beside them to start faster."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from mailweir.schemas.errors import KafkaSetupError

_POM = "deploy/kafka/pom.xml"


def default_folder() -> Path:
    """Return the folder inside the virtual environment where `make setup` puts Kafka's jars."""
    return Path(sys.prefix) / "share" / "mailweir" / "kafka"


@dataclass(frozen=True, slots=True)
class Jars:
    """A folder with everything that a broker's class path needs."""

    folder: Path
    paths: tuple[Path, ...]  # sorted: the archive of classes compares the class path literally

    @classmethod
    def of(cls, folder: Path | None = None) -> "Jars":
        """Look into the folder (default: the one of `make setup`); refuse one without a broker in it."""
        chosen = (folder or default_folder()).resolve()
        paths = tuple(sorted(chosen.glob("*.jar")))
        if not any(path.name.startswith("kafka_") for path in paths):
            raise KafkaSetupError(
                f"Kafka's jars are not in {chosen}; run `make setup`, or: mvn -q -B -f {_POM} "
                f"dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory={chosen}"
            )
        return cls(chosen, paths)

    @property
    def class_path(self) -> str:
        """The value of java's -cp."""
        return os.pathsep.join(map(str, self.paths))

    @property
    def version(self) -> str:
        """Scala's and Kafka's version as in the broker's jar, such as 2.13-4.3.1."""
        return next(path.stem.removeprefix("kafka_") for path in self.paths if path.name.startswith("kafka_"))

    @property
    def archive(self) -> Path:
        """The class data archive (CDS); may be absent."""
        return self.folder / "kafka.jsa"

    @property
    def checkpoint(self) -> Path:
        """The first metadata of a cluster without users, as Kafka's storage tool writes it; may be absent."""
        return self.folder / f"{self.version}.checkpoint"
