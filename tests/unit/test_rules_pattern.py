"""Patterns of rules: the same answers as Python's own, in linear time, and what they refuse."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailweir.services.classify.rules.pattern import Pattern

_ATOMS = ["a", "b", "1", r"\-", ".", r"\d", r"\w", r"\s", r"\D", r"\W", "[ab]", "[^a1]", "[a-c1-]", r"[\d_]", r"\b", "^", "$", " "]  # fmt: skip


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?"])
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, signs).map(lambda two: f"(?:{two[0]}){two[1]}"),
        inner.map(lambda one: f"({one})"),
    )


@settings(max_examples=400, deadline=None)
@given(
    st.recursive(st.sampled_from(_ATOMS), _grown, max_leaves=8),
    st.lists(st.text("ab1c- \n_AB", max_size=12), min_size=3, max_size=3),
    st.booleans(),
)
def test_it_finds_what_python_finds(pattern: str, texts: list[str], any_case: bool) -> None:  # noqa: FBT001
    """Any pattern of the subset, on any text; what matches the empty text is refused."""
    written = f"(?i){pattern}" if any_case else pattern
    theirs = re.compile(written, re.MULTILINE)
    if theirs.search(""):
        with pytest.raises(ValueError, match="empty text"):
            Pattern(written)
        return
    try:
        ours = Pattern(written)
    except ValueError as error:
        assert "too large" in str(error)  # noqa: PT017 - the only thing that may be refused here
        return
    for text in texts:
        assert ours.search(text) is bool(theirs.search(text)), (written, text)


@pytest.mark.parametrize(
    ("pattern", "text", "there"),
    [
        (r"CAS-\d{6}-[A-Z0-9]{6}", "see CAS-091284-B0C6Q4.", True),
        (r"CAS-\d{6}-[A-Z0-9]{6}\b", "see CAS-091284-B0C6Q4X", False),
        (r"(?i)fatura\s+no", "FATURA  No: 7", True),
        (r"^Ref: \w+$", "Hello\nRef: ab12\nBye", True),
        (r"\Bbc\B", "abcd", True),
        (r"\Bbc", "bcd", False),
        (r"[]x]", "]", True),
        (r"İade", "İade talebi", True),
    ],
)
def test_patterns_that_people_write(pattern: str, text: str, there: bool) -> None:  # noqa: FBT001
    """Codes, cases, lines, a bracket in brackets, letters of any language."""
    assert Pattern(pattern).search(text) is there


@pytest.mark.parametrize("pattern", [r"(a+)+$x", r"(a|aa)+x", r"(?:\w+\w+)+\w+x", r"a{1,30}a{1,30}a{1,30}x"])
def test_a_text_made_to_hang_a_backtracker_costs_milliseconds(pattern: str) -> None:
    """50,000 characters on which Python's own matcher works for hours are searched in well under a second."""
    compiled = Pattern(pattern)
    started = time.process_time()
    assert not compiled.search("a" * 50_000)
    assert time.process_time() - started < 1.0


def test_memory_does_not_grow_with_what_was_searched() -> None:
    """A pattern with 2^13 states, on text that meets them all: remembered steps stay bounded, answers right."""
    compiled = Pattern(r"a(?:a|b){12}x")
    text = "".join("ab"[(i * i // 7 + i // 3) % 2] for i in range(40_000))
    assert not compiled.search(text)
    assert compiled.search(f"{text}a{'ab' * 6}x")
    assert sum(len(state.after) for state in compiled._states.values()) <= 20_000


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(?=a)b", "look-ahead is not allowed"),
        (r"(?<=a)b", "look-behind"),
        (r"(a)\1", "back-reference is not allowed"),
        (r"(?P<x>a)", "named group"),
        ("a*", "matches the empty text"),
        ("(a", "a \\( without its \\)"),
        ("a)", "a \\) too many"),
        ("[a", "ends too early"),
        ("*a", "nothing before \\*"),
        ("a{x}", "needs a count"),
        ("a{3,2}", "the first not above the second"),
        ("a**", "a repeat of a repeat"),
        (r"\q", "has no meaning"),
        ("[z-a]", "runs backwards"),
        (r"\b+a", "an edge cannot be repeated"),
        ("(a{50}){50}", "too large"),
        ("((((a{999}){999}){999}){999}){999}", "too large"),
        ("(" * 300, "more than 20 groups"),
        ("a" * 501, "501 characters"),
    ],
)
def test_what_cannot_be_used_is_said(pattern: str, said: str) -> None:
    """Outside the subset, broken, too large, or for every mail: refused at once, by name."""
    with pytest.raises(ValueError, match=said):
        Pattern(pattern)
