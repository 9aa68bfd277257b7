"""Public collections as partial labels: what a row may teach, what is left out and said."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mailweir.models.training.public import PublicRow, load_public
from mailweir.models.training.public.actions import CAPS, draw_actions
from mailweir.models.training.public.labelled import LABELS, MOST, Annotation, read_annotations
from mailweir.models.training.public.spam import draw_spam
from mailweir.schemas.errors import InputError

EVIDENCE = {"reply": "quote", "forward": "quote", "archive": "folder:archive", "delete": "folder:deleted"}
LABELLED: dict[str, Any] = {"category": "work", "intent": None, "action": "reply_later", "next_actions": []}


def action(number: int, kind: str = "reply", /, user: str = "", **labels: Any) -> dict[str, Any]:
    """A row with the fields of the Enron actions; every number is another text by another owner."""
    given = {"action": kind, "evidence": EVIDENCE[kind], "folder_class": "archive", "user_sent_n": 90}
    body = f"meter {number} has never flowed the whole nomination of day {number}"
    fields = {"id": f"<{number}>", "subject": "", "body": body, "sender": "jo@plant.example", "folder": "gas"}
    return fields | {"user": user or f"owner-{number}", "labels": given | labels}


def collection(folder: Path, name: str, *rows: dict[str, Any]) -> Path:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def drawn(folder: Path, *rows: dict[str, Any]) -> list[PublicRow]:
    return list(draw_actions(collection(folder, "enron_actions.train", *rows), (), 1))


def annotation(row_id: str, source: str = "it_tickets", **labels: Any) -> Annotation:
    return Annotation.model_validate({"source": source, "id": row_id, "labels": LABELLED | labels})


def ticket(row_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": row_id,
        "subject": "lamp",
        "body": "the lamp is off",
        "sender": "Al <al@mill.example>",
        "labels": {},
    } | fields


def test_an_action_is_a_partial_label(tmp_path: Path) -> None:
    """How soon an answer came is not known, so both kinds of reply are possible; every other head is unknown."""
    rows = drawn(tmp_path, *(action(n, kind) for n, kind in enumerate(EVIDENCE)))
    assert sorted(row.allowed["action"] for row in rows) == [
        ("archive",),
        ("delete",),
        ("forward",),
        ("reply_now", "reply_later"),
    ]
    assert {tuple(row.allowed) for row in rows} == {("action",)}
    assert {row.source for row in rows} == {"enron_actions"}


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("archive", {"folder_class": "inbox"}),
        ("archive", {"user_sent_n": 3}),
        ("delete", {"user_sent_n": 0}),
        ("delete", {"user_sent_n": None}),
        ("reply", {"evidence": "subject+name"}),
        ("forward", {"evidence": "subject"}),
    ],
)
def test_absence_of_evidence_is_no_action(tmp_path: Path, kind: str, labels: dict[str, Any]) -> None:
    """Left in the inbox, an owner without sent mail, a match by subject alone: unknown."""
    assert drawn(tmp_path, action(1, kind, **labels)) == []


def test_a_junk_folder_is_no_archive(tmp_path: Path) -> None:
    """Filed under junk is not worth keeping."""
    assert drawn(tmp_path, action(1, "archive") | {"folder": "inbox/junk_file"}) == []


def test_an_action_has_at_most_its_cap_and_a_tenth_from_one_owner(tmp_path: Path) -> None:
    """No action comes to mean "Enron", and no owner's habits are the rule."""
    many = [action(n, "delete") for n in range(CAPS["delete"] + 30)]
    assert len(drawn(tmp_path, *many)) == CAPS["delete"]
    assert len(drawn(tmp_path, *(action(n, "delete", user="one") for n in range(60)))) == CAPS["delete"] // 10


def test_a_mail_that_was_sent_twice_is_taken_once(tmp_path: Path) -> None:
    """Whatever its case, and with or without a prefix."""
    one, two = action(1), action(2)
    assert len(drawn(tmp_path, one, two | {"body": "RE " + one["body"].upper()})) == 1


def test_the_prefix_of_the_subject_does_not_give_the_action_away(tmp_path: Path) -> None:
    """It is glued to the rebuilt text: answered mail begins with RE twice as often."""
    row = action(1)
    found = drawn(
        tmp_path, row | {"body": "RE FW " + row["body"]}, action(2) | {"body": "REactor two is down for the whole day"}
    )
    texts = sorted(row.given.text for row in found)
    assert texts[0] == "query: plant.example > inbox REactor two is down for the whole day"
    assert texts[1] == f"query: plant.example > inbox {row['body']}"


def test_the_draw_is_the_same_for_a_seed(tmp_path: Path) -> None:
    """Another seed draws other mails."""
    folder = collection(tmp_path, "enron_actions.train", *(action(n, "forward") for n in range(300)))
    first, again, other = ([row.given.text for row in draw_actions(folder, (), seed)] for seed in (1, 1, 2))
    assert first == again != other


def test_labels_are_joined_with_the_mails_that_are_there(tmp_path: Path) -> None:
    """An undecided head is unknown, no next action is an answer; ids that are nowhere are counted and said."""
    folder, said = collection(tmp_path, "it_tickets", ticket("0"), ticket("1")), list[str]()
    known = [annotation("1"), annotation("77"), annotation("0", source="turkish_municipal")]
    rows = load_public(folder, 1, known, said.append)
    assert [row.source for row in rows] == ["it_tickets labelled"]
    assert rows[0].allowed == {"category": ("work",), "action": ("reply_later",), "next_actions": ()}
    assert rows[0].given.text == "query: lamp mill.example > inbox the lamp is off"
    assert said == [
        "public mail: it_tickets labelled 1",
        "it_tickets: 1 annotated ids are not in this copy of the collection and were left out",
    ]


def test_a_source_answers_a_head_with_one_label_so_often_only(tmp_path: Path) -> None:
    """Beyond that its rows keep the other answers: a label is not to mean a source."""
    names = [str(n) for n in range(MOST + 5)]
    folder = collection(tmp_path, "it_tickets", *map(ticket, names))
    known = [annotation(n, category="work" if int(n) % 2 else "other") for n in names]
    rows = load_public(folder, 1, known)
    assert len(rows) == MOST + 5
    assert sum("action" in row.allowed for row in rows) == MOST
    assert all("category" in row.allowed for row in rows)


def test_an_annotated_mail_is_not_drawn_a_second_time(tmp_path: Path) -> None:
    """Neither from the spam collection nor from the actions: the annotation says more."""
    collection(tmp_path, "lingspam", ticket("s1", labels={"spam": "ham"}), ticket("s2", labels={"spam": "spam"}))
    collection(tmp_path, "enron_actions.train", action(1), action(2))
    collection(tmp_path, "enron_folders", ticket("<1>"))
    known = [annotation("s1", source="lingspam"), annotation("<1>", source="enron_folders")]
    assert Counter(row.source for row in load_public(tmp_path, 1, known)) == Counter(
        {"lingspam": 1, "enron_actions": 1, "lingspam labelled": 1, "enron_folders labelled": 1}
    )


def test_mail_to_people_who_measure_is_left_out(tmp_path: Path) -> None:
    """The users of the validation file are unseen, in every collection."""
    said = list[str]()
    collection(tmp_path, "enron_folders", ticket("<1>", user="kim"), ticket("<2>", user="lee"))
    collection(tmp_path, "enron_actions.val", action(9, user="kim"))
    known = [annotation(row_id, source="enron_folders") for row_id in ("<1>", "<2>")]
    assert len(load_public(tmp_path, 1, known, said.append)) == 1
    assert said[-1].startswith("1 annotated mails are to people on whom actions are measured")


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """File, line and field; so is a label that nobody defined."""
    collection(tmp_path, "lingspam", ticket("1", labels={"spam": "ham"}), {"id": "2", "body": None, "labels": {}})
    with pytest.raises(InputError, match=r"lingspam:2: no row of a collection: body: "):
        load_public(tmp_path, 1)
    (tmp_path / "labels.jsonl").write_text('{"source": "a", "id": "1", "labels": {"category": "wrok"}}\n')
    with pytest.raises(
        InputError, match=r"labels\.jsonl:1: category has no label 'wrok'.* correct the line or drop it"
    ):
        read_annotations(tmp_path / "labels.jsonl")


@pytest.mark.parametrize("label", ["Spam", "legit", None, 1])
def test_a_mail_that_is_neither_spam_nor_ham_is_named(tmp_path: Path, label: object) -> None:
    """No label is taken for one of the two by default; phishing needs none."""
    collection(tmp_path, "lingspam", ticket("7", labels={"spam": label}))
    with pytest.raises(InputError, match=r"lingspam: mail '7' is labelled .*, neither spam nor ham"):
        list(draw_spam(tmp_path, "lingspam", (), 1))
    collection(tmp_path, "nazario_phishing", ticket("8", labels={"spam": label}))
    assert [row.allowed["category"] for row in draw_spam(tmp_path, "nazario_phishing", (), 1)] == [("spam",)]


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    """Half a download is told from an empty collection."""
    (tmp_path / "lingspam.jsonl.zst").write_bytes(b"\x28\xb5\x2f\xfd half")
    with pytest.raises(InputError, match=r"lingspam\.jsonl\.zst: not a whole \.zst file"):
        load_public(tmp_path, 1)


def test_every_annotation_of_the_project_is_of_the_taxonomy() -> None:
    """Ids are there once per source, and nothing of a mail's text is beside them."""
    known = read_annotations(LABELS)
    assert len({(one.source, one.id) for one in known}) == len(known) >= 1_500
