"""The model card of a bundle, written from its manifest: no figure is typed by hand."""

from collections.abc import Iterator, Mapping
from typing import Any

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
    yield from _labels(manifest)
    yield from _entities(manifest)
    yield from _served(manifest)
    yield from refine_section(manifest.metrics["refine"]) if manifest.refine else ()
    yield from ("", "## Limits", "", *(_MAIL_LIMITS if len(manifest.heads) > 1 else ()), *_LIMITS)


def _sources(manifest: Manifest) -> Iterator[str]:
    data = manifest.data
    yield from ("", "## Made of", "")
    yield f"- Base: {manifest.base}; the heads over it are ours."
    spoken = ", ".join(f"{code} {count}" for code, count in data["rows_by_language"].items())
    yield f"- Mail: {data['source']}: {data['rows']} annotated rows ({spoken}), SHA-256 `{data['sha256'][:16]}…`."
    keys = ("fitted_on", "chosen_and_calibrated_on", "tested_on")
    fitted, chosen, tested = (", ".join(data[key]) or "nobody" for key in keys)
    yield f"- Split by author: fitted on {fitted}; tested on {tested}, of whom nothing was fitted, chosen, ranged or calibrated."
    if data.get("public"):
        counts = ", ".join(f"{name} {count}" for name, count in data["public"].items())
        yield f"- Beside them, mails of public collections that say only whether they are spam: {counts}. No row of them is here."
    yield (
        f"- Calibration and choice of epoch on authors that were not fitted on ({chosen}), on the scores of the served graph."
        if data["chosen_and_calibrated_on"]
        else "- Calibration: every author in turn was scored by heads that had not seen that author, on the served graph."
    )
    yield f"- Again: `{manifest.recipe['command']}`; options, seed and versions are in the manifest."


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
    "- German, French and Spanish have some four hundred mails together and no author of their own in the test.",
    "- Two annotators agree on priority in 87 of 100 mails and on the state in 92: no figure here can be much above.",
    "- Deadlines are found about every second time; a bare number is often taken for the wrong kind of number.",
)
_LIMITS = (
    "- The corpus was written for this project; what other people write is different: the figures hold for unseen authors.",
    "- Abstention is meant to be used: a label below its threshold is a guess, and a person should look.",
    "- The int8 form was measured on a processor with VNNI instructions; on others it may answer a little differently.",
)
