"""`mailweir review`: what a person sees and says, by key on a pseudo-terminal and on the in-memory bus."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from asked import question, unsure
from command import NOWHERE
from factories import memory_bus, settings
from loop import decided, mail, on
from rich.console import Console
from typer.testing import CliRunner

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import Alternative, Decision, Feedback, HeadDecision, NextAction, Reason, utc_now
from mailweir.services.cli import review_place
from mailweir.services.cli.app import app
from mailweir.services.cli.keys import Keys
from mailweir.services.cli.review_draft import Draft
from mailweir.services.cli.review_place import opened
from mailweir.services.cli.review_session import Session
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing

HEADS = {
    "category": HeadDecision(
        label="work", probability=0.52, abstained=True, alternatives=(Alternative(label="finance", probability=0.4),)
    ),
    "priority": HeadDecision(label="normal", probability=0.9, abstained=False),
}
NASTY = "First line\x1b[2J\nSecond\x07 line\n" + "\n".join(f"line {n}" for n in range(100)) + "\nthe last line"


def ask(bus: MemoryBus, number: int, body: str = "Please send it.", **changes: Any) -> Decision:
    """A mail, its decision and the question about it, onto their topics."""
    email = mail(number).model_copy(update={"body": body})
    source = bus.write(on("mail.parsed", email)).coordinates
    decision = decided(mail(number), source, heads=HEADS, **changes)
    where = bus.write(on("mail.classified", decision)).coordinates
    asked = question(number, utc_now(), decision_id=decision.decision_id, source=source, decision_source=where)
    bus.write(on("mail.review", asked))
    return decision


def words(bus: MemoryBus) -> list[Feedback]:
    """What was answered."""
    return [Feedback.decode(record.value) for record in bus.records("mail.feedback")]


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: the person's and the program's."""
    person, program = pty.openpty()
    try:
        yield person, program
    finally:
        os.close(program)
        os.close(person)


async def sit(bus: MemoryBus, keys: Sequence[str], count: int | None = None) -> str:
    """A sitting in which these keys are pressed; what was shown."""
    shown = io.StringIO()
    to = Console(file=shown, force_terminal=True, color_system=None, width=100, height=40)
    with terminal() as (person, program):
        async with opened(settings(), bus) as place, Keys(program) as pressed, asyncio.timeout(60):
            session = asyncio.create_task(Session(place, pressed, to, "u-1").run(count))
            for key in keys:
                before = len(shown.getvalue())
                while len(shown.getvalue()) == before:  # noqa: ASYNC110 - the next screen
                    await asyncio.sleep(0.002)
                os.write(person, key.encode())
            await session
    return shown.getvalue()


def tried(bus: MemoryBus, *keys: str) -> str:
    """A sitting, from a test without a loop."""
    return asyncio.run(sit(bus, keys))


def test_enter_says_that_all_heads_are_right() -> None:
    """The word carries the lineage and the place of the decision, so that it is found at once; nothing is left open."""
    bus = memory_bus(1)
    decision = ask(bus, 1)
    shown = tried(bus, "\n")
    [said] = words(bus)
    assert (said.decision_id, said.source, said.person, said.origin) == (
        decision.decision_id, decision.source, "u-1", "human",
    )  # fmt: skip
    assert said.decision_source == bus.records("mail.classified")[0].coordinates
    assert {name: (one.label, one.confirmed) for name, one in said.heads.items()} == {
        "category": ("work", True),
        "priority": ("normal", True),
    }
    assert said.next_actions is None
    assert bus.records("mail.feedback")[0].key == decision.email_id.encode()
    assert "question 1 of 1" in shown
    assert "category        work 52%, finance 40%  ?" in shown
    assert "1 answered, 0 skipped, 0 not shown" in shown
    assert "0 answered" in tried(bus)


def test_letters_correct_a_head_and_leave_one_out() -> None:
    """A digit opens the labels; an arrow key does nothing; Escape goes back."""
    bus = memory_bus(1)
    ask(bus, 1)
    shown = tried(bus, "1", "f", "2", "-", "1", "\x1b", "z\n")
    [said] = words(bus)
    assert {name: (one.label, one.confirmed) for name, one in said.heads.items()} == {"category": ("finance", False)}
    assert "What kind of mail this is" in shown
    assert "→ finance" in shown
    assert "→ nothing said" in shown


def test_next_actions_are_switched_on_and_off() -> None:
    """Who opens them says what they are."""
    bus = memory_bus(1)
    ask(bus, 1, next_actions=(NextAction(label="validate_po", probability=0.8),))
    labels = Draft(unsure(1, 0.1), menu="next_actions").labels
    letters = {label: letter for letter, label in labels.items()}
    tried(bus, "3", letters["validate_po"], letters["check_stock"], "\n", "\n")
    assert words(bus)[0].next_actions == ("check_stock",)


def test_the_last_answer_can_be_taken_back() -> None:
    """A withdrawal goes out and the question comes again; with nothing to take back the key does nothing."""
    bus = memory_bus(1)
    ask(bus, 1)
    ask(bus, 2)
    shown = tried(bus, "u", "\n", "u", "1", "f", "\n", "q")
    first, back, again = words(bus)
    assert (back.withdraws, back.heads, back.decision_id) == (first.event_id, {}, first.decision_id)
    assert again.heads["category"].label == "finance"
    assert "1 answered, 0 skipped, 1 not shown" in shown


def test_skipping_says_nothing_and_leaves_the_question_open() -> None:
    """So does an answer in which every head was left out."""
    bus = memory_bus(1)
    ask(bus, 1)
    assert "0 answered, 1 skipped" in tried(bus, "s")
    assert "0 answered, 1 skipped" in tried(bus, "1", "-", "2", "-", "\n")
    assert words(bus) == []


def test_a_mail_is_shown_without_what_a_terminal_would_obey() -> None:
    """Escape sequences and bells are dots; the rest of a long mail comes with a key; reasons and finds stand with the heads."""
    bus = memory_bus(1)
    ask(bus, 1, NASTY, reasons={"category": (Reason(text="ship\x1b", weight=0.4),)})
    shown = tried(bus, "m", "q")
    assert "First line·[2J" in shown
    assert "Second· line" in shown
    assert "because of ship·" in shown
    assert "found: po_number PO-00001" in shown
    first, whole = shown.split("question 1 of 1")[1:]
    assert "more lines: m" in first
    assert "the last line" not in first
    assert "the last line" in whole


def test_what_somebody_else_answered_and_what_is_gone_is_passed_over() -> None:
    """A question is looked at again before it is shown."""
    bus = memory_bus(1)
    gone, open_ = ask(bus, 1), ask(bus, 2)
    assert gone.source
    bus.expire((gone.source.topic, 0), 1)
    shown = tried(bus, "\n")
    assert [word.decision_id for word in words(bus)] == [open_.decision_id]
    assert "1 of which the mail is gone" in shown


def test_a_terminal_that_goes_away_ends_the_sitting() -> None:
    """As `q` does."""

    async def hang_up() -> str:
        bus, shown = memory_bus(1), io.StringIO()
        ask(bus, 1)
        person, program = pty.openpty()
        async with opened(settings(), bus) as place, Keys(program) as keys, asyncio.timeout(60):
            session = Session(place, keys, Console(file=shown, width=100), "u-1")
            running = asyncio.create_task(session.run())
            await asyncio.sleep(0)
            os.close(person)
            await running
        os.close(program)
        return shown.getvalue()

    assert "0 answered, 0 skipped, 1 not shown" in asyncio.run(hang_up())


async def test_a_question_is_found_by_the_first_digits_of_its_decision() -> None:
    """What no question or more than one begins with is refused."""
    bus = memory_bus(1)
    decision = ask(bus, 1)
    bus.write(Outgoing("mail.review", b"x", b"rubbish"))
    async with opened(settings(), bus) as place:
        assert (await place.named(decision.decision_id[:8])).decision_id == decision.decision_id
        with pytest.raises(InputError, match="review next --json"):
            await place.named("nothing")


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> MemoryBus:
    """What the command finds where Kafka would be."""
    made = memory_bus(1)
    monkeypatch.setattr(review_place, "opened", partial(opened, bus=made))
    return made


def test_a_script_lists_what_is_open_and_answers(bus: MemoryBus) -> None:
    """One line a question with its decision and no text of the mail; `all` confirms the heads of which nothing else is said."""
    ask(bus, 1, "Words that only the mail has.")
    decision = ask(bus, 2)
    listed = [json.loads(line) for line in CliRunner().invoke(app, ["review", "next", "--json"]).stdout.splitlines()]
    assert [one["decision"]["decision_id"] for one in listed] == [one["decision_id"] for one in listed]
    assert len(listed) == 2
    assert "Words that" not in json.dumps(listed)
    said = ["--set", "category=finance", "--confirm", "all", "--next-action", "check_stock", "--person", "u-1"]
    done = CliRunner().invoke(app, ["review", "answer", decision.decision_id, *said])
    assert done.exit_code == 0
    [word] = words(bus)
    assert json.loads(done.stdout)["feedback_id"] == word.event_id
    assert {name: (one.label, one.confirmed) for name, one in word.heads.items()} == {
        "category": ("finance", False),
        "priority": ("normal", True),
    }
    assert (word.next_actions, word.person) == (("check_stock",), "u-1")
    left = CliRunner().invoke(app, ["review", "next", "--json"]).stdout.splitlines()
    assert [json.loads(line)["decision_id"] for line in left] == [
        one["decision_id"] for one in listed if one["decision_id"] != decision.decision_id
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "category=wrok"], "category has no label 'wrok'"),
        (["--set", "mood=good"], "has no head 'mood'"),
        (["--confirm", "mood"], "mood: the decision has no such head"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(bus: MemoryBus, options: list[str], said: str) -> None:
    """Exit code 2, the remedy, and nothing is sent."""
    decision = ask(bus, 1)
    done = CliRunner().invoke(app, ["review", "answer", decision.decision_id, "--person", "u-1", *options])
    assert done.exit_code == 2
    assert said in done.stderr
    assert words(bus) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["next", "--person", "u-1"],
            "there is no terminal: use `mailweir review next --json` and `mailweir review answer`",
        ),
        (["answer", "abc", "--person", "u-1"], "nothing is said: give --set HEAD=LABEL"),
        (["answer", "abc", "--person", "u-1", "--set", "category"], "--set category: write HEAD=LABEL"),
    ],
)
def test_what_cannot_be_asked_names_the_way(arguments: list[str], said: str) -> None:
    """Exit code 2 before any broker is asked."""
    done = CliRunner().invoke(app, ["review", *arguments], env={"MAILWEIR_KAFKA_BOOTSTRAP": NOWHERE})
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
