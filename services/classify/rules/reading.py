"""A file of rules: read, and checked against what the bundle can answer."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailweir.schemas.errors import SettingsError, UnknownLabel
from mailweir.schemas.manifest import Manifest
from mailweir.schemas.taxonomy import installed_taxonomy
from mailweir.services.classify.rules.book import Rule, Rulebook

__all__ = ["check_rules", "parse_rules", "read_rules"]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: tuple[Rule, ...] = Field(min_length=1)


def read_rules(path: Path, manifest: Manifest) -> Rulebook:
    """The rules in the TOML or JSON file `path`, every head and label of which the bundle of `manifest` knows.

    Raises:
        SettingsError: the file cannot be read or a rule cannot be used; the message names file, rule and remedy.
    """
    book = parse_rules(path)
    check_rules(path, book.rules, manifest)
    return book


def parse_rules(path: Path) -> Rulebook:
    """The rules in the TOML or JSON file `path`, whatever bundle they are for.

    Raises:
        SettingsError: the file cannot be read or holds no rules; the message names file, rule and remedy.
    """
    raw = _content(path)
    try:
        rules = _File.model_validate(raw).rule
    except ValidationError as error:
        raise _problem(path, _complaint(error, raw)) from error
    for name, count in Counter(rule.name for rule in rules).items():
        if count > 1:
            raise _problem(path, f"rule {name!r} is there {count} times: give each a name of its own")
    return Rulebook(rules)


def check_rules(path: Path, rules: Sequence[Rule], manifest: Manifest) -> None:
    """Raise `SettingsError` if a head or label of the rules read from `path` is one that the bundle of `manifest` does not know."""
    for rule in rules:
        _check(path, rule, manifest)


def _content(path: Path) -> Any:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _problem(path, f"{error.strerror}: name a file of rules, or none") from error
    try:
        return orjson.loads(data) if path.suffix == ".json" else tomllib.loads(data.decode())
    except ValueError as error:  # no UTF-8, no JSON, no TOML
        kind = "JSON" if path.suffix == ".json" else "TOML (JSON where the name ends in .json)"
        raise _problem(path, f"no {kind}: {error}") from error


def _check(path: Path, rule: Rule, manifest: Manifest) -> None:
    taxonomy = installed_taxonomy(manifest.taxonomy.name, manifest.taxonomy.version)
    for head, value in rule.labels.items():
        try:
            for label in (value,) if isinstance(value, str) else value:
                taxonomy.check_label(head, label)
        except UnknownLabel as error:
            raise _problem(path, f"rule {rule.name!r} sets {head}: {error.message}; correct the rule") from error
        if head not in manifest.heads:
            known = ", ".join(manifest.heads)
            message = f"rule {rule.name!r} sets {head}, which this bundle does not answer; it answers {known}"
            raise _problem(path, message)
        if isinstance(value, str) != (manifest.heads[head].kind == "one"):
            wanted = "one label" if manifest.heads[head].kind == "one" else 'a list of labels, as in ["open_ticket"]'
            raise _problem(path, f"rule {rule.name!r} sets {head}, which takes {wanted}")


def _complaint(error: ValidationError, raw: Any) -> str:
    """The first thing that is wrong, with the rule's name if it has one, else its number."""
    found = error.errors(include_url=False, include_input=False)[0]
    place, message = found["loc"], found["msg"].removeprefix("Value error, ")
    if place[:1] != ("rule",) or len(place) < 2:
        return f"{_steps(place)}: {message}; it holds [[rule]] tables, each with name, when and set"
    return f"rule {_name(raw, place[1])}: {_steps(place[2:])}{': ' if place[2:] else ''}{message}; correct the rule"


def _name(raw: Any, number: int | str) -> str:
    try:
        return repr(str(raw["rule"][number]["name"]))
    except (KeyError, IndexError, TypeError):
        return f"number {int(number) + 1}"


def _steps(place: Sequence[int | str]) -> str:
    return ".".join(str(step) for step in place)


def _problem(path: Path, message: str) -> SettingsError:
    return SettingsError(f"{path}: {message}", path=str(path))
