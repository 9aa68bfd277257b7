"""Taxonomies: label spaces as data. A label that no taxonomy defines does not exist."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mailweir.schemas.errors import SettingsError, UnknownLabel, UnknownTaxonomy

__all__ = ["Head", "Taxonomy", "install_taxonomy", "installed_taxonomies", "installed_taxonomy", "read_taxonomy"]

_SHIPPED = ("email", "task")


class Head(BaseModel):
    """One question asked of every mail, and its possible answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["one", "many"] = Field(description="one label, or any number of labels")
    meaning: str = Field(min_length=1)
    labels: dict[str, str] = Field(min_length=2, description="label → what it means, in one line")


class Taxonomy(BaseModel):
    """A versioned label space: heads with their labels, and entity types."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    version: int = Field(ge=1)
    heads: dict[str, Head] = Field(min_length=1)
    entities: dict[str, str] = Field(default_factory=dict, description="entity type → what it is, in one line")

    def labels(self, head: str) -> tuple[str, ...]:
        """Labels of a head, in the order of the file, which is their index order.

        Raises:
            UnknownLabel: there is no such head.
        """
        return tuple(self._head(head).labels)

    def check_label(self, head: str, label: str) -> None:
        """Raise `UnknownLabel` unless `head` defines `label`."""
        if label not in self._head(head).labels:
            raise UnknownLabel(
                f"{head} has no label {label!r} in taxonomy {self.name} {self.version}; it has {', '.join(self.labels(head))}",
                head=head,
                label=label,
            )

    def check_entity(self, kind: str) -> None:
        """Raise `UnknownLabel` unless `kind` is an entity type."""
        if kind not in self.entities:
            raise UnknownLabel(f"taxonomy {self.name} {self.version} has no entity type {kind!r}", entity=kind)

    def _head(self, head: str) -> Head:
        if head not in self.heads:
            known = ", ".join(self.heads)
            raise UnknownLabel(f"taxonomy {self.name} {self.version} has no head {head!r}; it has {known}", head=head)
        return self.heads[head]


_installed: dict[tuple[str, int], Taxonomy] = {}


def read_taxonomy(path: Path) -> Taxonomy:
    """Read a taxonomy file.

    Raises:
        SettingsError: the file is missing or is no taxonomy; the message says what is wrong in it.
    """
    try:
        return _from_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # no UTF-8, no TOML, no taxonomy
        raise SettingsError(f"{path} is no taxonomy: {error}", path=str(path)) from error


def install_taxonomy(taxonomy: Taxonomy) -> None:
    """Make a tenant's own taxonomy known to this process."""
    _installed[taxonomy.name, taxonomy.version] = taxonomy


def installed_taxonomy(name: str, version: int) -> Taxonomy:
    """The taxonomy of that name and version.

    Raises:
        UnknownTaxonomy: it is not installed here.
    """
    _ship()
    try:
        return _installed[name, version]
    except KeyError:
        known = ", ".join(f"{n} {v}" for n, v in sorted(_installed))
        raise UnknownTaxonomy(f"taxonomy {name} {version} is not installed here (there are: {known})") from None


def installed_taxonomies() -> tuple[Taxonomy, ...]:
    """All taxonomies known to this process, by name and version."""
    _ship()
    return tuple(taxonomy for _, taxonomy in sorted(_installed.items()))


def _from_toml(text: str) -> Taxonomy:
    return Taxonomy.model_validate(tomllib.loads(text))


@cache
def _ship() -> None:
    """Install the taxonomies that come with the package, once."""
    folder = resources.files("mailweir.schemas") / "taxonomies"
    for name in _SHIPPED:
        install_taxonomy(_from_toml((folder / f"{name}.toml").read_text(encoding="utf-8")))
