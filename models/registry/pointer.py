"""The champion of a model: a pointer with compare-and-swap, and the history of all that it pointed to.

`champion.json` is the truth and holds the whole entry of the promotion that made it; `history.jsonl` gets the same entry after it.
A crash between the two loses nothing: readers add the pointer's entry, and the next writer appends it first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from mailweir.models.registry.durable import append_line, locked, replace_file, unwritable
from mailweir.schemas.errors import ChampionChanged, RegistryError
from mailweir.schemas.events import ModelRef, Part, Sha256, UtcTime

CHAMPION, HISTORY, _LOCK = "champion.json", "history.jsonl", ".lock"


class Promotion(Part):
    """One change of the champion."""

    number: int = Field(ge=1, description="1 for the first of this model, then one more each.")
    action: Literal["promoted", "rolled_back"]
    model: ModelRef = Field(description="The champion from now on.")
    previous: ModelRef | None = Field(description="The champion before; null at the first.")
    manifest_sha256: Sha256 = Field(description="Of the champion's manifest.json, which holds the hashes of its files.")
    cause: str = Field(min_length=1, description="Why, in a sentence, or a run id.")
    by: str = Field(min_length=1, description="Who: a login or the opaque id of a run.")
    at: UtcTime


def read_champion(folder: Path) -> Promotion | None:
    """The promotion that made the champion of the model in `folder`; None before the first.

    Raises:
        RegistryError: the pointer cannot be read, or is gone although the history tells of a champion: who starts now would serve
            another bundle than who runs.
    """
    path = folder / CHAMPION
    try:
        return _entry(path.read_bytes())
    except FileNotFoundError as error:
        if (folder / HISTORY).exists():
            message = f"{path} is gone, and {HISTORY} tells of a champion: put its last line there"
            raise RegistryError(message, path=str(path)) from error
        return None
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    except ValidationError as error:
        message = f"{path} is no pointer to a champion: put the last line of {HISTORY} there"
        raise RegistryError(message, path=str(path)) from error


def read_history(folder: Path) -> list[Promotion]:
    """Every change of the champion, oldest first.

    Raises:
        RegistryError: a line is none; the message names it.
    """
    champion = read_champion(folder)  # before the lines: what is promoted meanwhile only adds to these
    entries = _lines(folder / HISTORY)
    if champion and (not entries or entries[-1].number < champion.number):
        entries.append(champion)
    return entries


def swap_champion(
    folder: Path, expected: str | None, make: Callable[[int, Promotion | None], Promotion], seconds: float = 10.0
) -> Promotion:
    """Put what `make` makes of the next number and the champion in its place, if its version is `expected` (None: there is none).

    Only one process at a time gets here; the winner's pointer is on the disk before the next one looks.

    Raises:
        ChampionChanged: the champion is another; the message names who made it so.
        RegistryError: the folder cannot be read or written, or the lock is held for longer than `seconds`.
    """
    try:
        with locked(folder / _LOCK, seconds):
            champion = read_champion(folder)
            _compare(folder.name, champion, expected)
            number = _complete(folder, champion) + 1
            content = make(number, champion).model_dump_json().encode()
            replace_file(folder / CHAMPION, content)
            append_line(folder / HISTORY, content)
            return _entry(content)
    except OSError as error:
        raise unwritable(folder, error) from error


def before_champion(history: Sequence[Promotion]) -> Promotion | None:
    """The entry of the version that a rollback returns to: the champion before the present one was promoted.

    Versions that were rolled back stay out: rolling back twice goes two versions back, not to the first mistake again.
    """
    standing: list[Promotion] = []
    for entry in history:
        if entry.action == "promoted":
            standing.append(entry)
            continue
        while standing and standing[-1].model != entry.model:
            standing.pop()
        standing = standing or [entry]
    return standing[-2] if len(standing) > 1 else None


def demoted_versions(history: Sequence[Promotion]) -> frozenset[str]:
    """Versions that were rolled back and that nobody has promoted since."""
    found: set[str] = set()
    for entry in history:
        if entry.action == "rolled_back" and entry.previous:
            found.add(entry.previous.version)
        found.discard(entry.model.version)
    return frozenset(found)


def _entry(content: bytes) -> Promotion:
    return Promotion.model_validate_json(content, extra="ignore")


def _lines(path: Path) -> list[Promotion]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = content[: content.rfind(b"\n") + 1]  # half a line is a crash in the middle of an append
    entries = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entries.append(_entry(line))
        except ValidationError as error:
            message = f"{path}:{number} is no entry of a history; restore the file"
            raise RegistryError(message, path=str(path), line=number) from error
    return entries


def _complete(folder: Path, champion: Promotion | None) -> int:
    """Append what a crash kept from the history; the number of its last entry, 0 without any."""
    lines = _lines(folder / HISTORY)
    last = lines[-1].number if lines else 0
    if champion is None or champion.number <= last:
        return last
    append_line(folder / HISTORY, champion.model_dump_json().encode())
    return champion.number


def _compare(name: str, champion: Promotion | None, expected: str | None) -> None:
    found = champion.model.version if champion else None
    if found == expected:
        return
    wanted = f"not {expected}" if expected else "which was expected to have none"
    if champion is None:
        raise ChampionChanged(
            f"{name} has no champion, expected was {expected}: nothing was changed", expected=expected
        )
    deed = "promoted" if champion.action == "promoted" else "rolled back to"
    message = (
        f"the champion of {name} is {found}, {wanted}: {champion.by} {deed} it at {champion.at:%Y-%m-%d %H:%M:%S} UTC "
        f"({champion.cause}). Nothing was changed; look at it and name it as the expected one"
    )
    raise ChampionChanged(message, champion=found, expected=expected, by=champion.by)
