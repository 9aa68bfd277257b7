"""What README.md says of commands, topics and files is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from house.source import ROOT, tracked
from readme import code, links, table

from mailweir.schemas.topics import TOPICS, Topic
from mailweir.services.cli.app import app

_DAY_MS = 24 * 60 * 60 * 1000
ROOT_COMMAND: Any = typer.main.get_command(app)
ROWS = [row[0].strip("`") for row in table("Commands")]
TABLE = [row.removeprefix("mailweir ") for row in ROWS]


def _tree(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that people are shown, as its words."""
    if not hasattr(command, "commands"):
        yield path
        return
    for name, below in command.commands.items():
        if not below.hidden:
            yield from _tree(below, (*path, name))


def _named(usage: str) -> list[tuple[str, ...]]:
    """The commands that a usage line stands for: `topics apply | check` is two of them."""
    name, *arguments = usage.split()
    if not hasattr(ROOT_COMMAND.commands.get(name), "commands"):
        return [(name,)]
    return [(name, way.split()[0]) for way in " ".join(arguments).split(" | ")]


def _command(path: tuple[str, ...]) -> Any:
    found = ROOT_COMMAND
    for name in path:
        found = found.commands[name]
    return found


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "compacted"
    return "1 year" if topic.retention_ms == 365 * _DAY_MS else f"{topic.retention_ms // _DAY_MS} days"


def test_the_table_of_commands_is_the_program() -> None:
    """Each command has its row, once, and there is no row without a command."""
    assert sorted(path for usage in TABLE for path in _named(usage)) == sorted(_tree(ROOT_COMMAND))
    assert [row for row in ROWS if not row.startswith("mailweir ")] == []


@pytest.mark.parametrize("usage", TABLE)
def test_an_option_of_the_table_exists(usage: str) -> None:
    """Each `--option` of a row is one of a command of that row."""
    known = {name for path in _named(usage) for option in _command(path).params for name in option.opts}
    assert set(re.findall(r"--[a-z-]+", usage)) - known == set()


def test_a_command_that_is_mentioned_exists() -> None:
    """Anywhere in the text: `mailweir` and a word is a command, with the word behind it where it is a group."""
    usages = {found for span in code() for found in re.findall(r"\bmailweir ([a-z]+(?: [a-z]+)?)", span)}
    assert len(usages) > len(ROOT_COMMAND.commands)
    commands = {*_tree(ROOT_COMMAND)}
    groups = {path[:1] for path in commands if len(path) > 1}
    wrong = {
        usage
        for usage in usages
        # behind a command comes an argument, behind a group nothing or one of its commands
        if (words := tuple(usage.split())) not in commands | groups and words[:1] not in commands
    }
    assert wrong == set()


def test_a_make_target_that_is_mentioned_exists() -> None:
    """`make something` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    mentioned = {target for span in code() for target in re.findall(r"^make ([a-z-]+)", span, re.MULTILINE)}
    assert {"demo", "test"} <= mentioned
    assert mentioned - targets == set()


def test_the_table_of_topics_is_the_one_in_the_code() -> None:
    """Name, key and how long it is kept, row by row."""
    rows = [(name.strip("`"), key, kept) for name, key, _, _, kept in table("Topics")]
    assert rows == [(topic.full_name("mail"), topic.key, _kept(topic)) for topic in TOPICS]


def test_the_values_of_the_topics_are_the_events_of_the_code() -> None:
    """Where a topic carries events of ours they are named; raw mail and dead letters are bytes."""
    for topic, row in zip(TOPICS, table("Topics"), strict=True):
        if topic.name not in {"raw", "dead"}:
            assert row[2] == ", ".join(f"`{event.__name__}`" for event in topic.events)


def test_links_lead_somewhere() -> None:
    """A link within the repository names a file that git knows."""
    inside = [Path(target) for target in links() if "://" not in target]
    assert len(inside) >= 2
    assert [str(path) for path in inside if path not in tracked()] == []


def test_the_folders_of_the_table_exist() -> None:
    """Every path under "Where things are" is there; `{a,b}` stands for several."""
    missing = []
    for pattern in (name for row in table("Where things are") for name in re.findall(r"`([^`]+)`", row[0])):
        head, _, rest = pattern.partition("{")
        names, _, tail = rest.partition("}")
        missing += [path for name in names.split(",") if not (ROOT / (path := f"{head}{name}{tail}")).exists()]
    assert missing == []
