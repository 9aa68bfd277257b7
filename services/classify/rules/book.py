"""`Rulebook`: a tenant's rules, compiled, and what they say about one mail."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from mailweir.models.text.entities import RULED_TYPES, find_all
from mailweir.models.text.finds import Find
from mailweir.schemas.events import Email
from mailweir.services.classify.rules.pattern import Pattern

__all__ = ["Rule", "Rulebook", "Setting", "When"]

_SEARCHED = 50_000  # characters of a field, as for entities: 3 ms a pattern at the very most of a usual one


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Part):
    """Conditions: all that are named must hold; of several values of one, any. Case counts in `pattern` only."""

    sender: tuple[str, ...] = Field(default=(), description="An address, or a domain, which stands for those below it.")
    subject: tuple[str, ...] = Field(default=(), description="A text that the subject holds.")
    mailbox: tuple[str, ...] = Field(default=(), description="The mailbox that received the mail.")
    entity: tuple[str, ...] = Field(default=(), description="A code of this type, told by its shape or its cue word.")
    pattern: str = Field(default="", description="A regular expression that subject or body holds.")

    _compiled: Pattern | None = PrivateAttr(default=None)

    @field_validator("sender", "subject", "mailbox", "entity", mode="before")
    @classmethod
    def _one_value(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("sender", "subject", "mailbox", "entity")
    @classmethod
    def _no_blank(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if not all(value.strip() for value in values):
            raise ValueError("a value is empty: name what to look for, or leave the condition out")
        return values

    @field_validator("entity")
    @classmethod
    def _known_types(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(values) - RULED_TYPES):
            raise ValueError(
                f"{unknown[0]} is no entity type that has a shape; there are {', '.join(sorted(RULED_TYPES))}"
            )
        return values

    @model_validator(mode="after")
    def _compile(self) -> When:
        if not self.model_fields_set:
            raise ValueError("no condition: it would hold for every mail")
        if "pattern" in self.model_fields_set:
            try:
                self._compiled = Pattern(self.pattern)
            except ValueError as error:
                raise ValueError(f"pattern cannot be used: {error}") from error
        return self

    def holds(self, email: Email) -> bool:
        """True if all conditions hold for `email`; the cheap ones are looked at first."""
        return (
            (not self.mailbox or _fold(email.mailbox) in {_fold(name) for name in self.mailbox})
            and (not self.sender or any(_is_from(email.sender.address, one) for one in self.sender))
            and (not self.subject or any(_fold(text) in _fold(email.subject) for text in self.subject))
            and (not self.entity or any(find.type in self.entity for find in _finds(email)))
            and (self._compiled is None or any(self._compiled.search(text) for text in _texts(email)))
        )


class Rule(_Part):
    """When it holds, these heads have these labels."""

    name: str = Field(min_length=1, max_length=100, description="Named in the reasons of every head that it set.")
    when: When
    labels: dict[str, str | tuple[str, ...]] = Field(
        alias="set", min_length=1, description="Head → label; a list for a head of many."
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """What a rule says of one head."""

    rule: str
    labels: tuple[str, ...]  # one, or any number for a head of many


@dataclass(frozen=True)
class Rulebook:
    """Rules in the order in which they are tried. One thread at a time: patterns remember where they have been."""

    rules: Sequence[Rule] = ()

    def settings(self, email: Email) -> Mapping[str, Setting]:
        """Head → what the first rule that holds and names it says; heads that no rule names are absent."""
        found: dict[str, Setting] = {}
        for rule in self.rules:
            if rule.labels.keys() - found.keys() and rule.when.holds(email):
                for head, value in rule.labels.items():
                    labels = (value,) if isinstance(value, str) else value
                    found.setdefault(head, Setting(rule.name, labels))
        return found

    @cached_property
    def digest(self) -> str:
        """Hash of what the rules say, whatever their layout and comments; empty without rules."""
        said = [rule.model_dump(mode="json", by_alias=True, exclude_defaults=True) for rule in self.rules]
        text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()[:16] if said else ""


def _is_from(address: str, wanted: str) -> bool:
    given, name = address.lower(), wanted.lower().removeprefix("@")
    if "@" in name:
        return given == name
    domain = given.rpartition("@")[2]
    return domain == name or domain.endswith(f".{name}")


def _fold(text: str) -> str:
    """Without case, and without the dots that tell a Turkish i from an ı: a capital does not say which it is."""
    return text.replace("\u0130", "i").replace("\u0131", "i").casefold()


def _texts(email: Email) -> Iterator[str]:
    yield email.subject[:_SEARCHED]
    yield email.body[:_SEARCHED]


def _finds(email: Email) -> Iterator[Find]:
    for text in _texts(email):
        yield from find_all(text)
