"""Training sets by recipe: weights by hand, order, held-out rows untouched, errors that name file, key and remedy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.data import BuildRecipe, build, read_recipe, write_rows
from mailweir.models.training.data.build import HELD_OUT
from mailweir.models.training.data.difficulty import bundle_difficulty, word_difficulty
from mailweir.models.training.data.recipe import Balance, Weak
from mailweir.models.training.data.weights import balance_weights, row_weights, weak_slices
from mailweir.schemas.errors import InputError

LABELS: dict[str, Any] = {
    "category": "work",
    "intent": "order_status",
    "action": "reply_later",
    "priority": "normal",
    "workflow_state": "progress",
    "next_actions": ["track_shipment"],
}


def mail(row_id: str, body: str = "where are the pallets that were promised", /, **fields: Any) -> MailRow:
    made = {"id": row_id, "author": row_id.partition("-")[0], "language": "en", "subject": "", "from": "a@b.example"}
    rest = {"to": [], "date": "2026-03-02T09:14:00+00:00", "mailbox": "sales", "entities": [], "body": body}
    labels = LABELS | {name: fields.pop(name) for name in list(fields) if name in LABELS}
    return MailRow.model_validate(made | rest | {"labels": labels} | fields)


def recipe(folder: Path, text: str) -> BuildRecipe:
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    return read_recipe(folder / "recipe.toml")


def evaluation(folder: Path, f1: float = 0.4, right: int = 20, sources: Sequence[str] = ("jonas",)) -> Path:
    """As `mailweir evaluate --json` prints it, with more fields than are read."""
    label = {"f1": f1, "right": right, "given": 9, "precision": 0.5, "recall": 0.5}
    figures = {"language": {"en": {"rows": 30, "labels": {"forward": label}}}, "source": {name: {} for name in sources}}
    (folder / "eval.json").write_text(
        json.dumps({"schema": 1, "heads": {"action": {"kind": "one", "figures": figures}}})
    )
    return folder / "eval.json"


@pytest.fixture(scope="module")
def corpus() -> list[MailRow]:
    return load_mails()


def test_temperature_is_a_power_of_the_class_sizes() -> None:
    """1 leaves all as it is, 0 makes every class as large as the largest; unknown labels weigh 1."""
    labels = ["a"] * 16 + ["b"] * 4 + [None]
    for temperature, weight in ((1.0, 1.0), (0.5, 2.0), (0.0, 4.0)):
        found = balance_weights(labels, Balance(head="action", temperature=temperature))
        assert found[0] == found[-1] == 1
        assert found[16] == pytest.approx(weight)


def test_the_classes_of_the_set_have_the_sizes_that_the_recipe_says(corpus: list[MailRow]) -> None:
    """At temperature 0 the action classes differ by no more than chance; nobody's mail is lost."""
    built = build(corpus, BuildRecipe(balance=Balance(head="action", temperature=0), most=50))
    learned = [row for row in built.rows if row.author not in HELD_OUT]
    counts = Counter(row.label("action") for row in learned if row.label("action"))
    assert max(counts.values()) < 1.08 * min(counts.values())
    assert {row.id for row in corpus} <= {row.id for row in built.rows}
    assert built.copies == len(built.rows) - len(corpus)


def test_slices_multiply_and_are_capped(tmp_path: Path) -> None:
    """A label of a head with many answers counts where it is among them."""
    wanted = recipe(
        tmp_path,
        """
        most = 4
        [[slice]]
        head = "action"
        label = "forward"
        language = "tr"
        weight = 3
        [[slice]]
        head = "next_actions"
        label = "issue_rma"
        weight = 2
        """,
    )
    rows = [
        mail("ann-1", action="forward"),
        mail("ann-2", action="forward", language="tr"),
        mail("ann-3", next_actions=["track_shipment", "issue_rma"]),
        mail("ann-4", action="forward", language="tr", next_actions=["issue_rma"]),
    ]
    assert row_weights(rows, wanted).tolist() == [1, 3, 2, 4]


def test_a_slice_without_a_mail_is_refused(tmp_path: Path) -> None:
    """By a misspelt language, say: it would change nothing; the message names it."""
    wanted = recipe(tmp_path, '[[slice]]\nhead = "action"\nlabel = "forward"\nlanguage = "tur"\nweight = 3\n')
    with pytest.raises(
        InputError, match=r"slice\.0: no mail to learn from has action=forward in language tur: correct"
    ):
        row_weights([mail("ann-1", action="forward", language="tr")], wanted)


def test_weak_slices_come_from_an_evaluation(tmp_path: Path) -> None:
    """Half of the wanted F1 gives half of the weight above 1; enough F1 or too few mails give none."""
    weak = Weak(evaluation=evaluation(tmp_path, f1=0.4), below=0.8, weight=3)
    (found,) = weak_slices(weak)
    assert (found.head, found.label, found.language, found.weight) == ("action", "forward", "en", pytest.approx(2.0))
    evaluation(tmp_path, f1=0.8)
    assert weak_slices(weak) == []
    evaluation(tmp_path, right=7)
    assert weak_slices(weak) == []


def test_an_evaluation_on_the_test_authors_is_refused(tmp_path: Path) -> None:
    """Nothing is chosen on them, nor by what they show."""
    evaluation(tmp_path, sources=["jonas", "oya"])
    with pytest.raises(InputError, match="test authors oya: evaluate the validation authors"):
        weak_slices(Weak(evaluation=tmp_path / "eval.json"))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"heads": {"mood": {"figures": {"language": {"en": {"labels": {"x": {"f1": 0, "right": 1}}}}, "source": {}}}}}',
    ],
)
def test_a_file_that_is_no_evaluation_is_named(tmp_path: Path, text: str) -> None:
    """Broken, of another kind, of another taxonomy."""
    (tmp_path / "eval.json").write_text(text)
    with pytest.raises(InputError, match=r"weak\.evaluation .*eval\.json: not what `mailweir evaluate --json` prints"):
        weak_slices(Weak(evaluation=tmp_path / "eval.json"))


AUGMENT = '[augment]\nshare = 1.0\nkinds = ["quoting", "typos"]\n'


def test_held_out_mail_is_never_changed(corpus: list[MailRow], tmp_path: Path) -> None:
    """Rows of validation and test authors are there once, word for word, behind those that are learned from."""
    text = AUGMENT + '[balance]\nhead = "category"\ntemperature = 0.5\n'
    some = corpus[::7]
    built = build(some, recipe(tmp_path, text))
    held = [row for row in some if row.author in HELD_OUT]
    assert len(held) > 50
    assert list(built.rows[-len(held) :]) == held
    assert not {row.author for row in built.rows[: -len(held)]} & HELD_OUT
    assert built.forms.total() > len(some) - len(held)


def test_ids_are_unique_and_name_their_origin(tmp_path: Path) -> None:
    """A second form of the same kind is numbered."""
    wanted = recipe(tmp_path, AUGMENT + '[[slice]]\nhead = "category"\nlabel = "work"\nweight = 5\n')
    rows = build([mail("ann-1"), mail("sam-1")], wanted).rows
    ids = [row.id for row in rows]
    assert len(set(ids)) == len(ids) == 1 + 4 + 1 + 1
    assert {row.id.partition("+")[0] for row in rows} == {"ann-1", "sam-1"}
    assert {"ann-1+quoting", "ann-1+quoting2"} <= set(ids) or {"ann-1+typos", "ann-1+typos2"} <= set(ids)


def test_without_forms_a_repeat_is_a_copy() -> None:
    """The word for it is in the id."""
    wanted = BuildRecipe.model_validate({"slice": [{"head": "category", "label": "work", "weight": 3}]})
    assert [row.id for row in build([mail("ann-1")], wanted).rows] == ["ann-1", "ann-1+copy", "ann-1+copy2"]


def test_the_same_seed_gives_the_same_set(corpus: list[MailRow], tmp_path: Path) -> None:
    """Another seed another one."""
    some = corpus[::40]
    wanted = recipe(tmp_path, AUGMENT)
    assert build(some, wanted).rows == build(some, wanted).rows
    assert build(some, wanted).rows != build(some, recipe(tmp_path, "seed = 8\n" + AUGMENT)).rows


def test_what_is_odd_for_its_label_is_hard() -> None:
    """Two kinds of mail with the words of their kind, and one with the words of the other."""
    goods, pay = "the pallets and crates of the lorry", "the invoice and payment of the account"
    rows = [mail(f"{author}-{n}", goods) for author in ("ann", "bob") for n in range(6)]
    rows += [mail(f"{author}-p{n}", pay, intent="invoice_payment") for author in ("ann", "bob") for n in range(6)]
    rows.append(mail("bob-odd", goods, intent="invoice_payment"))
    losses = word_difficulty(rows)
    assert losses.argmax() == len(rows) - 1
    assert losses[:-1].max() < 0.5 * losses[-1]


def test_a_bundle_orders_by_its_own_loss(tmp_path: Path, tiny: Path, corpus: list[MailRow]) -> None:
    """The order of the set is that of the bundle's losses, easy first; a label that is unknown costs nothing."""
    (tmp_path / "tiny").symlink_to(tiny)
    some = [row for row in corpus if row.author not in HELD_OUT][::50]
    wanted = recipe(tmp_path, '[curriculum]\nby = "bundle"\nbundle = "tiny"\n')
    losses = dict(zip([row.id for row in some], bundle_difficulty(some, tmp_path / "tiny"), strict=True))
    ordered = [losses[row.id] for row in build(some, wanted).rows]
    assert ordered == sorted(ordered)
    assert ordered[0] < 0.7 * ordered[-1]
    blank = mail("ann-1", category=None, intent=None, action=None, priority=None, workflow_state=None)
    assert bundle_difficulty([blank], tmp_path / "tiny").tolist() == [0]


def test_the_set_is_a_corpus(tmp_path: Path, corpus: list[MailRow]) -> None:
    """What was written is read again, row by row; `train --corpus` takes it."""
    rows = build(corpus[::90], recipe(tmp_path, AUGMENT)).rows
    write_rows(tmp_path / "set.jsonl", rows)
    assert load_mails(tmp_path / "set.jsonl") == list(rows)
    assert [path.name for path in tmp_path.glob("set*")] == ["set.jsonl"]


def test_a_set_of_held_out_authors_alone_is_refused() -> None:
    """The message names them."""
    with pytest.raises(InputError, match=r"held-out author .*iris.*nothing is left"):
        build([mail("iris-1")], BuildRecipe())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "seeds = 1",
            "seeds: there is no such option: seed, most, balance, curriculum, slice, weak, augment are there",
        ),
        ("[augment]\nshare = 0.1\nkinds = []", "augment.kinds: Tuple should have at least 1 item"),
        ("[augment]\nshare = 2\nkinds = ['typos']", "augment.share: Input should be less than or equal to 1, not 2"),
        (
            "[augment]\nkinds = ['typo']\nshare = 0",
            "augment.kinds.0: Input should be 'typos', 'casing', 'quoting', 'html'",
        ),
        ("[augment]\nshare = 0.1", "augment.kinds: is missing: set it"),
        (
            "[balance]\nhead = 'next_actions'\ntemperature = 1",
            "balance.head: 'next_actions' is no head with one answer: name",
        ),
        ("[balance]\nhead = 'action'\ntemperatur = 1", "there is no such option: head, temperature are there"),
        (
            "[[slice]]\nhead = 'action'\nlabel = 'forwards'\nweight = 2",
            "slice.0: action=forwards is no label: reply_now",
        ),
        ("[[slice]]\nhead = 'mood'\nlabel = 'x'\nweight = 2", "slice.0: mood=x is no label: category, intent"),
        ("[curriculum]\nby = 'bundle'", 'by = "bundle" and bundle = "FOLDER" belong together'),
        ("most = 0", "most: Input should be greater than or equal to 1, not 0"),
        ("most = ", "no TOML"),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(tmp_path: Path, text: str, message: str) -> None:
    """File, key and what is allowed."""
    with pytest.raises(InputError) as caught:
        recipe(tmp_path, text)
    assert str(tmp_path / "recipe.toml") in caught.value.message
    assert message in caught.value.message


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    """And so is an evaluation that it names, as seen from the recipe."""
    with pytest.raises(InputError, match=r"none\.toml: No such file"):
        read_recipe(tmp_path / "none.toml")
    wanted = recipe(tmp_path, '[weak]\nevaluation = "none.json"\n')
    with pytest.raises(InputError, match=rf"weak\.evaluation {tmp_path}/none\.json: No such file"):
        build([mail("ann-1")], wanted)


def test_difficulties_are_numbers(corpus: list[MailRow]) -> None:
    """Of every mail, also of those that only one author has a label of."""
    losses = word_difficulty(corpus[::20])
    assert np.isfinite(losses).all()
    assert losses.std() > 0.1
