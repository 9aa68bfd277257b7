"""The model card of a bundle, written from its manifest: no figure of the bundle is typed by hand."""

from collections.abc import Iterator, Mapping
from typing import Any

from mailweir.models.training.corpus import TASK_BLOCK
from mailweir.models.training.parity_card import parity_section
from mailweir.models.training.recipe import TASK
from mailweir.models.training.refine_card import refine_section
from mailweir.schemas.manifest import Manifest

Figures = Mapping[str, Any]


def model_card(manifest: Manifest) -> str:
    """Markdown, the same for the same manifest."""
    return "\n".join(_lines(manifest)) + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    yield f"# {manifest.model.name} {manifest.model.version}"
    yield ""
    yield (
        f"Answers the questions of taxonomy `{manifest.taxonomy.name}` version {manifest.taxonomy.version}, "
        f"languages {', '.join(manifest.languages)}; at most {manifest.input.max_tokens} tokens of a text, the newest first."
    )
    yield from _sources(manifest)
    yield from _heads(manifest)
    yield from _scope(manifest)
    yield from _labels(manifest)
    yield from _entities(manifest)
    yield from _sentences(manifest)
    yield from _served(manifest)
    yield from parity_section(manifest.metrics.get("parity_slices", {}))
    yield from _cascade(manifest)
    yield from refine_section(manifest.metrics["refine"]) if manifest.refine else ()
    yield from ("", "## Limits", "", *_limits(manifest))


def _sources(manifest: Manifest) -> Iterator[str]:
    data = manifest.data
    yield from ("", "## Made of", "")
    yield f"- Base: {manifest.base}; the heads over it are ours."
    spoken = ", ".join(f"{code} {count}" for code, count in data["rows_by_language"].items())
    altered = f", of which {data['altered']} repeat others, most in another form" if data.get("altered") else ""
    yield f"- Mail: {data['source']}: {data['rows']} annotated rows ({spoken}){altered}, SHA-256 `{data['sha256'][:16]}…`."
    keys = ("fitted_on", "chosen_and_calibrated_on", "tested_on")
    fitted, chosen, tested = (", ".join(data[key]) or "nobody" for key in keys)
    yield f"- {_split_by(manifest)}: fitted on {fitted}; tested on {tested}, of whom nothing was fitted, chosen, ranged or calibrated."
    if data.get("public"):
        counts = ", ".join(f"{name} {count}" for name, count in data["public"].items())
        yield f"- Beside them, mails of public collections, for the heads that their labels fit: {counts}. No row of them is here."
    yield (
        f"- Calibration and choice of epoch on authors that were not fitted on ({chosen}), on the scores of the served graph."
        if data["chosen_and_calibrated_on"]
        else "- Calibration: every author in turn was scored by heads that had not seen that author, on the served graph."
    )
    refine = manifest.recipe.get("refine")
    again = f"`{manifest.recipe['command']}`" + (f", then `{refine['command']}`" if refine else "")
    yield f"- Again: {again}; options, seed and versions are in the manifest."


def _split_by(manifest: Manifest) -> str:
    if manifest.model.name != TASK.name:
        return "Split by author"
    return f"Split by author (`author-block`: {TASK_BLOCK} neighbours; validation takes blocks of an author who is fitted on as well)"


def _heads(manifest: Manifest) -> Iterator[str]:
    test = manifest.metrics.get("test", {})
    if not test:
        return
    yield from ("", "## Figures on the test authors", "")
    yield (
        "Macro-F1, beside always the commonest label and beside TF-IDF of words and word pairs with a linear model. ECE is the "
        "expected calibration error. Above the threshold a label is given, below it the head abstains."
    )
    yield ""
    yield "| head | language | mails | macro-F1 | commonest | words | accuracy | ECE | given | accuracy of the given |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, slices in test.items():
        if manifest.heads[name].kind == "one":
            yield from _head_rows(manifest, name, slices)
    yield from _many(manifest, test)
    yield from _thresholds(manifest)


def _head_rows(manifest: Manifest, name: str, slices: Mapping[str, Figures]) -> Iterator[str]:
    for language, figures in slices.items():
        if language == "all":
            continue
        base = manifest.metrics.get("baselines", {}).get(name, {}).get(language, {})
        beside = [_number(base.get(key)) for key in ("majority", "words")]
        cells = [figures[key] for key in ("accuracy", "calibration_error", "accepted", "accuracy_accepted")]
        row = [name, language, str(figures["rows"]), _number(figures["macro_f1"]), *beside, *map(_number, cells)]
        yield f"| {' | '.join(row)} |"


def _many(manifest: Manifest, test: Mapping[str, Mapping[str, Figures]]) -> Iterator[str]:
    for name, slices in test.items():
        if manifest.heads[name].kind == "many":
            each = ", ".join(f"{code} {_number(f['micro_f1'])}" for code, f in slices.items() if code != "all")
            yield ""
            yield f"`{name}`, any number of labels: micro-F1 {each}."


def _thresholds(manifest: Manifest) -> Iterator[str]:
    yield ""
    yield "| head | right answers wanted above the threshold | threshold | temperature |"
    yield "|---|---|---|---|"
    for name, head in manifest.heads.items():
        if head.kind == "one":
            yield f"| {name} | {_number(head.target)} | {head.threshold} | {head.temperature} |"


def _scope(manifest: Manifest) -> Iterator[str]:
    if manifest.scope:
        yield ""
        yield (
            f"Text of more than {manifest.scope.density} tokens for a character is taken for none (source code, encoded data) and goes "
            f"to a person: {manifest.scope.false_alarms:.1%} of the mails of the validation authors lie above. So do mails without two "
            "words and mails in other languages, found by a language detector, not by this model."
        )


def _labels(manifest: Manifest) -> Iterator[str]:
    test = manifest.metrics.get("test", {})
    if not test:
        return
    yield from ("", "## F1 per label", "", "| head | label | F1, all languages |", "|---|---|---|")
    for name, slices in test.items():
        for label, score in slices["all"]["f1"].items():
            yield f"| {name} | {label} | {_number(score)} |"


def _entities(manifest: Manifest) -> Iterator[str]:
    found = manifest.metrics.get("entities", {})
    if not found.get("test"):
        return
    yield from ("", "## Entities", "")
    yield _FOUND_BY_BOTH if manifest.tags else _FOUND_BY_RULES
    yield ""
    yield "| type | precision | recall | found | marked |"
    yield "|---|---|---|---|---|"
    for kind, f in found["test"].items():
        yield f"| {kind} | {_number(f['precision'])} | {_number(f['recall'])} | {f['found']} | {f['marked']} |"


def _sentences(manifest: Manifest) -> Iterator[str]:
    found = manifest.metrics.get("sentences")
    if not found or not manifest.sentences:
        return
    yield from ("", "## Summary and action items", "")
    yield (
        f"Sentences of the newest text, at most {manifest.sentences.most} for a summary; fitted on mails with a reference "
        f"({found['references']} of the corpus have one). F1 of the sentences that the annotator copied, beside leading sentences; "
        "on the held-out authors the thresholds were chosen."
    )
    yield from (
        "",
        "| authors | mails | summary | first sentence | first two | action items |",
        "|---|---|---|---|---|---|",
    )
    for name in ("held_out", "test"):
        if name in found:
            keys = ("summary_f1", "lead_1_f1", "lead_2_f1", "action_items_f1")
            cells = [_number(found[name][key]) for key in keys]
            yield f"| {name.replace('_', ' ')} | {found[name]['mails']} | {' | '.join(cells)} |"
    yield ""
    for title, head in (("summary", manifest.sentences.summary), ("action items", manifest.sentences.action_items)):
        left_out = ", ".join(label for labels in head.never.values() for label in labels)
        yield f"- No {title} for mail that is {left_out}." if left_out else f"- {title} for every mail."


def _served(manifest: Manifest) -> Iterator[str]:
    yield from ("", "## The served form", "", f"- {manifest.quantization}.")
    for name, parity in manifest.metrics.get("parity", {}).items():
        score = next(key for key in parity if key != "agreement")
        both = parity[score]
        kind = score.replace("_f1", "-F1")
        yield f"- {name}: {kind} fp32 {_number(both['fp32'])}, int8 {_number(both['int8'])}; same answer {_number(parity['agreement'])}."
    found = manifest.metrics["invariance"]
    yield (
        f"- Batch invariance on {found['mails']} mails, alone against mixed, reversed and padded batches: {found['flips']} answers "
        f"changed, largest difference of a logit {found['largest_logit_difference']:.1e}. Served one by one, a mail's scores are "
        "the same to the last bit."
    )


def _cascade(manifest: Manifest) -> Iterator[str]:
    cheap = manifest.cheap
    if cheap is None:
        return
    yield from ("", "## The cheap tier", "")
    yield (
        "A linear model over words and word pairs is asked first. A mail stops there where it is at least so sure of every head, "
        "and of there being nothing for the tagger, that this costs less than "
        f"{100 * cheap.cost_limit:.1f} points of F1 on any head, language and length, on mail that neither was fitted on."
    )
    yield ""
    chosen = next((point for point in cheap.curve if point.threshold == cheap.threshold), None)
    if chosen is None:
        yield "No threshold reaches that: no mail stops."
        return
    alone = cheap.curve[0]
    yield (
        f"Threshold {chosen.threshold}: {chosen.stopped:.1%} of those mails stop, {alone.milliseconds:.1f} ms a mail become "
        f"{chosen.milliseconds:.1f}, the largest loss is {100 * max(chosen.cost, 0):.2f} points. The curve is in the manifest. The "
        "threshold was chosen on those same mails, so that other authors' mail may lose more."
    )
    if manifest.refine and manifest.refine.heads:
        yield "Measured beside the plain heads: beside the refined ones, which are right more often, a mail that stops costs more."


def _limits(manifest: Manifest) -> Iterator[str]:
    if manifest.model.name == TASK.name:
        yield _TASK_LIMIT
    else:
        yield from _MAIL_LIMITS if len(manifest.heads) > 1 else ()
        yield from _deadlines(manifest)
    yield _UNSEEN
    yield from _LIMITS


def _deadlines(manifest: Manifest) -> Iterator[str]:
    found = manifest.metrics.get("entities", {}).get("test", {}).get("deadline")
    if found:
        yield f"- Of ten deadlines {10 * found['recall']:.0f} are found; a bare number may be taken for the wrong kind of number."


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


_FOUND_BY_RULES = (
    "Found by rules. A rule's probability is its precision on mail of authors that were not read while it was written; rules "
    "below 0.6 are off. Figures on the test authors, exact text:"
)
_FOUND_BY_BOTH = (
    "Tagged by the model, and by rules where it says nothing. A find's probability is that of its least certain token, calibrated; "
    "a rule's is its precision beside the tagger, and rules below 0.6 are off. Figures on the test authors, exact text:"
)
_MAIL_LIMITS = (
    "- German, French and Spanish have few mails and no author of their own in the test.",
    "- Two annotators gave the same priority to 87 of 100 mails, the same state to 92: an accuracy much above says little.",
    "- One author a language is the test: the interval of a figure is some points wide, that of one label more.",
)
_UNSEEN = "- The corpus was written for this project; what other people write is different: the figures hold for unseen authors."
_TASK_LIMIT = "- Three authors wrote the tasks, one of whom is the test: another author's tasks may be answered some points better or worse."
_LIMITS = (
    "- Abstention is meant to be used: a label below its threshold is a guess, and a person should look.",
    "- The int8 form was measured on a processor with VNNI instructions; x86 processors without them run precise kernels, slower.",
)
