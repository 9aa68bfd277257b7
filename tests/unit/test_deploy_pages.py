"""The pages below deploy/: their tables are the code's, their commands and files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from house.source import ROOT, tracked

from mailweir.schemas.topics import TOPICS
from mailweir.services.broker.users import USERS
from mailweir.services.cli.app import app

PAGES = sorted((ROOT / "deploy").glob("*.md"))
KAFKA = (ROOT / "deploy/KAFKA.md").read_text(encoding="utf-8")
DAY_MS = 86_400_000


def _rows(text: str, title: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    part = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _words(page: Path) -> list[list[str]]:
    """The words of each command of ours that a page quotes, up to what stands for something."""
    code = re.findall(r"`([^`\n]+)`|^((?:\S+=\S+ +)*mailweir [^\n#]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    quoted = [re.sub(r"^(\S+=\S+ +)+", "", " ".join(pair).strip()) for pair in code]
    return [line.split()[1:] for line in quoted if line.startswith("mailweir ")]


def test_the_topics_of_the_page_are_those_of_the_table() -> None:
    """Partitions, cleanup, retention and size limit, row by row."""
    assert _rows(KAFKA, "Topics") == [
        [
            f"`{topic.full_name('mail')}`",
            str(topic.partitions),
            topic.config()["cleanup.policy"],
            "last per key" if topic.compacted else f"{topic.retention_ms // DAY_MS} days",
            f"{topic.max_record_bytes // 2**20} MiB",
        ]
        for topic in TOPICS
    ]


def test_the_users_of_the_page_are_those_of_the_table() -> None:
    """Who writes and reads what, row by row; each is a user that the secure broker makes."""
    rows = {user.strip("`"): (writes, reads) for user, _, writes, reads in _rows(KAFKA, "Permissions")}
    assert rows.keys() == set(USERS) - {"admin", "intruder"}
    for user, (writes, reads) in rows.items():
        assert writes == ", ".join(topic.name for topic in TOPICS if user in topic.writers), user
        assert reads == ", ".join(topic.name for topic in TOPICS if user in topic.readers), user


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_quotes_is_one_of_ours(page: Path) -> None:
    """Its words name a command, and its options are that command's."""
    for words in _words(page):
        command, rest = typer.main.get_command(app), list(words)
        while rest and (below := getattr(command, "commands", None)):
            command = below[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_commands_are_found_on_the_pages() -> None:
    """Else the test above would look at nothing."""
    assert len({tuple(words[:2]) for page in PAGES for words in _words(page)}) > 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    """Links, tests and scripts."""
    text = page.read_text(encoding="utf-8")
    linked = [(page.parent / link).resolve().relative_to(ROOT) for link in re.findall(r"\]\(([^)#:]+)\)", text)]
    named = [Path(name) for name in re.findall(r"\b(?:tests|deploy)/[\w/.-]+\.\w+", text)]
    assert [str(path) for path in {*linked, *named} if path not in tracked()] == []


def test_every_setting_that_a_page_names_is_one() -> None:
    """MAILWEIR_ variables of all pages."""
    from mailweir.services.settings import Settings

    named = {name for page in PAGES for name in re.findall(r"MAILWEIR_([A-Z_]+)", page.read_text(encoding="utf-8"))}
    assert named
    assert {name.lower() for name in named} <= Settings.model_fields.keys()
