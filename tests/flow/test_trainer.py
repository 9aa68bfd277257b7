"""A training run from the request on the bus to the new champion: what it leaves, how it ends, and that kills change nothing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from bundles import promote, version_of
from lessons import (
    asked,
    category_only,
    champion_of,
    lenient,
    no_page,
    run_once,
    said,
    shard_of,
)
from pydantic import TypeAdapter
from trained import HOLDOUT, WORDS, Place, place

from mailweir.models.feedback import LearnedFrom
from mailweir.models.registry import make_keys, read_private, read_public, verify_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.again import Sources
from mailweir.models.training.gate import page
from mailweir.schemas.errors import DependencyError, InputError
from mailweir.schemas.events import (
    Coordinates,
    ModelRef,
    ShardClosed,
    utc_now,
)
from mailweir.services.feedback.holdings import withdrawals
from mailweir.services.feedback.join import withdrawal
from mailweir.services.trainer.job import run_job
from mailweir.services.trainer.progress import Progress
from mailweir.services.trainer.rebuild import rebuild

CHILD = Path(__file__).parents[1] / "killed_trainer.py"


@pytest.fixture(autouse=True, scope="module")
def _without_pictures() -> Iterator[None]:
    """The page of the gate has tests of its own, and takes longer than the gate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "write_page", no_page)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, tiny: Path, corpus: Path) -> Place:
    """A run that promoted its candidate and was cut off before it could tell; then the same command again."""
    found = place(tmp_path_factory.mktemp("done"), tiny, corpus)

    def cut_off(told: Progress) -> None:
        found.bus.away = found.bus.away or (told.phase == "promotion" and told.done == 1)

    with pytest.raises(DependencyError):
        run_job(found.settings, lambda: found.bus, None, cut_off, lenient())
    found.bus.away = False
    assert champion_of(found.registry) != found.champion
    assert (found.ends(), found.promoted()) == ([], [])
    end = run_job(found.settings, lambda: found.bus, found.request.run_id[:16], limits=lenient())
    assert end.outcome == "promoted"
    return found


def test_it_promotes_and_tells_once_however_often_it_is_started(done: Place) -> None:
    """The registry, workers and `mail.retrain` hear the same; the run that has ended is not carried out again."""
    [end], [told] = done.ends(), done.promoted()
    assert end == run_job(done.settings, lambda: done.bus, done.request.run_id)
    assert len(done.ends()) == 1
    promotion = done.registry.champion("email")
    assert promotion
    assert (promotion.model, promotion.previous, promotion.cause) == (end.candidate, done.champion, done.request.run_id)
    assert (told.model, told.previous, told.cause) == (end.candidate, done.champion, done.request.run_id)
    assert done.bus.records("mail.retrain")[-1].key == done.request.run_id.encode()
    assert end.metrics.keys() >= {"holdout.category.candidate", "holdout.category.champion", "fresh.category.candidate"}
    with pytest.raises(InputError, match="no run is open"):
        run_job(done.settings, lambda: done.bus, None)


def test_the_manifest_says_what_it_was_made_of(done: Place) -> None:
    """Run, shards with hashes and what each gave, the parent, the code; ids of the rows, so that no gate asks them again."""
    manifest = read_manifest(done.folder / "candidate")
    told = manifest.data["feedback"]
    assert told["run_id"] == done.request.run_id
    assert told["parent"]["version"] == done.champion.version
    assert [(one["shard_id"], one["sha256"]) for one in told["shards"]] == [(s.shard_id, s.sha256) for s in done.shards]
    assert (
        sum(one["admitted_rows"] for one in told["shards"])
        == told["admitted_rows"]
        == len(manifest.data["fitted_rows"])
    )
    assert told["admitted_rows"] + told["held_back_rows"] > 0.9 * WORDS
    assert told["held_back_rows"] >= 30
    assert "feedback" not in manifest.data["fitted_on"]
    assert len(manifest.recipe["code"]) == 16
    assert manifest.recipe["options"]["seed"] == 7


def test_the_folder_tells_what_was_admitted_and_judged_and_holds_no_mail(done: Place) -> None:
    """Report and verdict as JSON; the gate asked fresh rows that neither model learned from."""
    report = orjson.loads((done.folder / "admission.json").read_bytes())
    assert report["feedback"] == WORDS
    assert (done.folder / "verdict" / "index.html").is_file()
    verdict = orjson.loads((done.folder / "verdict" / "verdict.json").read_bytes())
    assert verdict["passed"]
    asked_rows = {check["rows_of"]: check["rows"] for check in verdict["checks"] if check["rule"] == "rows"}
    held_back = read_manifest(done.folder / "candidate").data["feedback"]["held_back_rows"]
    assert asked_rows == {"holdout": HOLDOUT, "fresh": held_back}
    body = said(0).body.splitlines()[0].encode()
    files = [path for path in done.folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if body in path.read_bytes()]


def test_it_is_made_again_from_its_manifest_alone(done: Place, corpus: Path, tmp_path: Path) -> None:
    """Every figure is the same, and the version, which follows from the files; a changed shard is said."""
    again = rebuild(done.folder / "candidate", tmp_path / "again", Sources(corpus), done.settings.ledger)
    assert again.same
    assert again.figures > 100
    assert again.other_code == ()


@pytest.mark.timeout(600)
def test_kills_change_nothing(done: Place, tiny: Path, corpus: Path, tmp_path: Path) -> None:
    """Kill -9 in training, in the gate, and right after the champion changed: the same model, the same end, told once."""
    killed = place(tmp_path / "killed", tiny, corpus)
    assert killed.request.run_id == done.request.run_id
    for phase, step, units in (("training", "heads", 3), ("gate", "", 5), ("promotion", "", 1)):
        ended = subprocess.run(
            [
                sys.executable, str(CHILD), killed.settings.model_dump_json(), killed.request.encode().decode(),
                TypeAdapter(tuple[ShardClosed, ...]).dump_json(killed.shards).decode(), phase, step, str(units),
            ],
            capture_output=True,
            check=False,
        )  # fmt: skip
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
        assert (killed.folder / "candidate").exists() == (phase != "training")
        assert (champion_of(killed.registry) == killed.champion) == (phase != "promotion")
    run_job(killed.settings, lambda: killed.bus, None, limits=lenient())
    [end], [undisturbed] = killed.ends(), done.ends()
    assert (end.outcome, end.candidate, end.reasons) == ("promoted", undisturbed.candidate, ())
    assert end.metrics == undisturbed.metrics
    assert len(killed.registry.history("email")) == 2
    assert len(killed.promoted()) == 1


def resumed(root: Path, done: Place, tiny: Path, corpus: Path) -> Place:
    """The run of `done` at the moment before the promotion: candidate and verdict are there, the champion is the old one."""
    found = place(root, tiny, corpus)
    shutil.copytree(done.folder, found.folder)
    (found.folder / "end.json").unlink()
    return found


def test_it_judges_against_who_is_champion_now_and_takes_no_other_one_s_place(
    done: Place, tiny: Path, corpus: Path, tmp_path: Path
) -> None:
    """The champion changed since the verdict: judged anew. It changes again before the promotion: refused, with who did it."""
    found = resumed(tmp_path / "run", done, tiny, corpus)
    for version in ("1.b", "1.c"):
        found.registry.add(version_of(tiny, tmp_path, version))
    promote(found.registry, "1.b", "better on Turkish")

    def overtaken(told: Progress) -> None:
        if told.phase == "promotion":
            promote(found.registry, "1.c", "faster")

    end = run_once(found.settings, found.request, found.shards, overtaken, lenient())
    verdict = orjson.loads((found.folder / "verdict" / "verdict.json").read_bytes())
    assert verdict["champion"]["version"] == "1.b"
    assert (end.outcome, end.candidate) == ("refused", ModelRef.model_validate(verdict["candidate"]))
    assert "champion_changed: the champion of email is 1.c, not 1.b" in end.reasons[0]
    assert champion_of(found.registry).version == "1.c"


def test_a_candidate_is_signed_where_workers_ask_for_it(done: Place, tiny: Path, corpus: Path, tmp_path: Path) -> None:
    """With the key of the settings, before it is promoted."""
    public, _ = make_keys(tmp_path / "key")
    found = resumed(tmp_path / "run", done, tiny, corpus)
    found.registry.add(tiny, read_private(tmp_path / "key"))
    signed = found.settings.model_copy(update={"models_public_key": public, "trainer_key": tmp_path / "key"})
    end = run_once(signed, found.request, found.shards, limits=lenient())
    assert (end.outcome, end.reasons) == ("promoted", ())
    assert verify_bundle(found.registry.folder(champion_of(found.registry)), read_public(public))


def test_a_rebuild_begins_with_the_bundle_that_it_names_and_leaves_out_what_was_withdrawn(done: Place) -> None:
    """A person's words of both shards are taken back in a third: the candidate has none of them, its champion had."""
    words = [category_only(said(number)) for number in range(WORDS)]
    mine = [word for word in words if word.person == "p3"]
    back = [
        withdrawal(word, Coordinates(topic="mail.feedback", partition=0, offset=WORDS + number))
        for number, word in enumerate(withdrawals(mine, "operator", "asked for", utc_now()))
    ]
    shards = (*done.shards, shard_of(done.settings.trainer_dir.parent, back))
    request = asked(champion_of(done.registry), *shards).model_copy(update={"start": done.champion})
    end = run_once(done.settings, request, shards, limits=replace(lenient(), latency_ratio=0.0))
    assert end.outcome == "refused"  # the gate's matter; the candidate is there
    before = LearnedFrom.of(read_manifest(done.folder / "candidate"))
    rebuilt = read_manifest(done.settings.trainer_dir / request.run_id / "candidate")
    ids = {word.feedback_id for word in mine}
    assert before.used(ids)
    assert LearnedFrom.of(rebuilt).used(ids) == 0
    assert LearnedFrom.of(rebuilt).used({word.feedback_id for word in words})
    assert rebuilt.data["feedback"]["parent"]["version"] == done.champion.version
