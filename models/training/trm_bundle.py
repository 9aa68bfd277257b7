"""`mailweir train --trm`: fit a refinement over a finished bundle, judge it, and write the bundle again with it inside.

It is written either way. It is served for the heads that it wins on the validation authors; where it wins none it is off.
"""

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mailweir.models.export.step import write_step
from mailweir.models.export.weights import Floats
from mailweir.models.runtime.bundle import MODEL, TOKENIZER
from mailweir.models.runtime.integrity import describe_file
from mailweir.models.runtime.linear import LINEAR
from mailweir.models.runtime.refine import Refiner
from mailweir.models.training.calibrate import fit_spec
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.halting import fit_halt, nothing_to_gain, rights, walk
from mailweir.models.training.head_figures import figures
from mailweir.models.training.heads import Question
from mailweir.models.training.measure import ALL
from mailweir.models.training.recipe import Steps, progress_bars
from mailweir.models.training.start import LEARNED
from mailweir.models.training.trm import Trm
from mailweir.models.training.trm_bench import Bench, read_bench
from mailweir.models.training.trm_export import halting_head, step_weights
from mailweir.models.training.trm_fit import TrmTuning
from mailweir.models.training.trm_judge import Served, comparison, gate, halting_figures, serve, systems_of
from mailweir.models.training.trm_train import ONE, TRM, Fit, fit_systems
from mailweir.models.training.write import check_target, put_bundle
from mailweir.schemas.events import ModelRef, utc_now
from mailweir.schemas.manifest import HeadSpec, Manifest, RefineSpec

STEP = "step.onnx"
_SLACK = 0.002  # of mean F1 that halting may cost: a quarter of the half width of its interval
_FITTED_RULE = "nothing to gain"


@dataclass(frozen=True, slots=True)
class _Refinement:
    """A judged refinement: the net that is written, and what is told about it."""

    network: Trm
    spec: RefineSpec
    served: Served
    results: dict[str, Any]


def refine_bundle(
    bundle: Path, out: Path, rows: Sequence[MailRow], tuning: TrmTuning | None = None, *, quiet: bool = False
) -> Manifest:
    """Write `bundle` with a refinement fitted on `rows` to the folder `out`, which may be `bundle` itself.

    Raises:
        BundleError: `bundle` is missing or changed.
        InputError: its validation authors are not among the rows, or `out` holds something that is no bundle.
    """
    check_target(out)
    chosen = tuning or TrmTuning()
    with progress_bars(hidden=quiet) as progress, tempfile.TemporaryDirectory() as folder:
        steps = Steps(progress)
        bench = read_bench(bundle, rows, Path(folder) / MODEL, steps)
        fits = fit_systems(bench.lesson, chosen, bench.judged, steps)
        with steps.step("comparison", 1), threadpool_limits(1):
            refinement = _judge(bench, fits, chosen, Path(folder))
        return put_bundle(out, lambda made: _make(made, bundle, bench, refinement, chosen))


def _judge(bench: Bench, fits: dict[str, list[Fit]], tuning: TrmTuning, folder: Path) -> _Refinement:
    systems = systems_of(bench, fits)
    kind, heads = gate(bench, systems)
    networks: dict[str, Trm] = {name: fits[name][0].network for name in (ONE, TRM)}
    halting, halt_at = _fit_halting(bench, networks[TRM])
    limits = {ONE: (1, 1.0), TRM: (tuning.shape.steps, halt_at)}
    names = tuple(bench.manifest.heads)
    refiners = {}
    for name, network in networks.items():
        path = folder / f"{network.shape.steps}-{name.replace(' ', '-')}.onnx"
        write_step(path, step_weights(network, names))
        refiners[name] = Refiner(path, names, steps=limits[name][0], halt_at=limits[name][1])
    served, encoder_ms = serve(bench, refiners)
    parity = np.nanmax(np.abs(served[ONE].logits - fits[ONE][0].logits[-1]))
    results = {
        "chosen": kind,
        "heads": list(heads),
        "seeds": list(tuning.seeds),
        "validation": comparison(bench, systems, bench.lesson.validating),
        "halting": halting,
        "halt_at": halt_at,
        "histogram": _histogram(served[TRM]),
        "milliseconds": {"encoder": round(encoder_ms, 2)} | {n: round(s.milliseconds, 2) for n, s in served.items()},
        "parity": float(parity),
        "history": {name: [list(fit.history) for fit in each] for name, each in fits.items()},
    }
    if bench.testing.any():
        results["test"] = comparison(bench, systems, bench.testing)
    spec = RefineSpec(file=STEP, steps=limits[kind][0], halt_at=limits[kind][1], heads=heads)
    return _Refinement(networks[kind], spec, served[kind], results)


def _fit_halting(bench: Bench, network: Trm) -> tuple[list[dict[str, Any]], float]:
    """Give the net its halting head, fitted on the validation rows; the figures of all rules, and the limit to halt at.

    The limit is that of the fewest steps that cost next to nothing, each author judged by what was fitted on the others.
    """
    lesson = bench.lesson
    rows = np.flatnonzero(lesson.validating).tolist()
    walked = walk(network, [lesson.states[row] for row in rows], bench.plain[rows])
    found = halting_figures(bench, walked)
    wanted = nothing_to_gain(rights(lesson.questions, lesson.validating, walked.logits))
    halting_head(network, fit_halt(walked.features.reshape(-1, walked.features.shape[-1]), wanted.ravel()))
    full = found[network.shape.steps - 1]["mean_f1"]
    good = [f for f in found if f["rule"].startswith(_FITTED_RULE) and f["mean_f1"] >= full - _SLACK]
    return found, min(good, key=lambda f: f["steps"])["limit"] if good else 1.0


def _histogram(served: Served) -> dict[str, int]:
    counts = Counter(served.steps[served.steps > 0].tolist())
    return {str(steps): counts[steps] for steps in sorted(counts)}


def _make(folder: Path, bundle: Path, bench: Bench, refinement: _Refinement, tuning: TrmTuning) -> Manifest:
    """Write graph, step and tokenizer into `folder`; the manifest with what the refinement changes."""
    before, spec = bench.manifest, refinement.spec
    shutil.copyfile(bench.model, folder / MODEL)
    for name in (TOKENIZER, *(name for name in (LINEAR, LEARNED) if name in before.files)):
        shutil.copyfile(bundle / name, folder / name)
    write_step(folder / STEP, step_weights(refinement.network, tuple(before.heads)))
    # a head that was refined before and is no longer needs its calibration anew as well
    changed = {*spec.heads, *(before.refine.heads if before.refine else ())}
    heads, metrics = dict(before.heads), {**before.metrics, "refine": refinement.results}
    for question, logits in zip(bench.lesson.questions, _answered(bench, refinement), strict=True):
        if question.name in changed:
            heads[question.name] = _calibrated(bench, question, logits, before.heads[question.name])
            _measure(bench, question, logits, heads[question.name], metrics)
    files = {path.name: describe_file(path) for path in sorted(folder.iterdir())}
    calibration = [heads, spec, before.tags, before.scope, before.cheap, before.sentences, before.entity_precision]
    identity = hashlib.sha256(repr([[f.sha256 for f in files.values()], *calibration]).encode())
    return before.model_copy(
        update={
            "model": ModelRef(name=before.model.name, version=f"1.{identity.hexdigest()[:10]}"),
            "tier": "trm" if spec.heads else "encoder",
            "files": files,
            "heads": heads,
            "refine": spec,
            "recipe": {
                **before.recipe,
                "refine": {"command": "mailweir train --trm BUNDLE", "options": asdict(tuning)},
            },
            "metrics": metrics,
            "created_at": utc_now(),
        }
    )


def _answered(bench: Bench, refinement: _Refinement) -> list[Floats]:
    """Per head (rows, labels) as the bundle will answer: NaN for rows that weights were fitted on."""
    cuts = np.cumsum(bench.lesson.sizes)[:-1]
    plain = np.where(bench.judged[:, None], bench.plain, np.nan)
    parts = zip(
        bench.manifest.heads,
        np.split(plain, cuts, axis=1),
        np.split(refinement.served.logits, cuts, axis=1),
        strict=True,
    )
    return [np.asarray(own + added if name in refinement.spec.heads else own, np.float32) for name, own, added in parts]


def _calibrated(bench: Bench, question: Question, logits: Floats, before: HeadSpec) -> HeadSpec:
    held = np.where(bench.lesson.validating[:, None], logits, np.nan)
    return fit_spec(question, np.asarray(held, np.float32), before.target or 0.0)


def _measure(bench: Bench, question: Question, logits: Floats, spec: HeadSpec, metrics: dict[str, Any]) -> None:
    """Replace the figures of one head."""
    tested = {"test": bench.testing} if bench.testing.any() else {}
    for split, rows in {"held_out": bench.lesson.validating, **tested}.items():
        found = figures(question, logits, spec, rows, bench.languages)
        metrics[split] = {**metrics.get(split, {}), question.name: found if split == "test" else found[ALL]}
