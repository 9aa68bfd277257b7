"""`Bundle`: a trained model as a folder, verified and ready to classify."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Self

import numpy as np
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from mailweir.models.runtime.graph import TOKEN_BUDGET, Floats, Graph, Ran
from mailweir.models.runtime.integrity import read_manifest, verify_files, verify_labels
from mailweir.models.runtime.reasons import strongest_words
from mailweir.models.runtime.refine import STATES, Refiner
from mailweir.models.text.model_input import ModelInput
from mailweir.models.text.spans import Span, decode_tags
from mailweir.models.text.tokens import MailTokenizer, Tokens
from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import EntityField, Reason
from mailweir.schemas.manifest import HeadSpec, Manifest

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
_CONTRIBUTIONS, _TAGS = "tokens", "tags"
_WARM_UP = ModelInput("query: warm up " * 8, cut=False, empty=False)

# What the runtime raises for a file that is no graph, a damaged one, or one for a newer runtime.
_UNREADABLE = (
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
)

Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says about one mail, calibrated; what follows from it is the policy's business."""

    heads: Mapping[str, Probabilities]  # head -> (labels,) in the manifest's order
    tokens: int  # how many the model saw
    truncated: bool  # the text was longer
    empty: bool  # there was no text
    tokenize_ms: float
    model_ms: float  # this mail's share of its sub-batch
    reasons: Mapping[str, tuple[Reason, ...]] = field(
        default_factory=dict
    )  # head -> strongest words; empty if not asked
    tagged: tuple[tuple[EntityField, Span], ...] = ()  # entities that the model found
    steps: int = 0  # of refinement; 0 where the bundle does none


class Bundle:
    """A loaded bundle; `classify` may be called from several threads at once."""

    def __init__(
        self, manifest: Manifest, tokenizer: MailTokenizer, graph: Graph, refiner: Refiner | None = None
    ) -> None:
        self.manifest = manifest
        self._tokenizer = tokenizer
        self._graph = graph
        self._refiner = refiner

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Read, verify and warm up the bundle in `folder`; `threads` work on one sub-batch.

        Raises:
            BundleError: a file is missing, changed or unreadable; the message names it.
        """
        manifest = read_manifest(folder)
        verify_files(folder, manifest)
        verify_labels(folder, manifest)
        try:
            graph = Graph(folder / MODEL, manifest.input.pad_id, threads)
        except _UNREADABLE as error:
            raise BundleError(f"{folder / MODEL} cannot be loaded: {error}", path=str(folder / MODEL)) from error
        _verify_outputs(folder, manifest, graph)
        refiner = _refiner(folder, manifest, graph, threads)
        tokenizer = MailTokenizer.load(folder / TOKENIZER, manifest.input.max_tokens)
        bundle = cls(manifest, tokenizer, graph, refiner)
        bundle.classify([_WARM_UP])
        return bundle

    def classify(
        self, inputs: Sequence[ModelInput], *, reasons: bool = False, token_budget: int = TOKEN_BUDGET
    ) -> list[Scores]:
        """Scores of every mail in input order; a mail's scores do not depend on its neighbours.

        `reasons` adds the words that spoke for the winning label of each head.
        """
        tokens, spent = self._tokenize(inputs)
        optional = ((_TAGS, self.manifest.tags), (STATES, self._refiner), (_CONTRIBUTIONS, reasons))
        names = [*self.manifest.heads, *(name for name, wanted in optional if wanted)]
        scores: dict[int, Scores] = {}
        for encoded in self._graph.run([t.ids for t in tokens], names, token_budget):
            ran, steps = self._refined(encoded, [len(tokens[row]) for row in encoded.rows])
            calibrated = [
                calibrate(logits, head) for logits, head in zip(ran.outputs, self.manifest.heads.values(), strict=False)
            ]
            for place, row in enumerate(ran.rows):
                heads = {name: table[place] for name, table in zip(self.manifest.heads, calibrated, strict=True)}
                scores[row] = Scores(
                    heads,
                    tokens=len(tokens[row]),
                    truncated=tokens[row].truncated,
                    empty=inputs[row].empty,
                    tokenize_ms=spent[row],
                    model_ms=ran.milliseconds / len(ran.rows),
                    reasons=self._reasons(inputs[row], tokens[row], heads, ran, place) if reasons else {},
                    tagged=self._tagged(inputs[row], tokens[row], ran, place),
                    steps=steps[place],
                )
        return [scores[row] for row in range(len(inputs))]

    def _tokenize(self, inputs: Iterable[ModelInput]) -> tuple[list[Tokens], list[float]]:
        tokens, spent = [], []
        for given in inputs:
            start = perf_counter()
            tokens.append(self._tokenizer(given))
            spent.append((perf_counter() - start) * 1000)
        return tokens, spent

    def _refined(self, ran: Ran, lengths: Sequence[int]) -> tuple[Ran, Sequence[int]]:
        """The sub-batch with what the steps add to its logits, and the steps of each row."""
        if self._refiner is None:
            return ran, [0] * len(ran.rows)
        start = perf_counter()
        states: Floats = ran.outputs[len(self.manifest.heads) + (self.manifest.tags is not None)]
        mask = (np.arange(states.shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
        refined = self._refiner.refine(states, mask)
        added = dict(zip(self._refiner.heads, refined.logits, strict=True))
        outputs = list(ran.outputs)
        for place, name in enumerate(self.manifest.heads):
            outputs[place] = outputs[place] + added[name] if name in added else outputs[place]
        spent = ran.milliseconds + (perf_counter() - start) * 1000
        return Ran(ran.rows, tuple(outputs), spent), refined.steps.tolist()

    def _tagged(self, given: ModelInput, tokens: Tokens, ran: Ran, place: int) -> tuple[tuple[EntityField, Span], ...]:
        spec = self.manifest.tags
        if spec is None:
            return ()
        logits: Floats = ran.outputs[len(self.manifest.heads)][place][: len(tokens)]
        offsets = tokens.encoding.offsets[: len(tokens)]
        spans = decode_tags(logits, spec.names, offsets, given.text, spec.temperature)
        return tuple(given.locate(s for s in spans if s.probability >= spec.thresholds.get(s.type, 0.0)))

    def _reasons(
        self, given: ModelInput, tokens: Tokens, heads: Mapping[str, Probabilities], ran: Ran, place: int
    ) -> dict[str, tuple[Reason, ...]]:
        contributions: Floats = ran.outputs[-1][place][: len(tokens)]  # (tokens, all labels)
        found, offset = {}, 0
        for name, probabilities in heads.items():
            if self.manifest.heads[name].kind == "one":
                column = contributions[:, offset + int(probabilities.argmax())]
                found[name] = strongest_words(given.text, tokens, column)
            offset += len(probabilities)
        return found


def calibrate(logits: Floats, head: HeadSpec) -> Probabilities:
    """(rows, labels) logits to probabilities: temperature, then softmax over one label or a sigmoid for each of many."""
    scaled = logits.astype(np.float64) / head.temperature
    if head.kind == "many":
        return np.asarray(1 / (1 + np.exp(-scaled)))
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _refiner(folder: Path, manifest: Manifest, graph: Graph, threads: int) -> Refiner | None:
    """The step of a bundle that refines by default; None for the others."""
    spec = manifest.refine
    if spec is None or not spec.heads:
        return None
    path = folder / spec.file
    try:
        refiner = Refiner(path, spec.heads, steps=spec.steps, halt_at=spec.halt_at, threads=threads)
    except (*_UNREADABLE, KeyError) as error:
        raise BundleError(f"{path} cannot be loaded as a step: {error}", path=str(path)) from error
    wanted = {name: len(manifest.heads[name].labels) for name in spec.heads}
    _verify_widths(path, wanted, refiner.outputs)
    _verify_widths(folder / MODEL, {STATES: refiner.hidden}, graph.outputs)
    return refiner


def _verify_outputs(folder: Path, manifest: Manifest, graph: Graph) -> None:
    wanted = {name: len(head.labels) for name, head in manifest.heads.items()}
    wanted |= {_TAGS: len(manifest.tags.names)} if manifest.tags else {}
    _verify_widths(folder / MODEL, wanted, graph.outputs)


def _verify_widths(path: Path, wanted: Mapping[str, int], outputs: Mapping[str, tuple[object, ...]]) -> None:
    for name, width in wanted.items():
        if name not in outputs or outputs[name][-1] != width:
            message = f"{path} has no output {name} of width {width}, as the manifest says"
            raise BundleError(message, path=str(path))
