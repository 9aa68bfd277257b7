"""Figures of summaries and action items, against counting by hand; references that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluated import ROW, lines

from mailweir.models.evaluation import Answer, Example, read_examples
from mailweir.models.evaluation.ratios import Ratio, gain
from mailweir.models.evaluation.summaries import Compared, SummaryFigures, measure_summaries
from mailweir.models.evaluation.summary_tables import summary_section
from mailweir.models.runtime import Scores, shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.runtime.sentences import ScoredSentence
from mailweir.models.text.newest import newest_sentences
from mailweir.schemas.errors import InputError
from mailweir.schemas.manifest import Manifest, SentenceHead, SentenceSpec


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """Of the shipped bundle."""
    return read_manifest(shipped_bundle())


SUMMED: dict[str, Any] = ROW | {
    "body": "Hi,\nwe never got PO 12345678. Where is it? The lid was brown.\n",
    "summary": "PO 12345678 never came and Ann asks where it is.",
    "summary_sentences": ["we never got PO 12345678."],
    "action_items": ["Where is it?"],
}
SPEC = SentenceSpec(
    summary=SentenceHead(temperature=1.0, threshold=0.5, never={"category": ("spam",)}),
    action_items=SentenceHead(temperature=1.0, threshold=0.5),
)


def summed(manifest: Manifest, folder: Path, *scores: tuple[tuple[float, float], ...], **changes: Any) -> Compared:
    """Figures of copies of one mail whose three sentences got these scores."""
    rows = [SUMMED | {"id": f"a-{number}"} | changes for number in range(len(scores))]
    examples = read_examples([lines(folder, *rows)], manifest)
    answers = [_summed(example, each, manifest) for example, each in zip(examples, scores, strict=True)]
    figures = measure_summaries(manifest.model_copy(update={"sentences": SPEC}), answers)
    assert figures is not None
    return figures.all


def _summed(example: Example, probabilities: tuple[tuple[float, float], ...], manifest: Manifest) -> Answer:
    heads = {name: np.eye(len(spec.labels))[0] for name, spec in manifest.heads.items()}
    written = newest_sentences(example.model_input())
    sentences = tuple(ScoredSentence(one, *both) for one, both in zip(written, probabilities, strict=True))
    scores = Scores(heads, 9, truncated=False, empty=False, tokenize_ms=0.1, model_ms=1.0, sentences=sentences)
    return Answer(example, scores, (), 0.1, 0.1, 1.3)


def test_summaries_by_hand(manifest: Manifest, tmp_path: Path) -> None:
    """Two answers to a mail of three sentences: one says the right one, the other the first two wrong ones."""
    good, poor = ((0.9, 0.1), (0.1, 0.9), (0.2, 0.1)), ((0.1, 0.8), (0.6, 0.1), (0.7, 0.1))
    found = summed(manifest, tmp_path, good, poor)
    bundle, first, two = (found.summary[name] for name in ("bundle", "first sentence", "first two"))
    assert (bundle.sentences.precision.value, bundle.sentences.recall.value) == (0.3333, 0.5)
    assert bundle.sentences.f1.value == 0.4  # one hit; two are right, three given
    assert (first.sentences.f1.value, two.sentences.f1.value) == (1.0, 0.6667)
    assert found.gain.value == -0.2667
    assert (bundle.entities.value, first.entities.value) == (0.5, 1.0)  # 12345678
    assert (bundle.asks.value, first.asks.value, two.asks.value) == (1.0, 0.0, 1.0)  # the poor one's summary asks
    assert {way.factuality.value for way in found.summary.values()} == {1.0}
    assert first.relevance.value == round(2 * 3 / (5 + 10), 4)  # never, po and the number, of five and ten words
    assert (found.action_items.f1.value, found.questions.f1.value) == (0.5, 1.0)
    assert (first.words.value, two.words.value) == (5, 8)


def test_spam_has_no_summary_to_count(manifest: Manifest, tmp_path: Path) -> None:
    """What the bundle's rules leave out is missed, and the intervals say how little two rows tell."""
    labels = manifest.heads["category"].labels
    spam = manifest.heads["category"].model_copy(update={"labels": ("spam", *(n for n in labels if n != "spam"))})
    changed = manifest.model_copy(update={"heads": manifest.heads | {"category": spam}})
    found = summed(changed, tmp_path, ((0.9, 0.1), (0.1, 0.9), (0.2, 0.1)))
    assert found.summary["bundle"].sentences.recall.value == 0.0
    assert np.isnan(found.summary["bundle"].factuality.value)  # nothing was said


def test_sentences_that_are_nowhere_in_the_new_text_are_missed(manifest: Manifest, tmp_path: Path) -> None:
    """A subject that was copied counts against everybody."""
    good = ((0.9, 0.1), (0.1, 0.9), (0.2, 0.1))
    found = summed(manifest, tmp_path, good, subject="Lost!", summary_sentences=["Lost!", "we never got PO 12345678."])
    assert found.summary["bundle"].sentences.recall.value == 0.5


def test_a_gain_is_taken_on_the_same_rows() -> None:
    """Two ratios that move together differ by the same in every resample, however wide each is."""
    rng = np.random.default_rng(2)
    hits = rng.integers(0, 2, 60).astype(float)
    one, other = Ratio(hits, np.ones(60)), Ratio(hits - 0.25, np.ones(60))
    found = gain(one, other)
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)
    assert one.estimate().high - one.estimate().low > 0.1
    assert np.isnan(Ratio(np.zeros(3), np.zeros(3)).estimate().value)


def test_no_reference_no_figures(manifest: Manifest, tmp_path: Path) -> None:
    """Neither for rows without references nor for a bundle that scores no sentence."""
    (plain,) = read_examples([lines(tmp_path, ROW)], manifest)
    (with_one,) = read_examples([lines(tmp_path, SUMMED)], manifest)
    asked = manifest.model_copy(update={"sentences": SPEC})
    assert measure_summaries(asked, [_summed(plain, ((0.5, 0.5),), manifest)]) is None
    none = manifest.model_copy(update={"sentences": None})
    assert measure_summaries(none, [_summed(with_one, ((0.5, 0.5),) * 3, manifest)]) is None


def test_references_may_stand_in_a_file_of_their_own(manifest: Manifest, tmp_path: Path) -> None:
    """They go to the mail of their id; those of mails that are not there are passed over."""
    loose = {name: SUMMED[name] for name in ("id", "summary", "summary_sentences", "action_items")}
    mail = {name: value for name, value in SUMMED.items() if name not in loose or name == "id"}
    (example,) = read_examples([lines(tmp_path, loose, loose | {"id": "b-7"}, mail)], manifest)
    assert example.reference is not None
    assert example.reference.action_items == ("Where is it?",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action_items": None}, r"rows.jsonl:1: action_items: Field required; summary, .* belong together"),
        ({"action_items": ["Send it!"]}, r"rows.jsonl:1: action_items: 'Send it!' is not in the mail: copy"),
        ({"summary_sentences": []}, r"rows.jsonl:1: summary_sentences: .*at least 1"),
    ],
)
def test_a_broken_reference_is_refused(change: dict[str, Any], said: str, manifest: Manifest, tmp_path: Path) -> None:
    """Its row and the remedy are named, beside labels as in a file of its own."""
    with pytest.raises(InputError, match=said):
        read_examples([lines(tmp_path, SUMMED | change)], manifest)
    loose = {name: SUMMED[name] for name in ("id", "summary", "summary_sentences", "action_items")} | change
    with pytest.raises(InputError, match=said):
        read_examples([lines(tmp_path, loose, ROW | {"body": SUMMED["body"]})], manifest)


def test_a_mail_has_one_reference(manifest: Manifest, tmp_path: Path) -> None:
    """A second one in another file is refused."""
    loose = {name: SUMMED[name] for name in ("id", "summary", "summary_sentences", "action_items")}
    with pytest.raises(InputError, match=r"rows.jsonl:2: id a-1 has more than one reference summary"):
        read_examples([lines(tmp_path, SUMMED, loose)], manifest)


def test_the_section_of_the_page_names_every_way(manifest: Manifest, tmp_path: Path) -> None:
    """With intervals, all rows before languages."""
    found = summed(manifest, tmp_path, ((0.9, 0.1), (0.1, 0.9), (0.2, 0.1)))
    page = "".join(summary_section(SummaryFigures(found, {"en": found})))
    assert page.index("all rows, 1") < page.index("en, 1")
    for wanted in ("bundle</td>", "first sentence", "first two", "all questions", "1.000 <small>1.000–1.000</small>"):
        assert wanted in page
