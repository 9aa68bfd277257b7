"""`LinearTier`: one linear model per head over the words of a mail, in numpy; asked before the encoder."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mailweir.models.runtime.calibration import Probabilities, calibrate
from mailweir.models.runtime.graph import Floats
from mailweir.models.text.model_input import ModelInput
from mailweir.models.text.terms import term_counts, term_keys, terms
from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import Reason
from mailweir.schemas.manifest import HeadSpec, Manifest

LINEAR = "linear.npz"
QUIET = "quiet"
"""Name of the question that is asked beside the heads: would the tagger add nothing to what rules find?"""

_SHOWN = 3
_KINDS = {"keys": "uint32", "rarity": "float16", "weights": "int8", "scales": "float32", "bias": "float32"}


@dataclass(frozen=True, slots=True)
class LinearTables:
    """The numbers of the model. Columns are the labels of all heads side by side, then `QUIET` where it is asked."""

    keys: NDArray[np.uint32]  # (terms,) rising
    rarity: NDArray[np.float16]  # (terms,) inverse document frequency
    weights: NDArray[np.int8]  # (terms, columns)
    scales: Floats  # (columns,) what a weight of 1 stands for
    bias: Floats  # (columns,)

    def values(self, keys: NDArray[np.uint32], counts: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Rows of the terms that are known, and (known,) their tf-idf, of length 1 together."""
        if not len(keys) or not len(self.keys):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[at] == keys
        rows = at[known]
        weighed = (1 + np.log(counts[known])) * self.rarity[rows].astype(np.float32)
        length = float(np.sqrt((weighed * weighed).sum()))
        return rows, np.asarray(weighed / length if length else weighed, np.float32)

    def logits(self, given: ModelInput) -> Floats:
        """(columns,), of one mail."""
        return self.products(*self.values(*term_counts(given)))

    def products(self, rows: NDArray[np.int64], values: Floats) -> Floats:
        """(columns,) logits from the terms of one mail."""
        return np.asarray((values @ self.weights[rows].astype(np.float32)) * self.scales + self.bias, np.float32)

    def save(self, path: Path) -> None:
        """Write them, packed; the same numbers give the same bytes."""
        np.savez_compressed(path, **{name: getattr(self, name) for name in _KINDS})


@dataclass(frozen=True, slots=True)
class Cheap:
    """What the cheap tier says about one mail."""

    heads: dict[str, Probabilities]  # (labels,) each
    enough: bool  # it is as sure of all of them as its threshold wants: the mail stops here
    words: int  # how many terms of the mail it knows
    milliseconds: float
    reasons: dict[str, tuple[Reason, ...]]  # if asked for, and if the mail stops


class LinearTier:
    """The cheap tier of a bundle; safe to use from several threads. `threshold` None: no mail stops."""

    def __init__(
        self,
        tables: LinearTables,
        heads: dict[str, HeadSpec],
        threshold: float | None,
        only: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`only`: of one of these heads one of these labels must be the answer, or the mail does not stop."""
        self._tables = tables
        self._heads = heads
        self._threshold = threshold
        self._only = only

    def ask(self, given: ModelInput, *, reasons: bool = False) -> Cheap:
        """Its answer to one mail; without a word that it knows it is sure of nothing."""
        start = perf_counter()
        rows, values = self._tables.values(*term_counts(given))
        answers = self.calibrated(self._tables.products(rows, values))
        sure = least_sure(answers, self._heads, self._only) if len(rows) else 0.0
        enough = self._threshold is not None and sure >= self._threshold
        heads = {name: table for name, table in answers.items() if name != QUIET}
        words = self._reasons(given, rows, values, heads) if reasons and enough else {}
        return Cheap(heads, enough, len(rows), (perf_counter() - start) * 1000, words)

    def calibrated(self, logits: Floats) -> dict[str, Probabilities]:
        """(columns,) logits as probabilities of each head's labels."""
        found, at = {}, 0
        for name, head in self._heads.items():
            found[name] = calibrate(logits[None, at : (at := at + len(head.labels))], head)[0]
        return found

    def _reasons(
        self, given: ModelInput, rows: NDArray[np.int64], values: Floats, heads: dict[str, Probabilities]
    ) -> dict[str, tuple[Reason, ...]]:
        """Per head of one the terms that spoke most for its winning label, against its other labels."""
        written = dict(zip(term_keys(given).tolist(), (text for _, text in terms(given)), strict=True))
        names = [written[int(key)] for key in self._tables.keys[rows]]
        found, at = {}, 0
        for name, head in self._heads.items():
            part = slice(at, at := at + len(head.labels))
            if head.kind == "one":
                shares = values[:, None] * self._tables.weights[rows, part] * self._tables.scales[part]
                found[name] = _strongest(names, shares[:, int(heads[name].argmax())] - shares.mean(axis=1))
        return found


def load_linear(folder: Path, manifest: Manifest) -> LinearTier | None:
    """The cheap tier of the bundle in `folder`; None if no mail may stop there.

    Raises:
        BundleError: its file is not what the manifest says.
    """
    if manifest.cheap is None or manifest.cheap.threshold is None:
        return None
    path, temperatures = folder / LINEAR, manifest.cheap.temperatures
    if missing := manifest.heads.keys() - temperatures.keys():
        raise BundleError(f"{folder} has no temperature of the cheap tier for {min(missing)}", path=str(folder))
    heads = cheap_heads(manifest.heads, temperatures)
    tables, width = read_tables(path), sum(len(head.labels) for head in heads.values())
    if not _fits(tables, width):
        raise BundleError(f"{path} is no table of {width} columns, as the manifest says", path=str(path))
    # what stops has no summary: where the bundle makes some, only mail that gets none anyway may stop
    only = manifest.sentences.summary.never if manifest.sentences else None
    return LinearTier(tables, heads, manifest.cheap.threshold, only)


def cheap_heads(heads: Mapping[str, HeadSpec], temperatures: Mapping[str, float]) -> dict[str, HeadSpec]:
    """The heads as the cheap tier answers them, in the order of its columns: the bundle's, at temperatures of its own."""
    found = {name: head.model_copy(update={"temperature": temperatures[name]}) for name, head in heads.items()}
    if QUIET in temperatures:
        found[QUIET] = HeadSpec(kind="many", labels=(QUIET,), temperature=temperatures[QUIET], threshold=0.0)
    return found


def least_sure(
    answers: Mapping[str, Probabilities],
    heads: Mapping[str, HeadSpec],
    only: Mapping[str, Sequence[str]] | None = None,
) -> float:
    """How sure the answer is that is least so; 0 where `only` names labels and none of them is the answer."""
    if only is not None and not any(
        heads[name].labels[int(answers[name].argmax())] in labels for name, labels in only.items()
    ):
        return 0.0
    return min(_surety(answers[name], head) for name, head in heads.items())


def _surety(probabilities: Probabilities, head: HeadSpec) -> float:
    """Of the best label; of many, that all are as they are judged."""
    if head.kind == "one":
        return float(probabilities.max())
    return float(np.where(probabilities >= np.array(head.limits), probabilities, 1 - probabilities).prod())


def read_tables(path: Path) -> LinearTables:
    """The tables in the file `path`.

    Raises:
        BundleError: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return LinearTables(**{name: file[name] for name in _KINDS})
    except (OSError, ValueError, KeyError, TypeError, BadZipFile, zlib.error) as error:
        raise BundleError(f"{path} cannot be loaded: {error}", path=str(path)) from error


def _strongest(names: list[str], shares: Floats) -> tuple[Reason, ...]:
    best = [int(i) for i in np.argsort(-shares, kind="stable")[:_SHOWN] if shares[i] > 0]
    return tuple(Reason(text=names[i], weight=round(float(shares[i]), 4)) for i in best)


def _fits(tables: LinearTables, width: int) -> bool:
    """Kinds and shapes are those that the model needs."""
    kinds = {name: str(getattr(tables, name).dtype) for name in _KINDS}
    shapes = (tables.rarity.shape, tables.weights.shape, tables.scales.shape, tables.bias.shape)
    return kinds == _KINDS and shapes == (tables.keys.shape, (len(tables.keys), width), (width,), (width,))
