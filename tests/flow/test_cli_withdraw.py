"""`mailweir feedback withdraw` and `receipt` without a broker: whom they do not know, and what a ledger and a registry tell."""

from __future__ import annotations

from pathlib import Path

from command import NOWHERE, mailweir
from unlearning import PERSON, add, keep, learned, take_back, words

from mailweir.services.feedback.holdings import holdings
from mailweir.services.feedback.store import Store


def test_a_person_whom_nobody_knows_is_said_to_be_one(tmp_path: Path) -> None:
    """Exit code 1, before any broker is asked, and where to look."""
    keep(tmp_path, words())
    done = mailweir("feedback", "withdraw", "--person", "u-77", kafka_bootstrap=NOWHERE, ledger=str(tmp_path))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"mailweir: no word of u-77 is in the ledger file://{tmp_path}")
    assert "mailweir feedback show" in done.err


def test_withdrawing_without_a_broker_changes_nothing(tmp_path: Path) -> None:
    """Exit code 2 and which broker does not answer."""
    keep(tmp_path, words())
    done = mailweir("feedback", "withdraw", "--person", PERSON, kafka_bootstrap=NOWHERE, ledger=str(tmp_path))
    assert (done.code, done.out) == (2, "")
    assert NOWHERE in done.err


def test_what_is_waited_for_is_said_at_once(tmp_path: Path) -> None:
    """Withdrawn and in no shard yet, with nobody to make one: one line on standard error, and on standard output JSON alone."""
    keep(tmp_path, words())
    take_back(tmp_path, 10, closed=False)
    command = ("feedback", "withdraw", "--person", PERSON, "--json")
    done = mailweir(*command, "--wait", 0.2, kafka_bootstrap=NOWHERE, ledger=str(tmp_path))
    assert (done.code, [row["rebuild"]["state"] for row in done.rows()]) == (1, ["waiting"])
    said = "waiting up to 0.2 s until the feedback agent has kept the withdrawals of 2 words"
    assert said in done.err
    assert said not in mailweir(*command, "--wait", 0, kafka_bootstrap=NOWHERE, ledger=str(tmp_path)).err


def test_a_receipt_for_people_names_shards_bundles_and_hashes(tmp_path: Path, tiny: Path) -> None:
    """A withdrawal of what no champion learned from needs no broker; with one that did a rebuild is due."""
    keep(tmp_path, words())
    add(tmp_path, tiny, "1", {})
    where = {"ledger": str(tmp_path), "registry": str(tmp_path / "registry"), "kafka_bootstrap": NOWHERE}
    take_back(tmp_path, 10)
    done = mailweir("feedback", "withdraw", "--person", PERSON, **where)
    assert done.code == 0, done.err
    assert "none: no champion has learned from these words" in done.out
    [shard, _] = holdings(Store(str(tmp_path)), PERSON).shards
    add(tmp_path, tiny, "2", learned([shard], words(), "1"))
    due = mailweir("feedback", "receipt", "--person", PERSON, **where)
    assert due.code == 1
    assert f"{shard.sha256[:12]}  2 of 4 rows  {shard.name}" in due.out
    assert "email 2 (champion)  was fitted on 2 rows of these words" in due.out
    assert "a rebuild is due" in due.out
