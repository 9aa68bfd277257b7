"""When people's words call a champion back: rates, windows, the version before, and who spoke. No clock, no registry."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards import NOON, said

from mailweir.services.retrain.counts import ShardCounts
from mailweir.services.retrain.trial import Trial, TrialLimits, judge_trial

LIMITS = TrialLimits()
HOUR = timedelta(hours=1)
OLD = said("1.a", 200, wrong=20, at=NOON - 60 * HOUR)  # 10 %, before the promotion
SINCE = NOON - 48 * HOUR


def judged(*shards: ShardCounts, limits: TrialLimits = LIMITS, since: object = SINCE) -> str:
    """What is found of 1.b, promoted two days ago in place of 1.a."""
    trial = replace(Trial("1.b", "1.a", SINCE, NOON, shards), since=since)  # type: ignore[arg-type]
    return judge_trial(trial, limits).code


def new(verdicts: int, wrong: int, hours: float, people: int = 5) -> ShardCounts:
    """Of the champion, so many hours ago."""
    return said("1.b", verdicts, wrong, NOON - hours * HOUR, people)


def test_a_champion_that_people_disagree_with_is_called_back() -> None:
    """Three in ten against it over the day and still now, one in ten against the one before."""
    trial = Trial("1.b", "1.a", SINCE, NOON, (OLD, new(100, 30, 10), new(10, 3, 1)))
    finding = judge_trial(trial, LIMITS)
    assert (finding.code, finding.met) == ("worse", True)
    assert "30% of 110 verdicts on 1.b, 3.0 times the budget of 10%" in finding.text
    assert "with 1.a it was 10% of 200" in finding.text


@pytest.mark.parametrize(
    ("shards", "code"),
    [
        ((OLD, new(49, 49, 1)), "trial_few_verdicts"),
        ((OLD, new(100, 60, 10), new(4, 4, 1)), "trial_few_verdicts"),  # it may be over
        ((OLD, new(100, 60, 10), new(10, 1, 1)), "trial_burn_low"),  # it is over
        ((OLD, new(100, 10, 10), new(20, 20, 1)), "worse"),
        ((OLD, new(100, 19, 10), new(10, 3, 1)), "trial_burn_low"),
        ((OLD, new(100, 60, 1, people=2)), "trial_few_people"),
        ((new(100, 60, 1),), "trial_no_reference"),
        ((said("1.a", 49, 0, NOON - 60 * HOUR), new(100, 60, 1)), "trial_no_reference"),
        ((said("1.a", 200, 60, NOON - 60 * HOUR), new(100, 30, 1)), "trial_not_worse"),  # people tell of errors only
        ((OLD, new(100, 60, 30)), "trial_few_verdicts"),  # before the window
        ((OLD, new(100, 60, -1)), "trial_few_verdicts"),  # dated into the future
        ((OLD, new(100, 60, 49)), "trial_few_verdicts"),  # of an earlier time as champion
        ((OLD, said("1.c", 100, 60, NOON - HOUR)), "trial_few_verdicts"),  # of another version
    ],
)
def test_every_limit_holds_it_back(shards: tuple[ShardCounts, ...], code: str) -> None:
    """Each case is just beside one limit, and its finding names that one."""
    assert judged(*shards) == code


def test_a_difference_that_many_looks_find_by_chance_is_none() -> None:
    """One look would call 42 of 100 against 60 of 200 beyond chance; of equals a week of looks finds that more often than not."""
    old = said("1.a", 200, 60, NOON - 60 * HOUR)
    assert judged(old, new(90, 38, 10), new(10, 4, 1)) == "trial_not_worse"
    assert judged(old, new(90, 52, 10), new(10, 6, 1)) == "worse"


def test_heads_of_one_mail_are_no_words_of_their_own() -> None:
    """The same verdicts about five heads at a time prove less."""
    shards = (said("1.a", 200, 60, NOON - 60 * HOUR), new(90, 52, 10), new(10, 6, 1))
    fifth = [
        replace(one, versions={key: replace(value, words=value.heads.said // 5) for key, value in one.versions.items()})
        for one in shards
    ]
    assert (judged(*shards), judged(*fifth)) == ("worse", "trial_not_worse")


def test_what_was_said_before_the_promotion_is_of_an_earlier_time() -> None:
    """The champion was promoted five hours ago, for the second time: the window is longer than that."""
    since = NOON - 5 * HOUR
    assert judged(OLD, new(100, 60, 6), new(10, 6, 1), since=since) == "trial_few_verdicts"
    assert judged(OLD, new(100, 60, 4), new(10, 6, 1), since=since) == "worse"


def test_the_trial_ends() -> None:
    """A week after the promotion disagreement is drift, and calls for a run."""
    bad = (OLD, new(100, 60, 1))
    assert judged(*bad, since=NOON - timedelta(days=7)) == "worse"
    assert judged(*bad, since=NOON - timedelta(days=7, seconds=1)) == "trial_over"


def test_what_is_said_of_the_version_before_counts_also_after_the_promotion() -> None:
    """Words come days behind their decisions; those from long before the trial are another time."""
    late = said("1.a", 200, 20, NOON - 2 * HOUR)
    assert judged(late, new(100, 60, 1)) == "worse"
    assert judged(said("1.a", 200, 20, SINCE - timedelta(days=8)), new(100, 60, 1)) == "trial_no_reference"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 47)), max_size=8))
def test_it_does_not_matter_how_words_lie_in_shards(parts: list[tuple[int, int, int]]) -> None:
    """Many shards are one large one."""
    shards = [new(right + wrong, wrong, hours) for right, wrong, hours in parts]
    versions: dict[object, object] = {}
    for one in shards:
        for key, value in one.versions.items():
            versions[key] = versions[key] + value if key in versions else value  # type: ignore[operator]
    whole = ShardCounts(versions=versions)  # type: ignore[arg-type]
    assert judged(OLD, *shards) == judged(OLD, whole)
