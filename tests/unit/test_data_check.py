"""What is found in annotated rows: planted duplicates, leaks, conflicts and breaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import LABELS, written

from mailweir.models.text.shingles import words_of
from mailweir.models.training.corpus import FOLDER, TEST_AUTHORS
from mailweir.models.training.data import Findings, check_rows, read_rows
from mailweir.models.training.data.similar import jaccard, similar_pairs

WORDS = [
    f"{a}{b}" for a in ("mor", "tal", "gin", "sep", "vul") for b in ("a", "eb", "ik", "os", "un", "yra", "ent", "ops")
]


def prose(seed: int, words: int = 60) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


def row(row_id: str, body: str, **fields: Any) -> dict[str, Any]:
    author = row_id.partition("-")[0]
    made = {"id": row_id, "author": author, "language": "en", "subject": "", "from": "Ann <ann@example.org>"}
    rest = {"to": ["sales@example.com"], "date": "2026-03-02T09:14:00+00:00", "mailbox": "sales", "entities": []}
    return made | rest | {"body": body, "labels": LABELS} | fields


def looked(folder: Path, *rows: dict[str, Any], least: float = 0.5) -> Findings:
    return check_rows(read_rows(written(folder, rows)), test={"tess"}, validation={"val"}, least=least)


def changed(text: str, every: int) -> str:
    """Each so-many-th word is another."""
    return " ".join(f"x{place}x" if place % every == 0 else word for place, word in enumerate(text.split(), 1))


def by_comparison(texts: Sequence[str], least: float) -> set[tuple[int, int]]:
    sets = [frozenset(hash(tuple(w[i : i + 3])) for i in range(len(w) - 2)) for w in map(words_of, texts)]
    return {(i, j) for j in range(len(sets)) for i in range(j) if jaccard(sets[i], sets[j]) >= least}


def test_hashing_finds_what_comparing_all_with_all_finds() -> None:
    """Among 300 texts, a third of them changed copies, no near-duplicate is missed and none invented."""
    originals = [prose(seed) for seed in range(200)]
    texts = originals + [changed(text, 6 + place % 15) for place, text in enumerate(originals[:100])]
    wanted = by_comparison(texts, 0.5)
    assert 30 < len(wanted) < 100  # the limit lies among the planted ones
    assert {(pair.first, pair.second) for pair in similar_pairs(texts, 0.5)} == wanted


def test_similarity_is_counted_on_word_triples() -> None:
    """Of a b c d e and a b c d f: two triples shared of four."""
    [pair] = similar_pairs(["a b c d e", "z y x w v", "A, b: c d f!"], 0.5)
    assert (pair.first, pair.second, pair.similarity) == (0, 2, 0.5)


def test_other_figures_do_not_make_another_text() -> None:
    """A template with slots for numbers is seen through."""
    assert [
        p.similarity for p in similar_pairs(["order 4711 came on 3 May at noon", "Order 12 came on 17 May at noon"])
    ] == [1]


@pytest.mark.parametrize("texts", [[], ["", " \n"], ["?!", "?!"], ["one text"]])
def test_texts_without_words_resemble_nothing(texts: list[str]) -> None:
    """Empty mails are not duplicates of each other."""
    assert similar_pairs(texts) == []


def test_short_texts_are_compared_whole() -> None:
    """Fewer than three words are one run."""
    assert [(p.first, p.second) for p in similar_pairs(["Thank you", "thank you!", "thank me"])] == [(0, 1)]


@pytest.mark.parametrize(
    ("first", "second", "leaks"),
    [("ann", "bob", 0), ("tess", "tess", 0), ("ann", "tess", 1), ("val", "ann", 1), ("val", "tess", 1)],
)
def test_a_near_duplicate_across_the_split_leaks(tmp_path: Path, first: str, second: str, leaks: int) -> None:
    """Training, validation and test must not share texts; within a side they may."""
    text = prose(1)
    found = looked(tmp_path, row(f"{first}-1", text), row("bob-9", prose(2)), row(f"{second}-2", changed(text, 25)))
    assert [pair.ids for pair in found.twins] == [(f"{first}-1", f"{second}-2")]
    assert len(found.leaks) == leaks
    assert found.sound == (not leaks)


def test_near_duplicates_with_other_labels_are_conflicts(tmp_path: Path) -> None:
    """The heads are named; null decides nothing, and several labels have no order."""
    text, several = prose(1), LABELS | {"next_actions": ["check_stock", "validate_po"]}
    other = several | {"priority": "high", "action": None, "next_actions": ["validate_po", "check_stock"]}
    found = looked(tmp_path, row("ann-1", text, labels=several), row("bob-1", text, labels=other))
    assert [pair.differ for pair in found.conflicts] == [("priority",)]
    assert found.sound


def test_a_stricter_limit_finds_less(tmp_path: Path) -> None:
    """The similarity is the caller's choice."""
    text = prose(1)
    rows = row("ann-1", text), row("ann-2", changed(text, 15))
    assert [len(looked(tmp_path, *rows, least=least).twins) for least in (0.5, 0.95)] == [1, 0]


def labels(**changes: Any) -> dict[str, Any]:
    return {"labels": LABELS | changes}


SPAM = {"category": "spam", "intent": "none", "action": "delete", "priority": "low", "workflow_state": "none", "next_actions": []}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (labels(category="misc"), "misc"),
        (labels(category="newsletter", next_actions=[], workflow_state="none"), "newsletter has intent none"),
        ({"labels": SPAM | {"priority": "high"}}, "spam has priority low, not high"),
        ({"labels": SPAM | {"next_actions": ["escalate"]}}, "next_actions is empty in spam"),
        ({"mailbox": "personal"} | labels(next_actions=[]), "private mailbox every intent is none"),
        ({"mailbox": "personal"} | labels(intent="none"), "next_actions is empty in private mailboxes"),
        ({"date": "2026-03-02T09:14:00"}, "zone"),
        ({"date": "yesterday"}, "ISO 8601"),
        ({"entities": [{"type": "po_number", "text": "nowhere"}]}, "neither in the subject nor in the body"),
        ({"entities": [{"type": "spa_code", "text": "CAS-1-ABC"}], "subject": "CAS-1-ABC"}, "spa_code 'CAS-1-ABC'"),
        ({"extra": 1}, "not a mail row: extra: "),
        ({"entities": ["x"]}, "not a mail row: entities.0: "),
    ],
)
def test_a_break_of_the_guide_is_named_with_its_place(tmp_path: Path, fields: dict[str, Any], problem: str) -> None:
    """One problem, at file and line, and the rows are not sound."""
    found = looked(tmp_path, row("ann-1", prose(1)), row("ann-2", prose(2), **fields))
    [note] = found.breaks
    assert note.place == "rows.jsonl:2"
    assert problem in note.problem
    assert not found.sound


def test_ids_and_task_rows_are_checked_too(tmp_path: Path) -> None:
    """A repeated id, an unknown label of a task, a line that is no task."""
    written(tmp_path, [row("ann-1", prose(1)), row("ann-1", prose(2))])
    task = {"id": "t-1", "author": "ann", "language": "en", "title": "Fix it", "description": "now", "label": "Design"}
    written(tmp_path, [task, task | {"id": "t-2", "label": "Idle"}, {"id": "t-3"}], "ann_tasks.jsonl")
    found = check_rows(read_rows(tmp_path), test=(), validation=())
    assert (found.mails, found.tasks) == (2, 2)
    assert [(note.id, note.place) for note in found.breaks] == [
        ("t-2", "ann_tasks.jsonl:2"),
        ("", "ann_tasks.jsonl:3"),
        ("ann-1", ""),
    ]
    seen = {label: languages for label, languages in found.labels["task"].items() if languages}
    assert seen == {"Design": {"en": 1}, "Idle": {"en": 1}}


def test_tasks_leak_between_blocks_of_neighbours(tmp_path: Path) -> None:
    """Tasks of one author are split in blocks of twenty: a copy within the block is none, one further on is."""
    task = {"author": "ann", "language": "en", "description": "", "label": "Design"}
    titles = [prose(seed, 12) for seed in range(40)]
    titles[1], titles[30] = titles[0], titles[2]
    written(tmp_path, [task | {"id": f"t-{n}", "title": title} for n, title in enumerate(titles)], "ann_tasks.jsonl")
    found = check_rows(read_rows(tmp_path), test={"ann-1"}, validation=())
    assert [pair.ids for pair in found.twins] == [("t-0", "t-1"), ("t-2", "t-30")]
    assert [pair.ids for pair in found.leaks] == [("t-2", "t-30")]


@pytest.mark.parametrize(
    ("body", "mark", "doubt"),
    [
        ("send a dozen", ("quantity", "dozen"), "is not digits alone"),
        ("it costs 12.50", ("amount", "12.50"), "has no currency beside it"),
        ("do it by Friday", ("deadline", "by Friday"), "begins with a preposition"),
        ("Cuma 17:00'ye kadar", ("deadline", "Cuma 17:00'ye"), "keeps the suffix"),
        ("see 4100 units", ("quantity", "100"), "inside a longer word"),
        ("bugün akşama kadar", ("deadline", "bugün akşam"), "inside a longer word"),
    ],
)
def test_marks_that_are_seldom_meant_are_doubts(tmp_path: Path, body: str, mark: tuple[str, str], doubt: str) -> None:
    """They are told, and do not make the rows unsound."""
    kind, text = mark
    found = looked(tmp_path, row("ann-1", body, language="tr", entities=[{"type": kind, "text": text}]))
    [note] = found.doubts
    assert doubt in note.problem
    assert found.sound


def test_a_language_that_nobody_knows_is_a_doubt(tmp_path: Path) -> None:
    """`eng` for `en` would be a language of its own in every figure."""
    found = looked(tmp_path, row("ann-1", prose(1), language="eng"))
    [note] = found.doubts
    assert note.problem == "language 'eng' is none of en, tr, de, fr, es, other"


def test_marks_as_the_guide_wants_them_raise_no_doubt(tmp_path: Path) -> None:
    """Figures with separators, money in any form, a weekday with an hour."""
    marks = [("quantity", "1.200"), ("quantity", "3"), ("amount", "$12,400.00"), ("amount", "1.250,00 TL"), ("deadline", "Friday 5pm"), ("quantity", "25"), ("deadline", "7月11日")]  # fmt: skip
    body = "; ".join(text for _, text in marks[:-2]) + "; 25kg 请7月11日前"
    found = looked(tmp_path, row("ann-1", body, entities=[{"type": kind, "text": text} for kind, text in marks]))
    assert found.doubts == ()


def test_phrases_are_told_once_and_at_full_length(tmp_path: Path) -> None:
    """A disclaimer of twelve words in three mails is one phrase; who shares more of it has a longer one of their own."""
    notice = "this message is meant for nobody else than the one it names"
    mails = [f"{prose(seed)} {notice} {prose(seed + 50)}" for seed in (1, 2, 3)]
    found = looked(
        tmp_path, row("ann-1", mails[0]), row("bob-1", mails[1]), row("tess-1", mails[2]), row("bob-2", prose(9))
    )
    [phrase] = found.phrases
    assert (phrase.text, phrase.ids, phrase.authors) == (notice, ("ann-1", "bob-1", "tess-1"), ("ann", "bob", "tess"))
    assert found.crossing == (phrase,)


def test_a_table_of_figures_is_no_phrase(tmp_path: Path) -> None:
    """Numbers are one word, so a row of them would be everywhere."""
    figures = " ".join(map(str, range(20)))
    found = looked(tmp_path, row("ann-1", f"{prose(1)} {figures}"), row("bob-1", f"{prose(2)} {figures}"))
    assert found.phrases == ()


def test_distributions_are_per_language_and_name_what_is_missing(tmp_path: Path) -> None:
    """Rows per label, marks per entity type, words per language; labels without a row are there, empty."""
    long = row("bob-1", prose(2, 160), language="de", **labels(priority=None))
    po = row("ann-1", f"PO 12345678 {prose(1, 8)}", entities=[{"type": "po_number", "text": "12345678"}])
    found = looked(tmp_path, po, long)
    assert found.labels["category"]["work"] == {"en": 1, "de": 1}
    assert found.labels["category"]["spam"] == {}
    assert found.labels["priority"]["(null)"] == {"de": 1}
    assert found.labels["entities"]["po_number"] == {"en": 1}
    assert [(name, o.median, o.long) for name, o in found.lengths.items()] == [("de", 160, 1), ("en", 10, 0)]
    assert [(p.rule.partition("/")[0], p.found, p.annotated) for p in found.patterns] == [("po_number", 1, 1)]


def test_labels_that_never_meet_are_listed_with_what_chance_expects(tmp_path: Path) -> None:
    """Two labels of four rows each among eight would share two; what the guide rules out is no news."""
    spam = [row(f"bob-{n}", prose(n), labels=SPAM) for n in range(4)]
    found = looked(tmp_path, *spam, *[row(f"ann-{n}", prose(10 + n)) for n in range(4)])
    expected = {absent.labels: absent.expected for absent in found.absent}
    assert expected["category=work", "priority=low"] == 2
    assert ("category=spam", "priority=normal") not in expected
    assert ("category=work", "priority=normal") not in expected


def test_the_corpus_of_the_repository_is_sound() -> None:
    """Nothing breaks the guide, and nothing of the test authors' mail is found in the others'."""
    found = check_rows(read_rows(FOLDER), test=TEST_AUTHORS, validation=())
    assert found.breaks == ()
    assert found.leaks == ()
