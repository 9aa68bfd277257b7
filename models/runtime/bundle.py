"""`Bundle`: a trained model as a folder, verified and ready to classify."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Self

from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from mailweir.models.runtime.calibration import Probabilities, calibrate
from mailweir.models.runtime.graph import TOKEN_BUDGET, Floats, Graph, Ran
from mailweir.models.runtime.integrity import read_manifest, verify_files, verify_labels
from mailweir.models.runtime.linear import Cheap, LinearTier, load_linear
from mailweir.models.runtime.reasons import strongest_words
from mailweir.models.runtime.sentences import WIDTH, ScoredSentence, score_sentences
from mailweir.models.runtime.windows import TAGS, Later, run_later, tag_table
from mailweir.models.text.model_input import ModelInput
from mailweir.models.text.spans import Span, decode_tags
from mailweir.models.text.tokens import MailTokenizer, Tokens
from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import EntityField, Reason, Tier
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


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says about one mail, calibrated; what follows from it is the policy's business."""

    heads: Mapping[str, Probabilities]  # head -> (labels,) in the manifest's order
    tokens: int  # how many the model saw
    truncated: bool  # the text was longer
    empty: bool  # there was no text
    tokenize_ms: float
    model_ms: float  # this mail's share of its sub-batch, and its later windows
    reasons: Mapping[str, tuple[Reason, ...]] = field(
        default_factory=dict
    )  # head -> strongest words; empty if not asked
    tagged: tuple[tuple[EntityField, Span], ...] = ()  # entities that the model found
    density: float = 0.0  # tokens for a character: how little the text is like what the tokenizer was made for
    tier: Tier = "encoder"  # who answered; of `linear` the tokens are the terms that it knows
    cheap_ms: float = 0.0  # what asking the cheap tier took, whoever answered
    sentences: tuple[ScoredSentence, ...] = ()  # of the newest text, in order; empty if the bundle scores none
    sentences_ms: float = 0.0  # splitting and scoring them


class Bundle:
    """A loaded bundle; `classify` may be called from several threads at once."""

    def __init__(
        self, manifest: Manifest, tokenizer: MailTokenizer, graph: Graph, linear: LinearTier | None = None
    ) -> None:
        self.manifest = manifest
        self._tokenizer = tokenizer
        self._graph = graph
        self._linear = linear

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
        linear = load_linear(folder, manifest)
        bundle = cls(manifest, MailTokenizer.load(folder / TOKENIZER, manifest.input.max_tokens), graph, linear)
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
        tokens, spent = self._tokenize(inputs)
        asked = ((TAGS, self.manifest.tags), (_SENTENCES, self.manifest.sentences), (_CONTRIBUTIONS, reasons))
        extra = [name for name, wanted in asked if wanted]
        names = [*self.manifest.heads, *extra]
        later = run_later(self._graph, tokens, token_budget) if self.manifest.tags else {}
        scores: dict[int, Scores] = {}
        for ran in self._graph.run([t.ids for t in tokens], names, token_budget):
            calibrated = [
                calibrate(logits, head) for logits, head in zip(ran.outputs, self.manifest.heads.values(), strict=False)
            ]
            for place, row in enumerate(ran.rows):
                heads = {name: table[place] for name, table in zip(self.manifest.heads, calibrated, strict=True)}
                started = perf_counter()
                sentences = self._sentences(inputs[row], tokens[row], ran, place)
                sentences_ms = (perf_counter() - started) * 1000
                scores[row] = Scores(
                    heads,
                    tokens=len(tokens[row]),
                    truncated=tokens[row].truncated,
                    empty=inputs[row].empty,
                    tokenize_ms=spent[row],
                    model_ms=ran.milliseconds / len(ran.rows) + (later[row].milliseconds if row in later else 0.0),
                    reasons=self._reasons(inputs[row], tokens[row], heads, ran, place) if reasons else {},
                    tagged=self._tagged(inputs[row], tokens[row], ran.outputs[len(heads) :], place, later.get(row)),
                    sentences=sentences,
                    sentences_ms=sentences_ms,
                    density=tokens[row].density,
                    tier=self.manifest.tier,
                )
        return [scores[row] for row in range(len(inputs))]

    def _tokenize(self, inputs: Iterable[ModelInput]) -> tuple[list[Tokens], list[float]]:
        tokens, spent = [], []
        for given in inputs:
            start = perf_counter()
            tokens.append(self._tokenizer(given))
            spent.append((perf_counter() - start) * 1000)
        return tokens, spent

    def _tagged(
        self, given: ModelInput, tokens: Tokens, outputs: Sequence[Floats], place: int, later: Later | None
    ) -> tuple[tuple[EntityField, Span], ...]:
        spec = self.manifest.tags
        if spec is None:
            return ()
        logits = tag_table(outputs[0][place], tokens, later)
        offsets = tokens.encoding.offsets[: len(logits)]
        spans = decode_tags(logits, spec.names, offsets, given.text, spec.temperature)
        return tuple(given.locate(s for s in spans if s.probability >= spec.thresholds.get(s.type, 0.0)))

    def _sentences(self, given: ModelInput, tokens: Tokens, ran: Ran, place: int) -> tuple[ScoredSentence, ...]:
        spec = self.manifest.sentences
        if spec is None:
            return ()
        logits: Floats = ran.outputs[len(self.manifest.heads) + bool(self.manifest.tags)][place]
        return score_sentences(given, tokens, logits, spec)

    def _reasons(
        self, given: ModelInput, tokens: Tokens, heads: Mapping[str, Probabilities], ran: Ran, place: int
    ) -> dict[str, tuple[Reason, ...]]:
        contributions: Floats = ran.outputs[-1][place][: len(tokens)]  # (tokens, all labels)
        found, offset = {}, 0
        for name, probabilities in heads.items():
            if self.manifest.heads[name].kind == "one":
                column = contributions[:, offset + int(probabilities.argmax())]
                found[name] = strongest_words(given.written, tokens, column)
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


def _verify_outputs(folder: Path, manifest: Manifest, graph: Graph) -> None:
    outputs = graph.outputs
    wanted = {name: len(head.labels) for name, head in manifest.heads.items()}
    wanted |= {TAGS: len(manifest.tags.names)} if manifest.tags else {}
    wanted |= {_SENTENCES: WIDTH} if manifest.sentences else {}
    for name, width in wanted.items():
        if name not in outputs or outputs[name][-1] != width:
            message = f"{folder / MODEL} has no output {name} of width {width}, as the manifest says"
            raise BundleError(message, path=str(folder / MODEL))
