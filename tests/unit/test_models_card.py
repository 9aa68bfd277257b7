"""What a model card says of its figures is what its manifest holds."""

from __future__ import annotations

from typing import Any

import pytest

from mailweir.models.runtime import shipped_bundle
from mailweir.models.runtime.integrity import MANIFEST
from mailweir.models.training.card import model_card
from mailweir.models.training.corpus import TASK_TEST, TASK_VALIDATION, load_tasks, tasks_as_mails
from mailweir.schemas.manifest import CheapSpec, CurvePoint, Manifest, RefineSpec


def manifest_of(name: str) -> Manifest:
    return Manifest.model_validate_json((shipped_bundle(name) / MANIFEST).read_bytes())


def test_the_split_of_tasks_is_told_as_it_is() -> None:
    """The test is by an author of its own; validation takes blocks of an author who is fitted on; the mails' parts are whole authors."""
    tasks, mails = model_card(manifest_of("task")), model_card(manifest_of("email"))
    assert (
        "Split by author (`author-block`: 20 neighbours; validation takes blocks of an author who is fitted on" in tasks
    )
    assert "Split by author: fitted" in mails
    assert all("the figures hold for unseen authors" in card for card in (tasks, mails))


def test_nobody_of_the_test_of_tasks_is_fitted_on() -> None:
    """Not one block of theirs; validation is of other authors."""
    authors = {row.author for row in tasks_as_mails(load_tasks())}
    names = {block.partition("-")[0] for block in TASK_TEST}
    assert authors >= TASK_TEST
    assert {author for author in authors if author.partition("-")[0] in names} == TASK_TEST
    assert not {block.partition("-")[0] for block in TASK_VALIDATION} & names


@pytest.mark.parametrize(
    ("recall", "said"), [(0.724, "Of ten deadlines 7 are found"), (0.31, "Of ten deadlines 3 are")]
)
def test_limits_follow_the_figures(recall: float, said: str) -> None:
    """How many deadlines are found is read from the table above, and nothing is said where there is none."""
    manifest = manifest_of("email")
    figures: dict[str, Any] = {"test": {"deadline": {"precision": 0.7, "recall": recall, "found": 1, "marked": 1}}}
    told = manifest.model_copy(update={"metrics": {**manifest.metrics, "entities": figures}})
    silent = manifest.model_copy(update={"metrics": {**manifest.metrics, "entities": {}}})
    assert said in model_card(told)
    assert "deadlines" not in model_card(silent).partition("## Limits")[2]


def test_a_refined_bundle_names_both_commands_and_what_its_cascade_was_measured_beside() -> None:
    """Its figures come of two commands, and its cheap tier was judged before the second."""
    points = [
        CurvePoint(threshold=t, stopped=s, milliseconds=9.0, mean_f1=0.8, cost=0.001, at="category, all")
        for t, s in ((1.0, 0.0), (0.7, 0.05))
    ]
    cheap = CheapSpec(temperatures={}, threshold=0.7, entity_precision={}, cost_limit=0.003, curve=tuple(points))
    manifest = manifest_of("email").model_copy(update={"cheap": cheap, "refine": None})
    plain = manifest.model_copy(update={"recipe": {"command": "mailweir train --out DIR"}})
    again = {"command": "mailweir train --out DIR", "refine": {"command": "mailweir train --trm BUNDLE"}}
    spec = RefineSpec(file="step.onnx", steps=1, halt_at=1.0, heads=("action",))
    metrics = {**manifest.metrics, "refine": REFINED}
    refined = manifest.model_copy(update={"recipe": again, "refine": spec, "metrics": metrics})
    assert "Again: `mailweir train --out DIR`;" in model_card(plain)
    assert "Measured beside the plain heads" not in model_card(plain)
    assert "Again: `mailweir train --out DIR`, then `mailweir train --trm BUNDLE`;" in model_card(refined)
    assert "Measured beside the plain heads" in model_card(refined)


REFINED: dict[str, Any] = {
    "heads": ["action"],
    "chosen": "one step",
    "seeds": [7],
    "halting": [],
    "milliseconds": {"encoder": 9.0, "one step": 1.0, "all steps": 2.0},
    "histogram": {"1": 3},
    "halt_at": 0.5,
    "parity": 0.001,
}
