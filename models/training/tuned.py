"""The fine-tuned path: tune the network, then fit around it what is fitted on the served form: words, calibration, tags."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from mailweir.models.export.encoder import write_classifier
from mailweir.models.export.weights import Affine, Floats, LinearHead, Tagger
from mailweir.models.runtime.graph import Graph
from mailweir.models.text.spans import tag_names
from mailweir.models.training.answer import Answered, Fitted, question_f1, questions_of
from mailweir.models.training.calibrate import fit_spec
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.data.augment import KINDS, augmented
from mailweir.models.training.examples import Epoch, Examples, Score
from mailweir.models.training.heads import Mask, Question, Strength, add, fit_words
from mailweir.models.training.learned import keep
from mailweir.models.training.network import Network
from mailweir.models.training.prepare import Prepared, quantized, row_input
from mailweir.models.training.public import PublicRow
from mailweir.models.training.split import Run
from mailweir.models.training.start import Start
from mailweir.models.training.tags import tag_targets
from mailweir.models.training.tune import Tuner
from mailweir.models.training.tuning import Tuning
from mailweir.models.training.watch import Watch
from mailweir.schemas.errors import InputError
from mailweir.schemas.taxonomy import installed_taxonomy


def answer_tuned(
    run: Run, ready: Prepared, public: Sequence[PublicRow], checkpoints: Path | None, start: Start | None = None
) -> Fitted:
    """Tune on the fitting authors and `public`, choose and calibrate on the validation authors.

    Raises:
        InputError: none of the rows is by a validation author, the checkpoint belongs to another run, or `start` has another shape.
    """
    tuning = run.recipe.tuning
    if tuning is None or not run.split.validating.any():
        wanted = ", ".join(run.recipe.validation)
        raise InputError(f"fine-tuning chooses by validation authors, and no row is by one of: {wanted}")
    questions, names = questions_of(run), tags_of(run)
    network, history = _tune(run, ready, examples_of(run, ready, public), (tuning, checkpoints, start))
    encoder = network.merged(ready.encoder)
    form = quantized(encoder, run, ready)
    dense = _heads(network, questions, ready.words.shape[1])
    tagger, told = _tagger(network, names) if names else None, tuple(asdict(epoch) for epoch in history)
    plain = Fitted(encoder, form, (), tagger, told, keep(network))
    served = _served(plain, dense, ready, run)
    return replace(
        plain, answered=tuple(_answer(q, h, served[q.name], run, ready) for q, h in zip(questions, dense, strict=True))
    )


def tags_of(run: Run) -> tuple[str, ...]:
    """Names of the tags of a token; none for a taxonomy without entities."""
    types = tuple(installed_taxonomy(run.recipe.name, 1).entities)
    return tag_names(types) if types else ()


def examples_of(
    run: Run, ready: Prepared, public: Sequence[PublicRow], only: NDArray[np.int64] | None = None
) -> Examples:
    """The rows of the run, other forms of those that may be fitted on, then the public ones; a curriculum always takes these.

    `only` are the places of the rows that take part, None for all.
    """
    questions, names = questions_of(run), tags_of(run)
    taken = np.arange(len(run.rows)) if only is None else only
    forms = forms_of(run, taken)
    origins = np.array([*taken, *(origin for origin, _ in forms)])
    inputs = [*(ready.inputs[row] for row in taken), *(row_input(form) for _, form in forms)]
    tokens = [*(ready.tokens[row] for row in taken), *(ready.read(given) for given in inputs[len(taken) :])]
    rows = [*(run.rows[row] for row in taken), *(form for _, form in forms)]
    tags = [
        tag_targets(given.written, read.encoding.offsets, row.marks, names)[: len(read)]
        if names and row.marks is not None
        else None
        for row, given, read in zip(rows, inputs, tokens, strict=True)
    ]
    mails = [*(read.ids for read in tokens), *(ready.read(row.given).ids for row in public)]
    late = np.concatenate([_rank(run.split.fitting)[origins], np.zeros(len(public))])
    widened = [_widened(question.only(origins), public) for question in questions]
    return Examples(mails, widened, [*tags, *(None for _ in public)], late)


def forms_of(run: Run, taken: NDArray[np.int64] | None = None) -> list[tuple[int, MailRow]]:
    """Other forms of a share of the rows that may be fitted on (of those `taken`), and which row each is of.

    By `Tuning.augment` and the recipe's seed.
    """
    share = run.recipe.tuning.augment if run.recipe.tuning else 0.0
    fitting = np.flatnonzero(run.split.fitting) if taken is None else taken[run.split.fitting[taken]]
    draw = np.random.default_rng(run.recipe.seed)
    chosen = np.sort(draw.permutation(fitting)[: round(share * len(fitting))])
    chance = Random(run.recipe.seed)  # noqa: S311  # no secret
    made = ((int(row), augmented(run.rows[row], tuple(KINDS), chance)) for row in chosen)
    return [(row, other[1]) for row, other in made if other]


def _rank(rows: Mask) -> NDArray[np.float64]:
    """Place of each among `rows`, from 0 to 1."""
    return np.asarray(np.cumsum(rows) / max(1, int(rows.sum())), np.float64)


def _widened(question: Question, public: Sequence[PublicRow]) -> Question:
    """The question with the public rows: the labels that each allows, unknown where it says nothing."""
    if not public:
        return question
    allowed = np.array([[n in row.allowed.get(question.name, ()) for n in question.labels] for row in public], np.int64)
    known = np.array([question.name in row.allowed for row in public])
    return replace(
        question, answers=np.concatenate([question.answers, allowed]), known=np.concatenate([question.known, known])
    )


def score_of(run: Run) -> Score:
    """The mean F1 of the heads from the logits of the validation rows, in their order."""
    questions, held = questions_of(run), np.flatnonzero(run.split.validating)

    def score(logits: Floats) -> float:
        table = np.full((len(run.rows), logits.shape[1]), np.nan, np.float32)
        table[held] = logits
        return float(np.mean(list(_scores(questions, table, run).values())))

    return score


def _tune(
    run: Run, ready: Prepared, examples: Examples, options: tuple[Tuning, Path | None, Start | None]
) -> tuple[Network, list[Epoch]]:
    tuning, checkpoints, start = options
    more = len(examples.mails) - len(run.rows)
    fitting = np.concatenate([run.split.fitting, np.ones(more, bool)])
    validating = np.concatenate([run.split.validating, np.zeros(more, bool)])
    tuner = Tuner(ready.encoder, examples, len(tags_of(run)), tuning, checkpoints, start)
    for line in tuner.plan():
        run.steps.say(line)
    watch = Watch(run, tuning, checkpoints)
    total = int(fitting.sum()) * (tuning.heads_epochs + tuning.epochs)
    with run.steps.step("fine-tuning", total) as advance:

        def tell(mails: int, loss: float) -> None:
            advance(mails)
            run.steps.loss(loss)
            watch.see(tuner.history)

        network = tuner.fit(fitting, validating, score_of(run), tell)
    watch.end(tuner.history)
    return network.to("cpu"), tuner.history


def _scores(questions: Sequence[Question], table: Floats, run: Run) -> Mapping[str, float]:
    found, at = {}, 0
    for question in questions:
        width = len(question.labels)
        found[question.name] = question_f1(question, run.split.validating, table[:, at : at + width])
        at += width
    return found


def _heads(network: Network, questions: Sequence[Question], seen: int) -> list[LinearHead]:
    kernel, bias = (network.answer.weight / network.spread).detach().numpy().T, network.answer.bias.detach().numpy()
    queries, centre = network.queries.detach().numpy(), network.centre.numpy().copy()
    found, at = [], 0
    for place, question in enumerate(questions):
        part = slice(at, at := at + len(question.labels))
        lexicon = np.zeros((seen, len(question.labels)), np.float32)
        parts = (kernel[:, part].copy(), bias[part].copy(), centre, lexicon, queries[place].copy())
        found.append(LinearHead(question.name, question.labels, *parts))
    return found


def _tagger(network: Network, names: tuple[str, ...]) -> Tagger:
    weight = (network.tagger.weight / network.token_spread).detach()
    bias = network.tagger.bias.detach() - weight @ network.token_centre
    return Tagger(names, Affine(np.ascontiguousarray(weight.numpy().T), bias.numpy().copy()))


def _served(fitted: Fitted, heads: Sequence[LinearHead], ready: Prepared, run: Run) -> dict[str, Floats]:
    """Per head (rows, labels): what the int8 graph without words says of the validation rows; NaN elsewhere."""
    held = np.flatnonzero(run.split.validating)
    tables = {head.name: np.full((len(run.rows), len(head.labels)), np.nan, np.float32) for head in heads}
    with tempfile.TemporaryDirectory() as folder:
        write_classifier(Path(folder) / "served.onnx", fitted.encoder, heads, fitted.form)
        graph = Graph(Path(folder) / "served.onnx", ready.vocabulary.padding)
    for ran in graph.run([ready.tokens[row].ids for row in held], list(tables)):
        for table, values in zip(tables.values(), ran.outputs, strict=True):
            table[held[list(ran.rows)]] = values
    return tables


def _answer(question: Question, dense: LinearHead, served: Floats, run: Run, ready: Prepared) -> Answered:
    """The head with the words that help on the validation authors, calibrated on what the two say together."""
    tried: list[tuple[float, Floats, Strength, LinearHead]] = []
    for balanced in (False, True) if question.kind == "one" else (False,):
        strength = Strength(0.0, balanced)
        lexical = fit_words(question, ready.words, len(dense.centre), run.split.fitting, strength)
        said = ready.words @ lexical.lexicon + lexical.bias
        for weight in run.recipe.words:
            both = np.asarray(served + weight * said, np.float32)
            head = add(dense, lexical, weight) if weight else dense
            reached = question_f1(question, run.split.validating, both)
            tried.append((reached, both, replace(strength, words=weight), head))
    _, logits, strength, head = max(tried, key=lambda one: one[0])
    spec = fit_spec(question, logits, run.recipe.targets.get(question.name, 0.0))
    return Answered(question, head, spec, strength, logits)
