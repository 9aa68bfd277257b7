"""Reference summaries beside the corpus: read, checked against their mail, and what is said of broken ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.newest import newest_sentences
from mailweir.models.training.corpus import FOLDER, REFERENCES, MailRow, load_mails
from mailweir.models.training.data import read_annotations, read_rows
from mailweir.models.training.references import chosen_sentences, load_references
from mailweir.schemas.errors import InputError

MAIL: dict[str, Any] = {
    "id": "ann-1", "author": "ann", "language": "en", "subject": "Two crates", "from": "a@example.org", "to": ["sales@example.com"],
    "date": "2026-03-02T09:14:00+00:00", "mailbox": "sales", "entities": [],
    "body": "Hi,\n\nthe crates for Ghent\nnever came. Trace them by Friday, please.\n\nOn 3 May Tom wrote:\n> We shipped\n> both.\n",
    "labels": {"category": "work", "intent": "order_status", "action": "reply_later", "priority": "normal", "workflow_state": "progress",
               "next_actions": ["track_shipment"]},
}  # fmt: skip
REFERENCE: dict[str, Any] = {
    "id": "ann-1",
    "summary": "Ann wants two lost crates traced by Friday.",
    "summary_sentences": ["the crates for Ghent never came.", "We shipped both."],
    "action_items": ["Trace them by Friday, please."],
}
MAILS = [MailRow.model_validate_json(orjson.dumps(MAIL))]


def written(folder: Path, *references: object, mails: bool = False) -> Path:
    """A folder with references and, if asked for, the mail that they are about."""
    rows = [row if isinstance(row, bytes) else orjson.dumps(row) for row in references]
    (folder / REFERENCES).write_bytes(b"\n".join(rows) + b"\n\n")
    if mails:
        (folder / "ann.jsonl").write_bytes(orjson.dumps(MAIL))
    return folder


def test_a_reference_is_found_by_the_id_of_its_mail(tmp_path: Path) -> None:
    """Line ends and marks of quotation in the mail are no hindrance."""
    found = load_references(written(tmp_path, REFERENCE), MAILS)
    assert found["ann-1"].action_items == ("Trace them by Friday, please.",)


def test_a_folder_without_references_has_none(tmp_path: Path) -> None:
    """They are optional."""
    assert load_references(tmp_path, MAILS) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "bob-7"}, "no mail has the id bob-7"),
        ({"summary_sentences": ["the crates never came."]}, r"ann-1: summary_sentences: 'the crates never came.' is not in the mail: copy"),
        ({"action_items": ["Send them"]}, r"action_items: 'Send them' is not in the mail: copy the sentence exactly"),
        ({"action_items": [" "]}, "action_items holds an empty sentence: take it out"),
        ({"summary_sentences": []}, "summary_sentences: .*at least 1"),
        ({"summary": ""}, "not a reference: summary: .*it has id, summary, summary_sentences, action_items"),
        ({"items": []}, "not a reference: items: Extra"),
    ],
)  # fmt: skip
def test_a_broken_reference_is_named_with_its_remedy(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """By file, line and id, when training reads it and when the corpus is checked."""
    folder = written(tmp_path, REFERENCE | change, mails=True)
    with pytest.raises(InputError, match=r"summaries\.jsonl:1:.*" + said):
        load_references(folder, MAILS)
    (note,) = read_rows(folder).breaks
    assert note.place == "summaries.jsonl:1"
    assert re.search(said.removeprefix("ann-1: "), note.problem)  # the same words, the id in a field of its own


def test_one_reference_a_mail(tmp_path: Path) -> None:
    """A second one is refused."""
    folder = written(tmp_path, REFERENCE, REFERENCE, mails=True)
    with pytest.raises(InputError, match=r"summaries\.jsonl:2: ann-1: this id has more than one"):
        load_references(folder, MAILS)
    assert [note.problem for note in read_rows(folder).breaks] == [
        "this id has more than one reference summary: keep one"
    ]


def test_references_are_no_mails(tmp_path: Path) -> None:
    """Whoever reads the folder as mails, rows or annotations passes their file over; the check counts them."""
    folder = written(tmp_path, REFERENCE, mails=True)
    rows = read_rows(folder)
    assert (len(rows.mails), rows.references, rows.breaks) == (1, 1, ())
    assert [mail.id for mail in load_mails(folder)] == ["ann-1"]
    assert list(read_annotations(folder)) == ["ann-1"]


def test_the_references_of_the_corpus_are_sound() -> None:
    """Each is about a mail of it and copies from it; without the file there is nothing to check."""
    if not (FOLDER / REFERENCES).is_file():
        pytest.skip("the corpus has no references")
    assert len(load_references(FOLDER, load_mails())) >= 400


def test_half_of_a_sentence_has_to_be_copied() -> None:
    """An annotator may leave out a bullet or a greeting; a few words in common are no copy."""
    body = "Well then, the crates for Ghent never came. Trace them. Trace them by Friday or send new ones to our gate."
    given = compose_fields("", "", "", body, ())
    chosen = chosen_sentences(given.text, newest_sentences(given), ["the crates for\nGhent never came.", "Trace them."])
    assert chosen.tolist() == [True, True, False]
