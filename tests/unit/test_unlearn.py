"""Unlearning: what is withdrawn is found, never admitted again, and a bundle that learned from it is told from one that did not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bundles import promote, version_of
from loop import row, word
from pydantic import ValidationError
from unlearning import LATER, PERSON, add, keep, learned, take_back, words

from mailweir.models.feedback import (
    Corrected,
    LearnedFrom,
    last_words,
    read_rows,
    taken_back,
    write_rows,
)
from mailweir.models.registry import Registry
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.admission import admit
from mailweir.models.training.corpus import MailRow
from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import Coordinates, Correction, ModelRef, RetrainRequested, ShardRef, TaxonomyRef
from mailweir.services.feedback.holdings import Holdings, holdings, withdrawals
from mailweir.services.feedback.receipt import Receipt
from mailweir.services.feedback.store import Store
from mailweir.services.feedback.unlearn import bundle_uses, known_bundles


def held(folder: Path) -> Holdings:
    """What the ledger has of the person."""
    return holdings(Store(str(folder)), PERSON)


def receipt(folder: Path, registry: Registry | None, served: Path) -> Receipt:
    """As the command makes it."""
    found, known = held(folder), known_bundles(registry, served)
    return Receipt(found, known, bundle_uses(known, found))


def test_a_persons_words_are_found_with_their_files(tmp_path: Path) -> None:
    """Rows once, though segment and shard both hold them; another's are none of them."""
    keep(tmp_path, words())
    keep(tmp_path, words(4), closed=False)
    found = held(tmp_path)
    assert [one.offset for one in found.words] == [1, 3, 5, 7]
    assert [(file.rows, file.words) for file in found.segments] == [(4, 2), (4, 2)]
    assert [(file.rows, file.words, file.announced) for file in found.shards] == [(4, 2, True)]
    assert found.shards[0].name in found.shards[0].path
    assert holdings(Store(str(tmp_path)), "nobody").rows == []


def test_a_withdrawal_names_its_word_and_who_gave_it(tmp_path: Path) -> None:
    """In the person's name, under the mail's key, and once for a word that was sent twice."""
    twice = words()[1].model_copy(update={"offset": 9})
    keep(tmp_path, [*words(), twice])
    first, second = take_back(tmp_path, 10)
    assert (first.withdraws, first.person, first.given_by) == (words()[1].feedback_id, PERSON, "operator")
    assert (first.email_id, first.source.offset, first.says_nothing) == (words()[1].email_id, 1, True)
    assert first.event_id != second.event_id
    found = held(tmp_path)
    assert (found.open, found.left, found.untold) == ([], [], [])
    assert [one.person for one in last_words(found.rows)] == []
    back = found.withdrawal_of(words()[1].feedback_id)
    assert back is not None
    assert (back.given_by, back.by_another) == ("operator", True)


def test_a_withdrawal_in_no_announced_shard_is_still_to_be_told(tmp_path: Path) -> None:
    """A run that were asked for now would learn from the words."""
    keep(tmp_path, words())
    take_back(tmp_path, 10, closed=False)
    found = held(tmp_path)
    assert (found.open, [one.offset for one in found.untold]) == ([], [1, 3])


def test_nobody_says_more_than_a_withdrawal_for_another() -> None:
    """A correction in somebody's name is refused, with a withdrawal or without."""
    from loop import decided, mail

    decision = decided(mail(1), Coordinates(topic="mail.parsed", partition=0, offset=1))
    said: dict[str, Any]
    for said in ({}, {"withdraws": "a" * 64}, {"heads": {}}):
        with pytest.raises(ValidationError, match="given_by is for withdrawals"):
            word(decision, given_by="operator", **said)
    assert word(decision, heads={}, withdraws="a" * 64, given_by="operator").given_by == "operator"


def test_what_was_taken_back_in_a_persons_name_does_not_come_back() -> None:
    """The person's own withdrawal can be withdrawn; the operator's cannot."""
    said = row(1)
    for by, wanted in ((None, [said]), ("operator", [])):
        back = row(2, minute=1, corrected={}, withdraws=said.feedback_id, given_by=by)
        undone = row(3, minute=2, corrected={}, withdraws=back.feedback_id)
        assert last_words([said, back, undone]) == wanted
        assert ((said.person, said.feedback_id) in taken_back([said, back, undone])) is (by is not None)


def test_files_from_before_given_by_are_read() -> None:
    """A file without the column says that everybody spoke for themselves."""
    import io

    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(write_rows([row(1)]))).drop_columns(["given_by"])
    sink = io.BytesIO()
    pq.write_table(table, sink)
    assert read_rows(sink.getvalue(), "old") == [row(1)]


def test_withdrawn_rows_are_never_admitted() -> None:
    """Whichever shard the withdrawal is in, before or after the word's own; the other's words stay."""
    said = [
        one.model_copy(update={"corrected": Corrected(heads={"category": Correction(label=label)})})
        for start, label in enumerate(["finance", "spam"] * 5)
        for one in words(4 * start)
    ]
    corpus = [_mail(number, label) for number in range(8) for label in ("finance", "spam")]
    before = admit({"a": said}, corpus, [])
    assert {one.mail.author for one in before.rows} == {"person u-1", "person u-2"}
    mine = [one for one in said if one.person == PERSON]
    back = [
        row(100 + n, corrected={}, withdraws=one.feedback_id, given_by="operator", given_at=LATER)
        for n, one in enumerate(mine)
    ]
    undone = [row(200 + n, corrected={}, withdraws=one.feedback_id, given_at=LATER) for n, one in enumerate(back)]
    for shards in ({"a": said, "b": [*back, *undone]}, {"0": back, "a": said}):
        after = admit(shards, corpus, [])
        assert {one.mail.author for one in after.rows} == {"person u-2"}
        assert {claim.row.person for claim in after.claims} == {"u-2"}
        assert sum(refusal.cause == "withdrawn" for refusal in after.report.refusals) == len(mine)


def _mail(number: int, label: str) -> MailRow:
    """Of the corpus."""
    blank = {"language": "en", "from": "", "to": (), "date": "", "mailbox": "", "entities": None, "author": "ada"}
    told = {"id": f"{label}-{number}", "subject": "Order", "body": f"{label} it", "labels": {"category": label}}
    return MailRow.model_validate(blank | told)


def test_a_manifest_tells_which_words_a_bundle_used(tmp_path: Path, tiny: Path) -> None:
    """By the rows that it was fitted on; one without a record says nothing, one without feedback used none."""
    said = words()
    keep(tmp_path, said)
    ids = [one.feedback_id for one in said]

    def told(**changes: Any) -> LearnedFrom:
        return LearnedFrom.of(read_manifest(version_of(tiny, tmp_path, f"v{len(list(tmp_path.iterdir()))}", **changes)))

    shards = held(tmp_path).shards
    found = told(**learned(shards, said[:2], "1"))
    assert (found.used(ids), found.used(ids[2:])) == (2, 0)
    assert [one.shard_id for one in found.shards] == [one.name for one in shards]
    assert found.start == ModelRef(name="email", version="1")
    assert told(**learned(shards, None)).used(ids) is None
    assert (told().used(ids), told().shards, told().start) == (0, (), None)
    unsaid = told(data=learned(shards, said)["data"], recipe={})
    assert unsaid.start == ModelRef(name="email", version="1")  # whose recipe it followed
    for wrong in (
        {"feedback": 3},
        {"feedback": {"shards": 3}},
        {"feedback": {"shards": [{"id": "s"}]}},
        {"fitted_rows": [3]},
    ):
        with pytest.raises(BundleError, match="tells in an unknown form"):
            told(data=wrong)


def test_a_champion_that_learned_from_no_feedback_owes_nothing(tmp_path: Path, tiny: Path) -> None:
    """With and without a registry: the shipped bundle was made from the corpus."""
    keep(tmp_path, words())
    made = receipt(tmp_path, None, tiny)
    assert (made.state, made.due) == ("not_withdrawn", [])
    take_back(tmp_path, 10)
    assert receipt(tmp_path, None, tiny).state == "done"


def test_a_rebuild_is_due_until_a_champion_is_shown_to_be_free(tmp_path: Path, tiny: Path) -> None:
    """Fitted on the words; given their shard without record; continuing one that was; and at last free, through and through."""
    keep(tmp_path, words())
    add(tmp_path, tiny, "1", {})
    [shard] = held(tmp_path).shards
    mine, other = [[one for one in words() if (one.person == PERSON) is own] for own in (True, False)]
    steps: list[tuple[str, dict[str, Any], str, str | None]] = [
        ("2", learned([shard], [*mine, *other], "1"), "was fitted on 2 rows of these words", "1"),
        ("3", learned([shard], None), "was given 1 shards with these words, and does not record", "1"),
        ("4", learned([shard], other, "2"), "continues 2, which was fitted on 2 rows", "1"),
        ("5", learned([shard], other, "4"), "continues 2, which was fitted on 2 rows", "1"),
        ("6", learned([shard], other, "0.9"), "continues 0.9, which is not in the registry", "1"),
        ("7", learned([shard], other, "1"), "", None),
        ("8", learned([shard], other), "", None),
    ]
    take_back(tmp_path, 10)
    for version, data, why, start in steps:
        registry = add(tmp_path, tiny, version, data)
        made = receipt(tmp_path, registry, tiny)
        [use] = [one for one in made.uses if one.champion]
        assert (use.model.version, made.state) == (version, "rebuild_due" if why else "done")
        assert (use.why.startswith(why), use.free) == (True, not why)
        assert (made.start.version if made.start else None) == start


def test_a_receipt_is_the_same_for_everybody_and_another_once_a_file_changes(tmp_path: Path, tiny: Path) -> None:
    """Its hash covers words, withdrawals, files and manifests; no text of a mail is in it."""
    keep(tmp_path, words())
    take_back(tmp_path, 10)
    one, again = (receipt(tmp_path, None, tiny).json() for _ in range(2))
    assert one == again
    assert [(w["asked_by"], w["withdrawn_by"] is not None) for w in one["words"]] == [("operator", True)] * 2
    assert len(one["shards"]) == len(one["ledger_files"]) == 2
    assert "Where is it" not in str(one)
    keep(tmp_path, words(20))
    assert receipt(tmp_path, None, tiny).json()["sha256"] != one["sha256"]


def test_a_run_answers_a_withdrawal_if_it_knows_of_it_and_begins_without_the_words(tmp_path: Path, tiny: Path) -> None:
    """A run from before, or one that continues the champion that learned from them, does not."""
    keep(tmp_path, words())
    add(tmp_path, tiny, "1", {})
    registry = add(tmp_path, tiny, "2", learned(held(tmp_path).shards, words(), "1"))
    take_back(tmp_path, 10)
    made = receipt(tmp_path, registry, tiny)
    refs = [ShardRef(shard_id=file.name, sha256=file.sha256) for file in made.held.shards]

    def run(shards: list[ShardRef], start: str | None) -> RetrainRequested:
        two, begun = ModelRef(name="email", version="2"), ModelRef(name="email", version=start) if start else None
        space = TaxonomyRef(name="email", version=1)
        return RetrainRequested(
            run_id="r", shards=tuple(shards), champion=two, taxonomy=space, cause="x", requested_by="x",
            requested_at=LATER, start=begun,
        )  # fmt: skip

    assert made.answered_by(run(refs, "1"))
    assert not made.answered_by(run(refs[:1], "1"))
    assert not made.answered_by(run(refs, None))


def test_a_manifest_that_tells_it_in_another_form_is_named(tmp_path: Path, tiny: Path) -> None:
    """Nothing is guessed of a bundle that cannot be read."""
    keep(tmp_path, words())
    registry = Registry(tmp_path / "registry")
    registry.add(version_of(tiny, tmp_path, "odd", data={"feedback": {"shards": "all"}}))
    promote(registry, "odd")
    with pytest.raises(BundleError, match=r"email odd: its manifest tells"):
        receipt(tmp_path, registry, tiny)


def test_withdrawing_twice_makes_nothing_new(tmp_path: Path) -> None:
    """What the person withdrew alone is withdrawn for good; what was withdrawn for them is done."""
    own = row(9, PERSON, minute=5, corrected={}, withdraws=words()[1].feedback_id)
    keep(tmp_path, [*words(), own])
    found = held(tmp_path)
    assert ([one.offset for one in found.left], [one.offset for one in found.open]) == ([3], [1, 3])
    assert len(withdrawals(found.open, "operator", "", LATER)) == 2
    take_back(tmp_path, 10)
    assert withdrawals(held(tmp_path).open, "operator", "", LATER) == []


def test_an_empty_correction_is_no_word() -> None:
    """A confirmed label is one."""
    assert row(1, corrected={}).corrected.empty
    assert not row(1, corrected={"heads": {"category": Correction(label="work", confirmed=True)}}).corrected.empty
