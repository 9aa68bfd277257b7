"""Tables that grow, text from outside, sizes."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from command import COMMAND
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from mailweir.services.cli.figures import Scrape
from mailweir.services.cli.output import Column, Rows, file_size, plain
from mailweir.services.cli.rows import decision_rows

COLUMNS = (Column("name", 6, grows=True), Column("label", 8, 1), Column("extra", 8, 2), Column("count", 5, right=True))


def _table(width: int, *rows: dict[str, str | Text]) -> list[str]:
    to = Console(file=io.StringIO(), width=width)
    table = Rows(to, COLUMNS)
    for row in rows:
        table.add(row)
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue().splitlines()


def _row(name: str) -> dict[str, str | Text]:
    return {"name": name, "label": Text("work?", "dim"), "extra": "x", "count": "7"}


def test_the_growing_column_takes_the_room_that_is_left() -> None:
    """A heading once, then a line a row, numbers to the right."""
    heading, first, second = _table(40, _row("a"), _row("b" * 30))
    assert heading == "name             label    extra    count"
    assert first == "a                work?    x            7"
    assert second.startswith("b" * 15 + "… work?")


def test_a_narrow_terminal_loses_the_least_important_columns() -> None:
    """No line is ever longer than the terminal."""
    assert [_table(width, _row("a"))[0].split() for width in (30, 29, 20, 12)] == [
        ["name", "label", "extra", "count"],
        ["name", "label", "count"],
        ["name", "count"],
        ["name", "count"],
    ]


@pytest.mark.parametrize("width", range(12, 60, 7))
@pytest.mark.parametrize("name", ["a", "ş" * 50, "件名" * 30, "x\nyyyy\tz"])
def test_every_line_fits(width: int, name: str) -> None:
    """Also with wide characters, accents and line ends in a cell."""
    lines = _table(width, _row(name))
    assert len(lines) == 2
    assert all(cell_len(line) <= width for line in lines)


def test_text_from_outside_cannot_command_a_terminal() -> None:
    """Escapes, other controls and direction marks are made visible; letters of any language stay."""
    assert plain("a\x1b[31mb\x07\u202e\x9b c\r\n\tş件") == "a·[31mb··· c   ş件"
    assert "[red]" in _table(60, _row("[red]x[/]"))[1]


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (4_769, "4.8 kB"), (26_000_000, "26.0 MB")])
def test_sizes_are_for_people(count: int, text: str) -> None:
    """In powers of ten, as MAX_MAIL_BYTES is."""
    assert file_size(count) == text


def test_figures_are_sums_and_means_over_the_labels_that_were_not_named() -> None:
    """As PromQL's sum and a histogram's mean."""
    text = (
        "# TYPE mails counter\n"
        'mails_total{stage="a",outcome="x"} 2.0\nmails_total{stage="a",outcome="y"} 3.0\nmails_total{stage="b",outcome="x"} 7.0\n'
        '# TYPE s histogram\ns_bucket{stage="a",le="+Inf"} 4.0\ns_sum{stage="a"} 6.0\ns_count{stage="a"} 4.0\n'
    )
    seen = Scrape(text)
    assert (seen.total("mails_total", stage="a"), seen.total("mails_total", outcome="x")) == (5, 9)
    assert (seen.mean("s", stage="a"), seen.mean("s", stage="c")) == (1.5, 0.0)


@pytest.mark.parametrize(("width", "titles"), [(80, {"mail", "category", "sure", "review"}), (160, {"model", "found"})])
def test_a_usual_terminal_shows_who_has_to_look(width: int, titles: set[str]) -> None:
    """Eighty columns hold the mail, what it is, how sure that is and why a person should look."""
    to = Console(file=io.StringIO(), width=width)
    rows = decision_rows(to, "mail")
    rows.add(
        dict.fromkeys(
            ("mail", "lang", "category", "sure", "intent", "action", "priority", "state", "found", "asks"), "x"
        )
        | {"review": "language", "model": "1.2"}
    )
    assert isinstance(to.file, io.StringIO)
    heading, first = to.file.getvalue().splitlines()
    assert titles <= set(heading.split())
    assert "language" in first


@pytest.mark.parametrize("arguments", [("settings", "--json"), ("settings",)])
def test_a_full_disk_is_one_line(arguments: tuple[str, ...]) -> None:
    """What goes into a file that has no room left ends with 2 and says so, once, without a traceback."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "mailweir: the output: No space left on device: make room; what was written before is not whole\n"
    )
