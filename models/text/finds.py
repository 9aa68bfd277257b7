"""What entity rules share: a find, and the words that they go by."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Find:
    """A range of a field, claimed by the rule `type/how`."""

    rule: str
    start: int
    end: int

    @property
    def type(self) -> str:
        """The entity type."""
        return self.rule.partition("/")[0]


@cache
def entity_words() -> dict[str, dict[str, list[str]]]:
    """The word lists of `entity_words.toml`, by section and name."""
    return tomllib.loads((resources.files(__package__) / "entity_words.toml").read_text(encoding="utf-8"))
