"""Sets of options that are to be compared, as a user writes them: `focal=2,balance=0`."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailweir.models.training.tuning import Tuning, changed, check_frozen, identity
from mailweir.schemas.errors import SettingsError

USUAL = "the recipe as it is"
_FIXED = {
    "epochs": "--epochs says how long each is tried",
    "heads_epochs": "each is tried with the same few",
    "patience": "no trial ends early",
    "memory_gb": "it changes no result",
}


@dataclass(frozen=True, slots=True)
class Options:
    """One set."""

    written: str
    tuning: Tuning


def option_sets(usual: Tuning, written: Sequence[str], layers: int) -> list[Options]:
    """The recipe as it is, then each set of `written`.

    Raises:
        SettingsError: an option is not there, has a wrong value or none that a trial could show, or two sets are the same.
    """
    found = [Options(USUAL, usual)]
    for text in written:
        found.append(Options(text, _changed(usual, text, layers)))
        same = [one.written for one in found[:-1] if identity(one.tuning) == identity(found[-1].tuning)]
        if same:
            raise SettingsError(f"--compare {text} is the same as {same[0]}: leave it out")
    return found


def _changed(usual: Tuning, text: str, layers: int) -> Tuning:
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        name = part.partition("=")[0].strip()
        if name in _FIXED:
            raise SettingsError(f"--compare {text}: {name} cannot be compared: {_FIXED[name]}")
    try:
        tuning = changed(usual, parts)
        check_frozen(tuning, layers)
    except SettingsError as error:
        raise SettingsError(f"--compare {text}: {error.message.removeprefix('--set ')}") from error
    return tuning
