"""The sample mails that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mailweir.schemas.ids import email_id

__all__ = ["FOLDER", "Sample", "samples"]

FOLDER = Path(str(resources.files("mailweir.services.cli") / "samples"))
"""Where they are; `poison` in it holds what must end as a dead letter."""

_FOLDERS = {"en": "English", "tr": "Turkish", "poison": "poison"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample."""

    name: str  # folder and file
    kind: str  # English, Turkish or poison
    value: bytes

    def email_id(self) -> str:
        """The id that ingest gives it where no mailbox is named."""
        return email_id("", self.value)


def samples() -> list[Sample]:
    """All of them, folder by folder."""
    return [
        Sample(f"{folder}/{path.stem}", kind, path.read_bytes())
        for folder, kind in _FOLDERS.items()
        for path in sorted((FOLDER / folder).iterdir())
    ]
