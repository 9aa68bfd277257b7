"""`Bundle`: a trained model as a folder, verified and ready to classify."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, Self

import numpy as np
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from mailweir.models.runtime.calibration import Probabilities, calibrate
from mailweir.models.runtime.graph import TOKEN_BUDGET, Floats, Graph
from mailweir.models.runtime.integrity import read_manifest, verify_files, verify_labels
from mailweir.models.runtime.linear import Cheap, LinearTier, load_linear
from mailweir.models.runtime.reasons import strongest_words
from mailweir.models.runtime.refine import STATES, Refined, Refiner
from mailweir.models.runtime.scores import Scores
from mailweir.models.runtime.sentences import WIDTH, ScoredSentence, score_sentences
from mailweir.models.runtime.windows import TAGS, Later, run_later, tag_table
from mailweir.models.text.model_input import ModelInput
from mailweir.models.text.spans import Span, decode_tags
from mailweir.models.text.tokens import MailTokenizer, Tokens
from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import EntityField, Reason
from mailweir.schemas.manifest import Manifest

__all__ = ["MODEL", "TOKENIZER", "Bundle", "Probabilities", "Scores", "calibrate"]

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
_CONTRIBUTIONS, _SENTENCES = "tokens", "sentences"
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


class _Read(NamedTuple):
    """One mail on its way through the graph."""

    given: ModelInput
    tokens: Tokens
    tokenize_ms: float
    later: Later | None  # its further windows, tagged


class Bundle:
    """A loaded bundle; `classify` may be called from several threads at once."""

    def __init__(
        self,
        manifest: Manifest,
        tokenizer: MailTokenizer,
        graph: Graph,
        *,
        linear: LinearTier | None = None,
        refiner: Refiner | None = None,
    ) -> None:
        self.manifest = manifest
        self.tokenizer = tokenizer
        self._graph = graph
        self._linear = linear
        self._refiner = refiner

    @classmethod
    def load(cls, folder: Path, threads: int = 1, beside: Self | None = None) -> Self:
        """Read, verify and warm up the bundle in `folder`; `threads` work on one sub-batch.

        The tokenizer of a bundle `beside` it is shared where it is the same file: reading one stops every other Python thread for
        125 ms (the rest of a load lets them go on).

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
        tokenizer = _shared_tokenizer(manifest, beside) or MailTokenizer.load(
            folder / TOKENIZER, manifest.input.max_tokens
        )
        linear, refiner = load_linear(folder, manifest), _refiner(folder, manifest, graph, threads)
        bundle = cls(manifest, tokenizer, graph, linear=linear, refiner=refiner)
        bundle.classify([_WARM_UP], cascade=False)
        return bundle

    def classify(
        self,
        inputs: Sequence[ModelInput],
        *,
        reasons: bool = False,
        token_budget: int = TOKEN_BUDGET,
        cascade: bool = True,
    ) -> list[Scores]:
        """Scores of every mail in input order; a mail's scores do not depend on its neighbours.

        `reasons` adds the words that spoke for the winning label of each head; without `cascade` no mail stops at the cheap tier.
        """
        linear = self._linear if cascade else None
        asked = [linear.ask(given, reasons=reasons) for given in inputs] if linear else []
        left = [given for row, given in enumerate(inputs) if not (asked and asked[row].enough)]
        encoded = iter(self._encode(left, reasons=reasons, token_budget=token_budget))
        if not asked:
            return list(encoded)
        return [
            _stopped(given, cheap) if cheap.enough else replace(next(encoded), cheap_ms=cheap.milliseconds)
            for given, cheap in zip(inputs, asked, strict=True)
        ]

    def _encode(self, inputs: Sequence[ModelInput], *, reasons: bool, token_budget: int) -> list[Scores]:
        mails = self._read(inputs, token_budget)
        optional = {
            TAGS: self.manifest.tags is not None,
            _SENTENCES: self.manifest.sentences is not None,
            STATES: self._refiner is not None,
            _CONTRIBUTIONS: reasons,
        }
        names = [*self.manifest.heads, *(name for name, wanted in optional.items() if wanted)]
        scores: dict[int, Scores] = {}
        for ran in self._graph.run([mail.tokens.ids for mail in mails], names, token_budget):
            plain = dict(zip(names, ran.outputs, strict=True))
            outputs, refined, refine_ms = self._refined(plain, [len(mails[row].tokens) for row in ran.rows])
            tables = {name: calibrate(outputs[name], head) for name, head in self.manifest.heads.items()}
            spent = (ran.milliseconds + refine_ms) / len(ran.rows)
            inside = (ran.milliseconds + (refined.milliseconds if refined else 0.0)) / len(ran.rows)
            for place, row in enumerate(ran.rows):
                heads = {name: table[place] for name, table in tables.items()}
                mine = {name: outputs[name][place] for name in optional if name in outputs}
                steps = int(refined.steps[place]) if refined else 0
                scores[row] = replace(self._scores(mails[row], heads, mine, spent, inside), steps=steps)
        return [scores[row] for row in range(len(inputs))]

    def _read(self, inputs: Sequence[ModelInput], token_budget: int) -> list[_Read]:
        tokens, spent = [], []
        for given in inputs:
            start = perf_counter()
            tokens.append(self.tokenizer(given))
            spent.append((perf_counter() - start) * 1000)
        later = run_later(self._graph, tokens, token_budget) if self.manifest.tags else {}
        return [
            _Read(given, one, ms, later.get(row))
            for row, (given, one, ms) in enumerate(zip(inputs, tokens, spent, strict=True))
        ]

    def _refined(
        self, outputs: Mapping[str, Floats], lengths: Sequence[int]
    ) -> tuple[Mapping[str, Floats], Refined | None, float]:
        """The outputs with what the steps add to the logits, the steps, and what all of it took in milliseconds."""
        if self._refiner is None:
            return outputs, None, 0.0
        start = perf_counter()
        states = outputs[STATES]
        mask = (np.arange(states.shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
        refined = self._refiner.refine(states, mask)
        added = zip(self._refiner.heads, refined.logits, strict=True)
        changed = {name: outputs[name] + logits for name, logits in added}
        return {**outputs, **changed}, refined, (perf_counter() - start) * 1000

    def _scores(
        self,
        mail: _Read,
        heads: Mapping[str, Probabilities],
        outputs: Mapping[str, Floats],
        spent: float,
        inside: float,
    ) -> Scores:
        """Of one mail from its calibrated heads and its (tokens, width) `outputs`; `inside` is ONNX Runtime's part of `spent`."""
        start = perf_counter()
        sentences = self._sentences(mail, outputs)
        sentences_ms = (perf_counter() - start) * 1000
        later_ms = mail.later.milliseconds if mail.later else 0.0
        return Scores(
            heads,
            tokens=len(mail.tokens),
            truncated=mail.tokens.truncated,
            empty=mail.given.empty,
            tokenize_ms=mail.tokenize_ms,
            model_ms=spent + later_ms,
            runtime_ms=inside + later_ms,
            reasons=self._reasons(mail, heads, outputs[_CONTRIBUTIONS]) if _CONTRIBUTIONS in outputs else {},
            tagged=self._tagged(mail, outputs),
            density=mail.tokens.density,
            tier=self.manifest.tier,
            sentences=sentences,
            sentences_ms=sentences_ms,
        )

    def _tagged(self, mail: _Read, outputs: Mapping[str, Floats]) -> tuple[tuple[EntityField, Span], ...]:
        spec = self.manifest.tags
        if spec is None:
            return ()
        logits = tag_table(outputs[TAGS], mail.tokens, mail.later)
        offsets = mail.tokens.encoding.offsets[: len(logits)]
        spans = decode_tags(logits, spec.names, offsets, mail.given.text, spec.temperature)
        return tuple(mail.given.locate(s for s in spans if s.probability >= spec.thresholds.get(s.type, 0.0)))

    def _sentences(self, mail: _Read, outputs: Mapping[str, Floats]) -> tuple[ScoredSentence, ...]:
        spec = self.manifest.sentences
        return score_sentences(mail.given, mail.tokens, outputs[_SENTENCES], spec) if spec else ()

    def _reasons(
        self, mail: _Read, heads: Mapping[str, Probabilities], contributions: Floats
    ) -> dict[str, tuple[Reason, ...]]:
        """`contributions` is (tokens, all labels)."""
        found, offset = {}, 0
        for name, probabilities in heads.items():
            if self.manifest.heads[name].kind == "one":
                column = contributions[: len(mail.tokens), offset + int(probabilities.argmax())]
                found[name] = strongest_words(mail.given.written, mail.tokens, column)
            offset += len(probabilities)
        return found


def _stopped(given: ModelInput, cheap: Cheap) -> Scores:
    """Scores of a mail that the encoder does not see."""
    return Scores(
        cheap.heads,
        tokens=cheap.words,
        truncated=given.cut,
        empty=given.empty,
        tokenize_ms=0.0,
        model_ms=0.0,
        reasons=cheap.reasons,
        tier="linear",
        cheap_ms=cheap.milliseconds,
    )


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


def _shared_tokenizer(manifest: Manifest, beside: Bundle | None) -> MailTokenizer | None:
    """That of `beside`, if it is the same to the last byte and cuts at the same length."""
    if beside is None or TOKENIZER not in manifest.files:
        return None
    same = beside.manifest.files.get(TOKENIZER) == manifest.files[TOKENIZER]
    return beside.tokenizer if same and beside.manifest.input == manifest.input else None


def _verify_outputs(folder: Path, manifest: Manifest, graph: Graph) -> None:
    wanted = {name: len(head.labels) for name, head in manifest.heads.items()}
    wanted |= {TAGS: len(manifest.tags.names)} if manifest.tags else {}
    wanted |= {_SENTENCES: WIDTH} if manifest.sentences else {}
    _verify_widths(folder / MODEL, wanted, graph.outputs)


def _verify_widths(path: Path, wanted: Mapping[str, int], outputs: Mapping[str, tuple[object, ...]]) -> None:
    for name, width in wanted.items():
        if name not in outputs or outputs[name][-1] != width:
            message = f"{path} has no output {name} of width {width}, as the manifest says"
            raise BundleError(message, path=str(path))
