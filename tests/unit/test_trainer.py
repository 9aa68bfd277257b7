"""The parts of the trainer that need no model: which run is meant, what is held back, a recipe read back, what is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import orjson
import pytest
from factories import settings
from lessons import asked, said, shard_of

from mailweir.models.feedback import FeedbackRow
from mailweir.models.runtime import shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.admission import Admission, AdmissionLimits, AdmissionReport, Lesson, hold_back
from mailweir.models.training.admission.claims import claims_of, last_words
from mailweir.models.training.admission.mails import admitted_rows
from mailweir.models.training.again import Sources, read_options, read_sources, recipe_of
from mailweir.models.training.corpus import FEEDBACK, MailRow
from mailweir.models.training.recipe import EMAIL as EMAIL_RECIPE
from mailweir.models.training.recipe import TASK, Recipe
from mailweir.models.training.start import Start
from mailweir.models.training.tiny import TINY
from mailweir.models.training.trm_fit import TrmTuning
from mailweir.models.training.tuning import continued
from mailweir.schemas.errors import DependencyError, InputError, RegistryError, SettingsError
from mailweir.schemas.events import Correction, ModelRef, RetrainFinished, RetrainRequested, TaxonomyRef
from mailweir.schemas.taxonomy import installed_taxonomy
from mailweir.services.runs.history import History
from mailweir.services.telemetry import Metrics
from mailweir.services.trainer import lesson as lessons_of_trainer
from mailweir.services.trainer.candidate import recipe_from
from mailweir.services.trainer.champion import open_house
from mailweir.services.trainer.find import find
from mailweir.services.trainer.folder import held
from mailweir.services.trainer.progress import Progress, metrics_served, silent, to_metrics

TAXONOMY = installed_taxonomy("email", 1)
MODEL = ModelRef(name="email", version="1.a")
NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def lesson(rows: Sequence[FeedbackRow], learned: Sequence[str] = ()) -> Lesson:
    """What is left of them where admission lets all pass."""
    words, _ = last_words({"s1": rows})
    claims, limits = claims_of(words, TAXONOMY).claims, AdmissionLimits()
    report = AdmissionReport(len(rows), 1, {}, {}, (), (), (), limits)
    admission = Admission(tuple(admitted_rows(claims, TAXONOMY, limits)), tuple(claims), report)
    return hold_back(admission, rows, TAXONOMY, learned)


def history(*requests: RetrainRequested) -> History:
    """Of a log with these requests."""
    found = History(timedelta(hours=24))
    for request in requests:
        found.requested(request)
    return found


def request(tmp_path: Path, number: int, at: datetime = NOW) -> RetrainRequested:
    """For a shard of its own."""
    return asked(MODEL, shard_of(tmp_path, [said(number)]), at=at)


def test_the_newest_fifth_of_the_mails_is_held_back_and_the_rest_is_learned_from() -> None:
    """By the time of the last word; what is learned from stands under one author, and is counted by shard."""
    found = lesson([said(number) for number in range(200)])
    assert [row.id for row in found.fresh] == [f"feedback-{said(number).feedback_id}" for number in range(160, 200)]
    assert found.by_shard == {"s1": 160}
    assert {row.author for row in found.rows} == {FEEDBACK}
    assert not {row.id for row in found.rows} & {row.id for row in found.fresh}
    assert {row.author for row in found.fresh} == {f"person p{number}" for number in range(12)}


def test_where_the_gate_would_have_too_few_nothing_is_held_back() -> None:
    """149 mails: a fifth is 29, and below 30 the gate does not judge."""
    assert lesson([said(number) for number in range(149)]).fresh == ()
    assert len(lesson([said(number) for number in range(150)]).fresh) == 30


def test_what_the_champion_learned_from_is_learned_from_again_and_never_held_back() -> None:
    """It has seen the newest forty: those before them are held back."""
    rows = [said(number) for number in range(240)]
    found = lesson(rows, [f"feedback-{row.feedback_id}" for row in rows[200:]])
    assert [row.id for row in found.fresh] == [f"feedback-{row.feedback_id}" for row in rows[160:200]]
    assert len(found.rows) == 200


def test_the_very_text_of_what_the_champion_learned_from_is_never_held_back() -> None:
    """A newsletter that comes again, to another mailbox: the champion would know the answer, and the candidate be kept from it."""
    rows = [said(number) for number in range(200)]
    twin = said(0, feedback_id="e" * 64, email_id="c" * 64, person="q", offset=900, given_at=said(199).given_at)
    found = lesson([*rows, twin], [f"feedback-{rows[0].feedback_id}"])
    assert rows[0].body not in {row.body for row in found.fresh}
    assert [row.body for row in found.rows].count(rows[0].body) == 2


@pytest.mark.parametrize("withdrawn", [True, False], ids=["withdrawn", "replaced"])
def test_a_mail_stays_seen_when_the_word_that_it_was_learned_by_counts_no_more(withdrawn: bool) -> None:  # noqa: FBT001
    """The champion learned from the newest mail by a person who took that back, or says another thing now; another speaks of it too."""
    rows = [said(number) for number in range(200)]
    learned, nothing = rows[199], rows[199].corrected.model_copy(update={"heads": {}, "next_actions": None})
    change = (
        {"corrected": nothing, "withdraws": learned.feedback_id} if withdrawn else {"decision_id": learned.decision_id}
    )
    later = said(199, feedback_id="a" * 64, offset=900, given_at=NOW, **change)
    other = said(199, feedback_id="b" * 64, offset=901, given_at=NOW, person="q", decision_id="d" * 64)
    found = lesson([*rows, later, other], [f"feedback-{learned.feedback_id}"])
    assert len(found.fresh) == 39  # a fifth of the 199 others
    assert learned.body not in {row.body for row in found.fresh}
    assert learned.body in {row.body for row in found.rows}


def test_every_word_about_a_held_back_mail_and_its_very_text_stay_out_of_the_lesson() -> None:
    """Another person's word on another head, and the same text as another mail, would tell the answer."""
    rows = [said(number) for number in range(160)]
    other = said(159, feedback_id="f" * 64, person="q", offset=500, decision_id="d" * 64)
    other = other.model_copy(update={"corrected": other.corrected.model_copy(update={"heads": {}, "next_actions": ()})})
    twin = said(159, feedback_id="e" * 64, email_id="c" * 64, person="q", offset=501, given_at=said(0).given_at)
    found = lesson([*rows, other, twin])
    texts = {(row.subject, row.body) for row in found.fresh}
    assert (rows[159].subject, rows[159].body) in texts
    assert not texts & {(row.subject, row.body) for row in found.rows}
    [held] = [row for row in found.fresh if row.body == rows[159].body]
    assert held.chosen("next_actions") == ()
    assert held.label("category") == rows[159].corrected.heads["category"].label


def test_rows_that_count_less_stay_by_their_share_and_are_never_asked() -> None:
    """A rule's row counts 0.3 of one: about three in ten are learned from, the same ones every time."""
    label = {"category": Correction(label="spam")}
    rows = [said(number, origin="rule", person="r") for number in range(300)]
    rows = [row.model_copy(update={"corrected": row.corrected.model_copy(update={"heads": label})}) for row in rows]
    found = lesson(rows)
    assert found.fresh == ()
    assert 60 <= len(found.rows) <= 120
    assert [row.id for row in lesson(rows).rows] == [row.id for row in found.rows]


def test_admission_neither_believes_nor_asks_the_test_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    """It chooses what is learned from: the gate would judge by whom it chose by. Not even a recipe that names one for validation."""
    seen: list[set[str]] = []

    def admit(_: object, *parts: Sequence[MailRow], **__: object) -> None:
        seen.extend({row.author for row in part} for part in parts)

    monkeypatch.setattr(lessons_of_trainer, "admit", admit)
    recipe = replace(EMAIL_RECIPE, validation=("jonas", "iris"))
    lessons_of_trainer.admit_shards({}, recipe, TaxonomyRef(name="email", version=1), Sources(), silent)
    believed, asked_about = seen
    assert "ada" in believed
    assert not believed & {"iris", "oya", "jonas"}
    assert asked_about == {"jonas"}


@pytest.mark.parametrize("recipe", [EMAIL_RECIPE, TASK, TINY], ids=["email", "task", "tiny"])
def test_a_recipe_comes_back_from_json(recipe: Recipe) -> None:
    """Sets, tuples and the recipes within it as well."""
    manifest = read_manifest(shipped_bundle())
    options = orjson.loads(manifest.model_copy(update={"recipe": {"options": asdict(recipe)}}).model_dump_json())
    assert read_options(Recipe, options["recipe"]["options"], "x") == recipe


def test_the_shipped_bundle_tells_its_recipe_and_its_refinement() -> None:
    """What its manifest says is what makes it."""
    manifest = read_manifest(shipped_bundle())
    assert recipe_of(manifest) == EMAIL_RECIPE
    assert read_options(TrmTuning, manifest.recipe["refine"]["options"], "x") == TrmTuning()


def test_a_run_that_goes_on_from_weights_takes_gentle_steps_once() -> None:
    """A champion that was gone on to already has a gentle recipe; a frozen one is made as it was."""
    first, start = read_manifest(shipped_bundle()), Start("1.a", {})
    gentle = recipe_from(first, start)
    assert EMAIL_RECIPE.tuning is not None
    assert gentle == replace(EMAIL_RECIPE, tuning=continued(EMAIL_RECIPE.tuning))
    assert recipe_from(first, None) == EMAIL_RECIPE
    again = first.model_copy(update={"recipe": {"options": asdict(gentle), "continued_from": "1.a"}})
    assert recipe_from(again, start) == gentle
    assert recipe_from(first.model_copy(update={"recipe": {"options": asdict(TINY)}}), start) == TINY


def test_an_option_that_this_code_does_not_know_is_an_error() -> None:
    """In whatever depth: a bundle made by newer code is not made again by leaving options out."""
    options = json.loads(json.dumps(asdict(EMAIL_RECIPE), default=sorted))
    options["tuning"]["adapters"]["turns"] = 1
    with pytest.raises(InputError, match=r"does not know: tuning\.adapters\.turns"):
        read_options(Recipe, options, "email 1.x")
    with pytest.raises(InputError, match=r"the recipe of email 1\.x: layers: "):
        read_options(Recipe, {"layers": "many"}, "email 1.x")
    with pytest.raises(InputError, match="has no recipe in its manifest"):
        recipe_of(read_manifest(shipped_bundle()).model_copy(update={"recipe": {}}))


def test_another_base_needs_its_folder() -> None:
    """The recipe names it, the setting says where it lies."""
    with pytest.raises(InputError, match="MAILWEIR_TRAINER_BASE names"):
        read_sources(replace(TASK, base="some-encoder (MIT)"), Sources())


def test_the_open_run_or_the_start_of_an_id_finds_a_run(tmp_path: Path) -> None:
    """One that has ended gives its end."""
    one = request(tmp_path, 1)
    known = history(one)
    assert find(known, None, NOW).request == one
    assert find(known, one.run_id[:8], NOW).request == one
    end = RetrainFinished(run_id=one.run_id, outcome="refused", finished_at=NOW)
    known.finished(end)
    assert find(known, one.run_id, NOW).end == end
    with pytest.raises(InputError, match="no run is open"):
        find(known, None, NOW)
    with pytest.raises(InputError, match="no run 123 was asked for"):
        find(known, "123", NOW)


def test_a_void_request_is_refused(tmp_path: Path) -> None:
    """It came while another run went on: nobody carries it out."""
    first, void = request(tmp_path, 1), request(tmp_path, 2, NOW + timedelta(minutes=1))
    known = history(first, void)
    with pytest.raises(InputError, match=f"run {void.run_id[:12]} is void"):
        find(known, void.run_id, NOW)
    assert find(known, None, NOW + timedelta(minutes=2)).request == first


def test_a_run_that_was_given_up_is_refused_once_others_came(tmp_path: Path) -> None:
    """As long as it is the last one it may still be carried out, by its id."""
    first, later = request(tmp_path, 1), request(tmp_path, 2, NOW + timedelta(hours=25))
    assert find(history(first), first.run_id, NOW + timedelta(hours=30)).request == first
    with pytest.raises(InputError, match="was given up"):
        find(history(first, later), first.run_id, NOW + timedelta(hours=30))


def test_one_process_at_a_time_has_the_folder_of_a_run(tmp_path: Path) -> None:
    """The other is told who has it, and may come again."""
    known = settings(trainer_dir=tmp_path)
    with held(known, "r1"), pytest.raises(DependencyError, match="carried out by another process"), held(known, "r1"):
        pass
    with held(known, "r1") as folder:
        assert folder.read("end.json") is None
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SettingsError, match="MAILWEIR_TRAINER_DIR"),
        held(settings(trainer_dir=tmp_path / "file"), "r1"),
    ):
        pass


def test_a_run_without_a_registry_or_with_the_wrong_key_does_not_begin(tmp_path: Path) -> None:
    """Hours of work would end in a bundle that no worker takes."""
    from mailweir.models.registry import make_keys

    with pytest.raises(RegistryError, match="MAILWEIR_REGISTRY"):
        open_house(settings())
    public, _ = make_keys(tmp_path / "key")
    make_keys(tmp_path / "other")
    signed = {"registry": tmp_path, "models_public_key": public}
    for wrong in ({}, {"trainer_key": tmp_path / "other"}):
        with pytest.raises(SettingsError, match="MAILWEIR_TRAINER_KEY"):
            open_house(settings(**signed, **wrong))
    assert open_house(settings(**signed, trainer_key=tmp_path / "key")).key is not None


def test_phase_share_and_loss_are_scraped_while_it_works() -> None:
    """Every phase has its series from the beginning; the one that goes on is 1."""
    metrics = Metrics()
    tell = to_metrics(metrics)
    with metrics_served(settings(), metrics) as url:
        tell(Progress("training", "fine-tuning", done=1, total=4, loss=0.5))
        with urlopen(url, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
    assert 'mailweir_trainer_phase{phase="training"} 1.0' in lines
    assert 'mailweir_trainer_phase{phase="gate"} 0.0' in lines
    assert "mailweir_trainer_step_done_ratio 0.25" in lines
    assert "mailweir_trainer_loss 0.5" in lines
