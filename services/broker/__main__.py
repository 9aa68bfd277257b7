"""`python -m mailweir.services.broker cds [LIBS]`, for `make setup`: build the class data archive beside Kafka's jars."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker.archive import build_archive

_USAGE = "usage: python -m mailweir.services.broker cds [LIBS]"
_SET_UP_ERROR = 2


def main(arguments: Sequence[str]) -> int:
    """Build the archive; a Java that cannot write one is no failure."""
    match list(arguments):
        case ["cds"]:
            libs = None
        case ["cds", folder]:
            libs = Path(folder)
        case _:
            return _complain(_USAGE)
    try:
        archive = build_archive(libs)
    except KafkaSetupError as error:
        return _complain(str(error))
    sys.stdout.write(
        f"{archive or 'this Java cannot write a class data archive: Kafka starts without one, a second slower'}\n"
    )
    return 0


def _complain(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return _SET_UP_ERROR


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
