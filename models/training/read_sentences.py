"""Mails with a reference as a scorer of sentences sees them: a mean token vector, a length and two answers a sentence."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mailweir.models.export.encoder import STATES, write_states
from mailweir.models.export.linear import Int8
from mailweir.models.export.weights import Encoder
from mailweir.models.runtime.graph import Floats, Graph
from mailweir.models.runtime.sentences import Numbers, sentence_means
from mailweir.models.text.newest import newest_sentences
from mailweir.models.training.heads import Mask
from mailweir.models.training.prepare import Prepared
from mailweir.models.training.references import Reference, chosen_sentences
from mailweir.models.training.split import Run


@dataclass(frozen=True, slots=True)
class ReadMail:
    """The sentences of one mail that the model saw."""

    row: int  # of the run
    vectors: Numbers  # (sentences, hidden), means over their tokens
    lengths: Numbers  # (sentences,), logarithms of the number of words
    right: Mapping[str, Mask]  # "summary", "action_items" -> (sentences,): did the annotator copy it


def read_mails(
    run: Run, ready: Prepared, served: tuple[Encoder, Int8], references: Mapping[str, Reference]
) -> list[ReadMail]:
    """The rows with a reference and a sentence, in order; `served` is the encoder and its int8 form, which is run."""
    rows = [place for place, row in enumerate(run.rows) if row.id in references]
    with tempfile.TemporaryDirectory() as folder:
        write_states(Path(folder) / "states.onnx", *served)
        graph = Graph(Path(folder) / "states.onnx", ready.vocabulary.padding)
    found: list[ReadMail] = []
    for ran in graph.run([ready.tokens[row].ids for row in rows], [STATES]):
        for place, states in zip(ran.rows, ran.outputs[0], strict=True):
            row = rows[place]
            found.append(_read(row, states, ready, references[run.rows[row].id]))
    return sorted((mail for mail in found if len(mail.lengths)), key=lambda mail: mail.row)


def _read(row: int, states: Floats, ready: Prepared, reference: Reference) -> ReadMail:
    given = ready.inputs[row]
    sentences = newest_sentences(given)
    means = sentence_means(states, ready.tokens[row], sentences)
    seen = ~np.isnan(means).any(axis=1)
    quotes = {"summary": reference.summary_sentences, "action_items": reference.action_items}
    return ReadMail(
        row,
        means[seen],
        np.array([one.log_words for one in sentences])[seen],
        {use: chosen_sentences(given.written, sentences, copied)[seen] for use, copied in quotes.items()},
    )
