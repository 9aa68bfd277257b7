"""What tables of decisions show of a summary and of action items."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from mailweir.schemas.events import Decision
from mailweir.services.cli.demo_watch import show_detail
from mailweir.services.cli.rows import decision_rows, first_sentence
from mailweir.services.cli.watch import Viewer
from mailweir.services.stream import Record

GOLDEN = Path(__file__).parents[1] / "golden" / "v1" / "decision.json"
LONG = "We need forty pallets of the blue ones at the north gate of the warehouse before the lorry leaves on Friday."


def decision(summary: str | None, *asks: str) -> Decision:
    return Decision.decode(GOLDEN.read_bytes()).model_copy(update={"summary": summary, "action_items": asks})


def watched(width: int, *decisions: Decision) -> list[str]:
    to = Console(file=io.StringIO(), width=width)
    viewer = Viewer(None, decision_rows(to, "mail", 12))
    for one in decisions:
        viewer.show(Record("mail.classified", 0, 1, None, one.encode(), (), 0))
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 140])
def test_a_summary_begins_below_its_row(width: int) -> None:
    """Its first sentence on one line, cut where the terminal ends."""
    heading, row, below, last = watched(width, decision(f"{LONG} Call Ann."), decision(None))
    assert heading.startswith("mail")
    assert row.startswith("cabdb01ff074")
    assert cell_len(below) <= width
    assert below == (f"  {LONG}" if width == 140 else f"  {LONG[:77]}…")
    assert last.startswith("cabdb01ff074")


@pytest.mark.parametrize(
    ("summary", "begins"),
    [
        (None, ""),
        ("One thing. Another.", "One thing."),
        ("Sipariş geldi mi? Bekliyoruz.", "Sipariş geldi mi?"),
        ("no end", "no end"),
    ],
)
def test_the_first_sentence_of_a_summary(summary: str | None, begins: str) -> None:
    """A mail without a summary has none."""
    assert first_sentence(decision(summary)) == begins


def test_a_summary_cannot_command_a_terminal() -> None:
    """It is text from outside, as a subject is."""
    assert watched(80, decision("pay\x1b[31m [red]now[/]"))[2] == "  pay·[31m [red]now[/]"


@pytest.mark.parametrize(("asks", "count"), [((), []), (("Call Ann.", "Pay Tom."), ["2"])])
def test_a_wide_table_counts_what_is_asked_for(asks: tuple[str, ...], count: list[str]) -> None:
    """Nothing where nothing is asked for, so that the others stand out."""
    heading, row = watched(140, decision(None, *asks))
    end = heading.index("asks") + 4
    assert row[end - 4 : end].split() == count


def test_the_detail_of_a_decision_has_all_of_it() -> None:
    """The whole summary and every action item; no line for what is not there."""
    to = Console(file=io.StringIO(), width=80)
    show_detail(to, decision(f"{LONG} Call Ann.", "Call Ann.", "Pay Tom."))
    show_detail(to, decision(None))
    assert isinstance(to.file, io.StringIO)
    lines = to.file.getvalue().splitlines()
    assert lines[:2] == [f"  sums up {LONG} Call Ann.", "  asks    Call Ann. / Pay Tom."]
    assert sum(line.startswith("  sums up") for line in lines) == 1
