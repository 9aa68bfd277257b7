"""`mailweir feedback`: what it refuses before any broker is asked, and a ledger without Kafka."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import NOWHERE, mailweir
from factories import memory_bus, settings
from loop import decided, mail, on, row, word

from mailweir.schemas.errors import InputError, UnknownLabel
from mailweir.schemas.events import Coordinates, Correction
from mailweir.services.cli import feedback
from mailweir.services.cli.words import word_about
from mailweir.services.feedback.ledger import Ledger
from mailweir.services.feedback.store import Store
from mailweir.services.stream import Outgoing

DECISION = decided(mail(1), Coordinates(topic="mail.parsed", partition=0, offset=1))
OTHER = decided(mail(2), Coordinates(topic="mail.parsed", partition=0, offset=2))


def test_a_word_carries_the_decisions_lineage() -> None:
    """Everything that the agent needs to find the mail, and per head what is right."""
    made = word_about(DECISION, "u-1", ["category=finance", "priority", "intent=complaint"], ("process_order",))
    assert (made.decision_id, made.email_id, made.source) == (DECISION.decision_id, DECISION.email_id, DECISION.source)
    assert (made.model, made.taxonomy, made.next_actions) == (DECISION.model, DECISION.taxonomy, ("process_order",))
    assert made.heads == {
        "category": Correction(label="finance"),
        "priority": Correction(label="normal", confirmed=True),
        "intent": Correction(label="complaint"),
    }
    assert word_about(DECISION, "u-1", ["category=work"], None).heads["category"].confirmed


def test_what_cannot_be_said_is_refused() -> None:
    """A label or head that the taxonomy does not have, a head of no label, a decision without a place."""
    with pytest.raises(UnknownLabel, match="category has no label 'wrok'"):
        word_about(DECISION, "u-1", ["category=wrok"], None)
    with pytest.raises(UnknownLabel, match="no head 'colour'"):
        word_about(DECISION, "u-1", ["colour=red"], None)
    with pytest.raises(InputError, match="has no such head; it has category, priority"):
        word_about(DECISION, "u-1", ["intent"], None)
    with pytest.raises(InputError, match="not made from Kafka"):
        word_about(DECISION.model_copy(update={"source": None}), "u-1", ["category"], None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--head", "category=wrok"], "category has no label 'wrok'"),
        (["--withdraws", "xyz"], "--withdraws has a value that cannot be"),
        ([], "nothing is said: give --head HEAD=LABEL"),
        (["--head", "category", "--person", ""], "--person has a value that cannot be"),
        (["--head", "category", "--person", "u-1\n"], "no control or invisible characters, and no space around it"),
        (["--head", "category", "--at", "three"], "three is no PARTITION:OFFSET"),
        (["--head", "category", "--origin", "guess"], "--origin is human, rule or implicit"),
        (["--head", "category"], f"Kafka at {NOWHERE}"),
    ],
)
def test_wrong_options_end_with_2_and_say_why(tmp_path: Path, options: list[str], message: str) -> None:
    """One line, before any broker is asked; with nothing wrong it is the broker that is missing."""
    (tmp_path / "decision.json").write_bytes(DECISION.encode())
    done = mailweir(
        "feedback", "send", tmp_path / "decision.json", "--person", "u-1", *options, kafka_bootstrap=NOWHERE
    )
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (0, "mail.classified[0]@0 is no decision"),
        (2, f"mail.classified[0]@2 is decision {OTHER.decision_id}, not {DECISION.decision_id}"),
        (3, "mail.classified[0]@3 is not there"),
    ],
)
async def test_a_place_that_is_not_the_decisions_is_said_before_anything_is_sent(offset: int, said: str) -> None:
    """Nothing there, rubbish, another decision; the right place is taken."""
    bus = memory_bus(1)
    bus.write(Outgoing("mail.classified", b"x", b"rubbish"))
    for decision in (DECISION, OTHER):
        bus.write(on("mail.classified", decision))
    place = Coordinates(topic="mail.classified", partition=0, offset=1)
    await feedback._look(settings(), bus, word(DECISION, decision_source=place))
    wrong = word(DECISION, decision_source=place.model_copy(update={"offset": offset}))
    with pytest.raises(InputError, match=re.escape(f"--at 0:{offset}: {said}")):
        await feedback._look(settings(), bus, wrong)


def test_a_file_that_is_no_decision_is_named(tmp_path: Path) -> None:
    """Missing, or something else."""
    (tmp_path / "x.json").write_text("{}")
    for name, message in (("none.json", "No such file"), ("x.json", "not a Decision")):
        done = mailweir(
            "feedback", "send", tmp_path / name, "--person", "u-1", "--head", "category", kafka_bootstrap=NOWHERE
        )
        assert done.code == 2
        assert f"{tmp_path / name}: " in done.err
        assert message in done.err


def test_an_empty_ledger_is_shown_as_empty(tmp_path: Path) -> None:
    """Nothing is there yet: zeros, and nothing is created."""
    done = mailweir("feedback", "show", "--json", "--ledger", tmp_path / "none")
    assert done.code == 0
    assert (done.rows()[0]["rows"], done.rows()[0]["latest"]) == (0, [])
    assert not (tmp_path / "none").exists()


def test_a_ledger_is_shown_without_texts(tmp_path: Path) -> None:
    """Counts, and the latest rows by what they say."""
    ledger = Ledger(Store(str(tmp_path)))
    pages = ledger.turn_to(("mail.feedback", 0))
    ledger.append(pages, [row(0, "u-1"), row(1, "u-2", minute=3), row(2, "u-1", minute=9)])
    ledger.close(pages, 3, 1)
    done = mailweir("feedback", "show", "--json", "--limit", 1, ledger=str(tmp_path))
    [shown] = done.rows()
    counts = {"rows": 3, "last_words": 2, "persons": 2, "decisions": 1, "shards": 1, "shards_announced": 0}
    assert {name: shown[name] for name in counts} == counts
    assert [one["offset"] for one in shown["latest"]] == [2]
    people = mailweir("feedback", "show", ledger=str(tmp_path)).out
    assert people.count("category=finance") == 3
    assert "Where is it" not in done.out + people


def test_a_broken_file_of_the_ledger_is_named(tmp_path: Path) -> None:
    """Exit code 2 and its path."""
    broken = tmp_path / "ledger" / "mail.feedback" / "0" / f"{0:020}-{1:020}.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"rubbish")
    done = mailweir("feedback", "show", ledger=str(tmp_path))
    assert done.code == 2
    assert f"mailweir: ledger/mail.feedback/0/{broken.name} is no Parquet file" in done.err


_WITHOUT = "import sys; sys.modules['{}'] = None; sys.argv = ['mailweir', *{!r}]; from mailweir.services.cli import main; main()"


@pytest.mark.parametrize("package", ["pyarrow", "fsspec"])
def test_without_its_packages_the_extra_is_named(package: str, tmp_path: Path) -> None:
    """Exit code 2 and what to install."""
    code = _WITHOUT.format(package, ["feedback", "show", "--ledger", str(tmp_path)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "pip install 'mailweir[feedback]'" in done.stderr
    assert "Traceback" not in done.stderr


_REGISTER = """
import sys
sys.modules[{!r}] = None
from mailweir.schemas.errors import SetupError
from mailweir.services.cli.worker import STAGES
try:
    STAGES["feedback"](None)
except SetupError as error:
    print(error.message)
"""


@pytest.mark.parametrize("package", ["pyarrow", "fsspec"])
def test_a_worker_without_the_packages_of_feedback_names_the_extra(package: str) -> None:
    """The agent is refused before it reads anything; the other agents do not need them, as the house rules prove."""
    done = subprocess.run(
        [sys.executable, "-c", _REGISTER.format(package)], capture_output=True, text=True, timeout=120, check=True
    )
    assert "pip install 'mailweir[feedback]'" in done.stdout
