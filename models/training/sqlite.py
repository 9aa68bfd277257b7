"""Stores that other packages keep in a file of SQLite."""

from pathlib import Path

_MAGIC = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, 1.3


def is_sqlite(file: Path) -> bool:
    """False for a file of anything else, which a package would write over or break on."""
    with file.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC
