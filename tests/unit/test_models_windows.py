"""Entities of long mail: windows over the tokens beyond what the heads read, and how their tags are put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.runtime.windows import Later, later_windows, tag_table
from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.tokens import Tokens

SIZE = 256


@dataclass
class Encoded:
    """What the tokenizer says of a text before the cut."""

    ids: list[int]


def read(length: int) -> Tokens:
    """A mail of `length` tokens whose ids are their places, cut after `SIZE`."""
    ids = list(range(length))
    kept = [*ids[: SIZE - 1], ids[-1]] if length > SIZE else ids
    encoding: Any = Encoded(ids)
    return Tokens(np.array(kept, np.int64), length > SIZE, encoding)


def tagged(tokens: Tokens) -> np.ndarray[Any, Any]:
    """The joined table of a tagger that answers every token with its id."""
    later = Later([(w.start, w.ids[1:-1, None].astype(np.float32)) for w in later_windows(tokens)])
    return tag_table(tokens.ids[:, None].astype(np.float32), tokens, later if later.tables else None)


@given(st.integers(2, 3_000))
def test_every_token_is_read_once(length: int) -> None:
    """Joined, the windows give each token its own answer, in order, to the end or to the last window."""
    answers = tagged(read(length))[:, 0].astype(int).tolist()
    assert answers == list(range(len(answers)))
    assert len(answers) in (length, length - 1) or len(later_windows(read(length))) == 5


def test_windows_are_no_longer_than_the_first() -> None:
    """Each holds the marks of beginning and end and shares tokens with the one before; a short mail has none."""
    windows = later_windows(read(900))
    assert all(len(w.ids) <= SIZE and w.ids[0] == 0 and w.ids[-1] == 899 for w in windows)
    assert [w.start for w in windows] == [207, 413, 619, 825]
    assert later_windows(read(SIZE)) == []


def test_what_two_windows_share_is_read_where_it_is_further_inside() -> None:
    """Of 48 shared tokens the first half is the earlier window's, the second the later one's."""
    tokens = read(400)
    (later,) = later_windows(tokens)
    first = np.zeros((SIZE, 1), np.float32)
    answers = tag_table(first, tokens, Later([(later.start, np.ones((len(later.ids) - 2, 1), np.float32))]))[:, 0]
    assert later.start == SIZE - 1 - 48
    assert answers[: SIZE - 1 - 24].max() == 0
    assert answers[SIZE - 1 - 24 :].min() == 1


def test_lists_and_logs_are_not_read_for_ever() -> None:
    """Five windows after the first, however long the mail."""
    assert len(later_windows(read(20_000))) == 5


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return Bundle.load(Path(shipped_bundle("email")))


def test_an_order_number_at_the_end_of_a_long_mail_is_found(shipped: Bundle) -> None:
    """What the heads never see is tagged all the same, whatever comes with it; the mail still says that it was cut."""
    chat = "We talked about the new warehouse, the rain, and who would water the plants in the office. " * 30
    body = f"{chat}\nOur PO number is 4500917733, $12,480.00 in all, to be here by Friday 14 March."
    mail = compose_fields("Order", "ann@customer.example", "sales", body, ())
    short = compose_fields("Order", "ann@customer.example", "sales", "Hello", ())
    (alone,) = shipped.classify([mail])
    beside = shipped.classify([short, mail, short])[1]
    found = {body[span.start : span.end] for field, span in alone.tagged if field == "body"}
    assert {"4500917733", "$12,480.00", "Friday 14 March"} <= found
    assert alone.truncated
    assert beside.tagged == alone.tagged
