"""A public collection on disk, `NAME.jsonl.zst` or `NAME.jsonl`, row by row, and what a row becomes."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path

import cramjam
import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from mailweir.models.text.model_input import ModelInput, compose_fields
from mailweir.models.text.zone import split_zones
from mailweir.models.training.corpus import first_fault
from mailweir.schemas.errors import InputError

_LONGEST = (
    700  # characters of a body: the beginning shows what a mail is, and these rows are not to cost more than ours
)
_MAILBOX = "inbox"  # nobody knows whose; one word for all, so that it tells nothing about the collection
_WORD = re.compile(r"\w+")

Allowed = Mapping[str, tuple[str, ...]]
"""The labels that are possible, per head; a head that is not named is unknown."""


@dataclass(frozen=True, slots=True)
class PublicRow:
    """A mail with the labels that are possible per head; a head that is not named is unknown."""

    source: str
    given: ModelInput
    allowed: Allowed


class CollectionRow(BaseModel):
    """A row of a collection, as far as it is used here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = ""
    subject: str | None = None
    body: str
    sender: str | None = None
    user: str | None = None
    folder: str | None = None
    labels: dict[str, object]

    def public(self, source: str, allowed: Allowed, *, sender: bool = True) -> PublicRow:
        """The row as the model reads it; without `sender` where collections differ in whether they tell one."""
        body, address = self.body[:_LONGEST], parseaddr(self.sender or "")[1] if sender else ""
        return PublicRow(
            source, compose_fields(self.subject or "", address, _MAILBOX, body, split_zones(body)), allowed
        )

    @property
    def words(self) -> str:
        """What it says without case, blanks and signs: equal for mails that were sent twice."""
        return " ".join(_WORD.findall(f"{self.subject or ''} {self.body[:_LONGEST]}".lower()))


def read_collection(folder: Path, name: str) -> Iterator[CollectionRow]:
    """The rows of `name` in `folder`; none if it is not there.

    Raises:
        InputError: the file is damaged, or a row cannot be read; the message names both.
    """
    for number, line in enumerate(io.BytesIO(_unpacked(folder, name)), 1):
        try:
            yield CollectionRow.model_validate(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise InputError(f"{name}:{number}: no JSON object: {error}", file=name, line=number) from error
        except ValidationError as error:
            message = f"{name}:{number}: no row of a collection: {first_fault(error)}; correct or drop it"
            raise InputError(message, file=name, line=number) from error


def is_there(folder: Path, name: str) -> bool:
    """Whether the collection lies in `folder`."""
    return any((folder / f"{name}{end}").is_file() for end in (".jsonl", ".jsonl.zst"))


def _unpacked(folder: Path, name: str) -> bytes:
    plain, packed = folder / f"{name}.jsonl", folder / f"{name}.jsonl.zst"
    if plain.is_file():
        return plain.read_bytes()
    if not packed.is_file():
        return b""
    try:
        return bytes(cramjam.zstd.decompress(packed.read_bytes()))
    except cramjam.DecompressionError as error:
        raise InputError(f"{packed}: not a whole .zst file ({error}): fetch it again", path=str(packed)) from error
