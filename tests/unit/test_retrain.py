"""When a run is asked for: the policy's rules, the order of the log, and the id of a run. No clock, no broker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards import EMAIL, NOON, counts, shard

from mailweir.schemas.events import ModelRef, RetrainFinished, RetrainRequested, ShardRef, TaxonomyRef
from mailweir.services.retrain.counts import ShardCounts, Tally, total
from mailweir.services.retrain.policy import CODES, Evidence, judge, judge_request
from mailweir.services.retrain.request import Champion, request_run, run_id
from mailweir.services.retrain.rules import Limits, drift
from mailweir.services.runs.duration import duration
from mailweir.services.runs.history import History

LIMITS = Limits()
DAY = timedelta(days=1)
CHAMPION = Champion(ModelRef(name="email", version="1.a"), EMAIL)


@dataclass
class Known:
    """A shard as the policy sees it."""

    counts: ShardCounts
    learned: bool = False


def evidence(*shards: ShardCounts, **changes: object) -> Evidence:
    """Shards that no run has seen, at noon."""
    return replace(Evidence(NOON, [Known(one) for one in shards]), **changes)  # type: ignore[arg-type]


def test_enough_new_labels_call_for_a_run() -> None:
    """At the limit, over several shards; one word less does not."""
    verdict = judge(evidence(counts(150), counts(150)), LIMITS)
    assert (verdict.run, verdict.codes) == (True, ("labels",))
    assert "300 new labels" in verdict.reason
    short = judge(evidence(counts(150), counts(149)), LIMITS)
    assert (short.run, short.codes[0]) == (False, "few_labels")


def test_every_rule_that_is_not_met_says_so_with_its_figures() -> None:
    """A refusal names all that it looked at."""
    verdict = judge(evidence(counts(20, wrong=2)), LIMITS)
    assert verdict.codes == ("few_labels", "no_weak_class", "few_verdicts", "no_reference")
    assert "20 new labels" in verdict.reason
    assert set(verdict.codes) <= set(CODES)


def test_labels_that_a_run_has_seen_do_not_count_again() -> None:
    """Neither towards the number nor as a reason by themselves."""
    old, new = Known(counts(400, at=NOON - 9 * DAY), learned=True), Known(counts(20))
    assert judge(Evidence(NOON, [old, new]), LIMITS).codes[0] == "few_labels"
    assert judge(Evidence(NOON, [old]), LIMITS).codes == ("nothing_new",)


def test_enough_of_a_class_that_is_mostly_missed_calls_for_a_run() -> None:
    """Forty labels of a class of which the model found nineteen; a class that it finds half of is not weak."""
    weak = judge(evidence(counts(40, intent__complaint=(19, 21))), LIMITS)
    assert weak.codes == ("weak_class",)
    assert "21 of 40 new labels of intent/complaint" in weak.reason
    assert not judge(evidence(counts(40, intent__complaint=(20, 20))), LIMITS).run
    assert not judge(evidence(counts(39, intent__complaint=(0, 39))), LIMITS).run


@pytest.mark.parametrize(
    ("long_wrong", "short_wrong", "code"),
    [(60, 30, "burn"), (60, 10, "burn_low"), (0, 30, "burn_low"), (20, 20, "burn_low")],
)
def test_disagreement_must_burn_in_both_windows(long_wrong: int, short_wrong: int, code: str) -> None:
    """Twice the budget of 10 %: over the week and over its last fourteen hours."""
    week, today = counts(100, wrong=long_wrong, at=NOON - 3 * DAY), counts(100, wrong=short_wrong, at=NOON - DAY / 4)
    assert code in judge(evidence(week, today), LIMITS).codes


def test_a_rate_of_few_verdicts_says_nothing() -> None:
    """Forty-nine verdicts, all against the model."""
    assert "few_verdicts" in judge(evidence(counts(49, wrong=49)), LIMITS).codes


def test_drift_needs_both_that_the_model_is_less_sure_and_that_it_is_less_right() -> None:
    """Less sure alone is unconfirmed; less right alone is no drift; a fall within chance is none."""
    before = counts(140, wrong=7, sure=0.9, at=NOON - 10 * DAY)

    def codes(wrong: int, sure: float, people: int = 140) -> tuple[str, ...]:
        return judge(evidence(before, counts(people, wrong=wrong, sure=sure, at=NOON - DAY)), LIMITS).codes

    assert codes(24, 0.8) == ("drift",)
    assert "drift_unconfirmed" in codes(7, 0.8)
    assert "drift_unconfirmed" in codes(6, 0.8, people=55)  # 11 % against 5 %, of 55: chance
    assert "drift_unconfirmed" in codes(20, 0.8)  # 14 %: one look would call it beyond chance, and there are many
    assert "no_drift" in codes(24, 0.9)


def test_heads_of_one_mail_prove_less_than_as_many_mails() -> None:
    """The same verdicts about five heads at a time are no drift yet."""
    before, recent = (counts(140, wrong, sure) for wrong, sure in ((7, 0.9), (24, 0.8)))
    fifth = [replace(one, human=one.human // 5) for one in (before, recent)]
    assert drift(before, recent, LIMITS).code == "drift"
    assert drift(*fifth, LIMITS).code == "drift_unconfirmed"


def test_what_the_last_champion_was_told_is_no_reference() -> None:
    """After a promotion the words about the model before do not count as before."""
    shards = counts(140, wrong=7, at=NOON - 10 * DAY), counts(140, wrong=21, sure=0.8, at=NOON - DAY)
    assert "no_reference" in judge(evidence(*shards, champion_since=NOON - 8 * DAY), LIMITS).codes


def test_one_run_at_a_time_and_a_pause_between_two() -> None:
    """However much there is to learn."""
    much = counts(5_000, wrong=4_000)
    assert judge(evidence(much, open_run="r" * 64), LIMITS).codes == ("run_open",)
    assert judge(evidence(much, asked_at=NOON - DAY + timedelta(seconds=1)), LIMITS).codes == ("too_soon",)
    assert judge(evidence(much, asked_at=NOON), LIMITS).reason.endswith(" UTC, less than 1 day ago")
    assert judge(evidence(much, asked_at=NOON - DAY), LIMITS).run
    assert judge(evidence(), LIMITS).codes == ("no_shards",)


def test_a_run_that_could_not_begin_does_not_use_up_the_pause() -> None:
    """A quarter of an hour after the first, twice that after each further one, never more than the pause itself."""
    much, minute = counts(5_000, wrong=4_000), timedelta(minutes=1)
    first = evidence(much, setbacks=1, setback_at=NOON - 14 * minute)
    assert judge(first, LIMITS).codes == ("setup_failed",)
    assert "the next is asked for 15 minutes after it" in judge(first, LIMITS).reason
    assert judge(replace(first, setback_at=NOON - 15 * minute), LIMITS).run
    assert "30 minutes after it" in judge(replace(first, setbacks=2), LIMITS).reason
    assert judge(replace(first, setbacks=2, setback_at=NOON - 30 * minute), LIMITS).run
    assert "1 day after it" in judge(replace(first, setbacks=10_000), LIMITS).reason
    assert judge(replace(first, setback_at=NOON - 15 * minute), replace(LIMITS, min_interval=timedelta(0))).run


def test_the_log_tells_since_when_the_pause_counts() -> None:
    """From the last run that its machine could carry out; a set-up failure before that one is no setback any more."""
    known = History(timedelta(hours=24))

    def run(number: int, *, setup_failed: bool) -> None:
        at = NOON + timedelta(hours=number)
        request = request_run(CHAMPION, [shard(1)], str(number), "", "policy", at)
        known.requested(request)
        end = {"run_id": request.run_id, "outcome": "failed", "finished_at": at, "setup_failed": setup_failed}
        known.finished(RetrainFinished.model_validate(end))

    run(1, setup_failed=True)
    assert (known.paused_since, len(known.setbacks)) == (None, 1)
    run(2, setup_failed=False)
    assert (known.paused_since, known.setbacks) == (NOON + timedelta(hours=2), [])
    run(3, setup_failed=True)
    run(4, setup_failed=True)
    assert known.paused_since == NOON + timedelta(hours=2)
    assert [end.finished_at for end in known.setbacks] == [NOON + timedelta(hours=hours) for hours in (4, 3)]


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(hours=24), "1 day"),
        (timedelta(days=7), "7 days"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=1.5), "1.5 seconds"),
        (timedelta(0), "0 seconds"),
    ],
)
def test_spans_of_time_are_said_as_people_do(span: timedelta, said: str) -> None:
    """No `1 day, 0:00:00`."""
    assert duration(span) == said


def test_a_person_need_not_wait_but_needs_shards_and_no_other_run() -> None:
    """Neither numbers nor the pause hold a manual request up."""
    asked = judge_request(1, None, "new product line")
    assert (asked.run, asked.codes, asked.reason) == (True, ("asked",), "new product line")
    assert judge_request(0, None, "why").codes == ("no_shards",)
    assert judge_request(3, "r" * 64, "why").codes == ("run_open",)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=6))
def test_totals_do_not_depend_on_how_words_lie_in_shards(pairs: list[tuple[int, int]]) -> None:
    """Several shards are one large one."""
    parts = [counts(right + wrong, wrong, intent__none=(right, wrong)) for right, wrong in pairs]
    whole = total(parts)
    assert whole.human == sum(right + wrong for right, wrong in pairs)
    assert whole.heads == Tally(sum(r for r, _ in pairs), sum(w for _, w in pairs))
    assert total([*parts[:2], total(parts[2:])]).labels == whole.labels


def asked(at: datetime, *numbers: int, after: str = "") -> RetrainRequested:
    """A request that names these shards."""
    return request_run(CHAMPION, [shard(number) for number in numbers], after, "why", "policy", at)


def ended(run: RetrainRequested, outcome: str, at: datetime) -> RetrainFinished:
    """Its end."""
    return RetrainFinished.model_validate({"run_id": run.run_id, "outcome": outcome, "finished_at": at})


def test_the_id_of_a_run_is_its_content() -> None:
    """The same whoever asks, when and why; another for other shards, another champion, or after another run."""
    first = asked(NOON, 1, 2)
    assert request_run(CHAMPION, [shard(1), shard(2)], "", "other", "jo", NOON + DAY).run_id == first.run_id
    others = {
        asked(NOON, 1).run_id,
        asked(NOON, 1, 2, after=first.run_id).run_id,
        run_id(replace(CHAMPION, model=ModelRef(name="email", version="2.b")), first.shards, ""),
        run_id(CHAMPION, [ShardRef(shard_id=one.shard_id, sha256="0" * 64) for one in first.shards], ""),
    }
    assert len(others | {first.run_id}) == 5


def test_of_two_runs_at_once_the_first_in_the_log_counts() -> None:
    """The other is void; the same asked for again is the same; it does not begin again once it has ended."""
    history = History(DAY)
    first, second = asked(NOON, 1), asked(NOON, 1, 2)
    for request in (first, first, second):
        history.requested(request)
    assert (list(history.runs), history.void) == ([first.run_id], [second])
    history.finished(ended(second, "promoted", NOON))
    assert history.open_run(NOON) is not None
    history.finished(ended(first, "refused", NOON))
    history.requested(first)
    assert history.open_run(NOON) is None
    assert history.promoted_at is None


def test_a_run_that_never_ends_is_given_up() -> None:
    """After the timeout another may begin; its late end still counts for what was learned."""
    history = History(DAY)
    first = asked(NOON, 1)
    history.requested(first)
    assert history.open_run(NOON + DAY - timedelta(seconds=1)) is not None
    assert history.open_run(NOON + DAY) is None
    second = asked(NOON + DAY, 1, after=first.run_id)
    history.requested(second)
    assert history.last is not None
    assert history.last.request == second
    assert history.learned == frozenset()
    history.finished(ended(first, "promoted", NOON + 2 * DAY))
    assert history.learned == {(shard(1).shard_id, shard(1).sha256)}
    assert history.promoted_at == NOON + 2 * DAY


@pytest.mark.parametrize(("outcome", "learned"), [("promoted", 1), ("refused", 1), ("failed", 0)])
def test_a_failed_run_has_taught_nothing(outcome: str, learned: int) -> None:
    """What the gate has judged was used; what failed before is still to be learned."""
    history = History(DAY)
    history.requested(asked(NOON, 1))
    history.finished(ended(asked(NOON, 1), outcome, NOON))
    assert len(history.learned) == learned


def test_the_first_end_of_a_run_counts() -> None:
    """Two trainers may have carried it out: what was promoted is not refused afterwards."""
    history = History(DAY)
    history.requested(asked(NOON, 1))
    history.finished(ended(asked(NOON, 1), "promoted", NOON))
    history.finished(ended(asked(NOON, 1), "failed", NOON + DAY))
    assert (len(history.learned), history.promoted_at) == (1, NOON)


def test_shards_of_another_label_space_are_left_out() -> None:
    """A run has one taxonomy; a shard announced twice is one."""
    history = History(DAY)
    other = TaxonomyRef(name="email", version=2)
    for closed in (shard(2), shard(1), shard(2), shard(3, taxonomy=other)):
        history.closed(closed)
    assert [one.shard_id for one in history.shards_of(EMAIL)] == [shard(1).shard_id, shard(2).shard_id]
    assert [one.shard_id for one in history.shards_of(other)] == [shard(3).shard_id]
