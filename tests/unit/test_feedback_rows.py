"""Rows of feedback: what a file keeps, that the same rows are the same bytes, and whose word counts."""

from __future__ import annotations

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loop import NOON, row

from mailweir.models.feedback import SCHEMA, Corrected, FeedbackRow, last_words, offsets, once, read_rows, write_rows
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import Alternative, Correction, EntityMark, NextAction


def full_row() -> FeedbackRow:
    """Every field with a value of its own."""
    mark = EntityMark(type="po_number", text="PO-1", field="body", start=3, end=7)
    return row(
        7,
        withdraws="a" * 64,
        sender_domain="customer.example",
        mailbox="satış",
        language="tr",
        decided={
            "heads": {"category": Alternative(label="work", probability=0.25)},
            "next_actions": (NextAction(label="validate_po", probability=0.5),),
            "entities": (mark,),
        },
        corrected={
            "heads": {"category": Correction(label="finance")},
            "next_actions": (),
            "entities_added": (mark,),
            "entities_removed": (mark,),
        },
        redaction=("email", "phone"),
    )


def test_a_row_comes_back_as_it_was_written() -> None:
    """Every field, an empty list that differs from nothing said, and letters beyond ASCII."""
    assert read_rows(write_rows([full_row()]), "x") == [full_row()]
    assert full_row().corrected.next_actions == ()


def test_the_columns_are_the_fields() -> None:
    """A field that were not written would come back as its default."""
    assert SCHEMA.names == list(FeedbackRow.model_fields)


def test_the_same_rows_are_the_same_bytes_in_any_order() -> None:
    """Sorted by place, one per place, and nothing of the moment inside."""
    rows = [row(number) for number in range(50)]
    shuffled = [*rows, rows[3]]
    random.Random(1).shuffle(shuffled)
    assert write_rows(rows) == write_rows(shuffled)
    assert offsets(write_rows(shuffled), "x") == list(range(50))


def test_of_two_rows_of_one_place_the_first_stays() -> None:
    """Two workers wrote the same range: readers see one row, whichever files they read."""
    one, other = row(1, person="u-1"), row(1, person="u-2")
    assert once([one, other, row(0)]) == [row(0), one]


def test_a_file_of_something_else_is_refused_by_name() -> None:
    """No Parquet, another table, a later version, a row that is none: the message says which file."""
    with pytest.raises(InputError, match=r"a\.parquet is no Parquet file"):
        read_rows(b"rubbish", "a.parquet")
    with pytest.raises(InputError, match=r"b\.parquet is no Parquet file of feedback rows"):
        offsets(b"", "b.parquet")
    with pytest.raises(InputError, match=r"c\.parquet holds no feedback: topic, partition"):
        read_rows(_file(pa.table({"x": [1]})), "c.parquet")
    table = pq.read_table(io.BytesIO(write_rows([row(1)])))
    with pytest.raises(InputError, match=r"d\.parquet is of version 2"):
        read_rows(_file(table.replace_schema_metadata({"mailweir.feedback": "2"})), "d.parquet")
    wrong = table.set_column(table.column_names.index("person"), "email_id", pa.array(["short"]))
    wrong = table.set_column(table.column_names.index("email_id"), "email_id", pa.array(["short"]))
    with pytest.raises(InputError, match=r"e\.parquet, row 0 is no feedback row: email_id"):
        read_rows(_file(wrong), "e.parquet")


def _file(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def withdrawal(offset: int, of: FeedbackRow, minute: int, person: str = "u-1") -> FeedbackRow:
    """A mere withdrawal."""
    return row(offset, person, minute, withdraws=of.feedback_id, corrected=Corrected())


def test_the_last_word_per_person_and_decision_counts() -> None:
    """A person's later word replaces the earlier; other persons and other decisions stand beside it."""
    first, second = row(1, minute=1), row(2, minute=5)
    other, elsewhere = row(3, "u-2", minute=2), row(4, minute=0, decision_id="b" * 64)
    assert last_words([second, other, first, elsewhere]) == [elsewhere, other, second]


def test_time_decides_and_the_log_only_where_times_are_equal() -> None:
    """A word that was delivered late does not replace a newer one."""
    late, early = row(9, minute=1), row(2, minute=5)
    assert last_words([late, early]) == [early]
    assert last_words([row(2), row(9)]) == [row(9)]
    assert row(2).given_at == row(9).given_at == NOON


def test_a_withdrawn_word_was_never_said() -> None:
    """The word before it stands again; with none before it nothing is left."""
    first, second = row(1, minute=1), row(2, minute=2)
    assert last_words([first, second, withdrawal(3, second, 3)]) == [first]
    assert last_words([first, withdrawal(3, first, 3)]) == []


def test_nobody_withdraws_the_word_of_another() -> None:
    """A withdrawal by another person has no effect."""
    said = row(1, minute=1)
    assert last_words([said, withdrawal(2, said, 2, person="u-2")]) == [said]


def test_a_withdrawal_can_be_withdrawn() -> None:
    """Then the word stands."""
    said = row(1, minute=1)
    back = withdrawal(2, said, 2)
    assert last_words([said, back, withdrawal(3, back, 3)]) == [said]


def test_a_word_may_withdraw_and_say_something_at_once() -> None:
    """It counts as a word of its own."""
    said = row(1, minute=1)
    instead = row(2, minute=2, withdraws=said.feedback_id, decision_id="c" * 64)
    assert last_words([said, instead]) == [instead]


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4))
def test_the_order_of_reading_and_repeats_change_nothing(order: list[int], again: list[int]) -> None:
    """Files come in any order, and overlap: the answer is the same."""
    said = [row(1, minute=1), row(2, "u-2", minute=1), row(3, minute=2)]
    rows = [*said, withdrawal(4, said[2], 4), row(5, decision_id="d" * 64), row(6, "u-2", minute=0)]
    assert last_words([rows[at] for at in [*order, *again]]) == last_words(rows)
