"""Fine-tuning: adapters, phases, checkpoints, and a bundle with a tagger, all on a tiny network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from token_mails import examples

from mailweir.models.export.encoder import POOLED, write_classifier
from mailweir.models.export.weights import Encoder
from mailweir.models.runtime import Bundle, decide
from mailweir.models.runtime.graph import Graph
from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.network import Network, pad_rows
from mailweir.models.training.prepare import row_input
from mailweir.models.training.public import load_public
from mailweir.models.training.tiny import TINY, random_encoder, tiny_base
from mailweir.models.training.train import Given, train_bundle
from mailweir.models.training.tune import Tuner
from mailweir.models.training.tuning import Adapters, Tuning
from mailweir.schemas.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = Tuning(Adapters(rank=2, alpha=4, frozen=1), heads_epochs=1, epochs=3, batch=8, decay=0.5)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return random_encoder(words=60, positions=24, layers=3)


def tuner(encoder: Encoder, folder: Path | None, tuning: Tuning = SHORT) -> Tuner:
    return Tuner(encoder, examples(), 3, tuning, folder)


def fit(one: Tuner) -> Network:
    held = np.arange(48) % 4 == 0
    return one.fit(~held, held, lambda logits: float(np.isfinite(logits).mean()), lambda *_: None)


def weights(network: Network) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in [*network.trained(), *network.fresh()]]).numpy()


def test_merged_adapters_are_the_adapted_network(tmp_path: Path, encoder: Encoder) -> None:
    """The exported graph of the merged matrices gives the vectors of the network with its adapters beside them."""
    network = Network(encoder, examples().questions, 3, Adapters(rank=2, frozen=1)).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.trained():
            parameter.normal_(0, 0.2)
    mails = examples().mails[:6]
    write_classifier(tmp_path / "m.onnx", network.merged(encoder), ())
    write_classifier(tmp_path / "before.onnx", encoder, ())
    graph, before = (Graph(tmp_path / name, padding=1).table(mails, POOLED) for name in ("m.onnx", "before.onnx"))
    ids, mask = pad_rows(mails, 1)
    with torch.no_grad():
        tokens = network.upper(network.lower(ids, mask), mask)
    ours = ((tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).numpy()
    np.testing.assert_allclose(graph, ours, atol=1e-4)
    assert np.abs(before - ours).max() > 0.01


def test_learning_lowers_the_loss(encoder: Encoder) -> None:
    """Adapters and heads learn what the first token says."""
    one = tuner(encoder, None, replace(SHORT, epochs=12, patience=12, adapters_rate=5e-3, heads_rate=1e-2))
    fit(one)
    losses = [epoch.loss for epoch in one.history if epoch.phase == "adapters"]
    assert losses[-1] < 0.7 * losses[0]


def test_only_upper_layers_and_heads_change(encoder: Encoder) -> None:
    """Frozen layers come out as they went in, adapted ones do not."""
    merged = fit(tuner(encoder, None)).merged(encoder)
    assert merged.layers[0] is encoder.layers[0]
    assert np.abs(merged.layers[2].up.kernel - encoder.layers[2].up.kernel).max() > 0


def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path, encoder: Encoder) -> None:
    """Killed after the second epoch and started again: not a bit differs from a run in one go."""

    class Killed(Exception):
        pass

    def kill(*_: float) -> None:
        if len([epoch for epoch in cut.history if epoch.phase == "adapters"]) == 2:
            raise Killed

    whole = fit(tuner(encoder, tmp_path / "whole"))
    cut = tuner(encoder, tmp_path / "cut")
    held = np.arange(48) % 4 == 0
    with pytest.raises(Killed):
        cut.fit(~held, held, lambda _: 1.0, kill)
    again = tuner(encoder, tmp_path / "cut")
    resumed = fit(again)
    assert [epoch.number for epoch in again.history if epoch.phase == "adapters"] == [0, 1, 2]
    np.testing.assert_array_equal(weights(resumed), weights(whole))


def test_it_stops_when_nothing_is_gained(encoder: Encoder) -> None:
    """The best epoch's weights are kept, not the last one's."""
    one = tuner(encoder, None, replace(SHORT, epochs=9, patience=2))
    scores = iter([0.5, 0.7, 0.6, 0.6, 0.9])
    held = np.arange(48) % 4 == 0
    one.fit(~held, held, lambda _: next(scores), lambda *_: None)
    assert [epoch.score for epoch in one.history if epoch.phase == "adapters"] == [0.5, 0.7, 0.6, 0.6]


def test_a_broken_checkpoint_is_named(tmp_path: Path, encoder: Encoder) -> None:
    """The message says which file and what to do; so does one of another run."""
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    with pytest.raises(InputError, match=r"checkpoint\.pt is no checkpoint .* delete it"):
        fit(tuner(encoder, tmp_path))
    (tmp_path / "checkpoint.pt").unlink()
    fit(tuner(encoder, tmp_path))
    with pytest.raises(InputError, match="belongs to a run with other data or options"):
        fit(tuner(encoder, tmp_path, replace(SHORT, seed=8)))


def test_neighbours_and_padding_change_nothing(encoder: Encoder) -> None:
    """A mail has the same logits alone and in a padded batch."""
    one = tuner(encoder, None)
    network = fit(one)
    mails = examples().mails[:5]
    ids, mask = pad_rows(mails, 1)
    with torch.no_grad():
        together, _ = network.judge(network.upper(network.lower(ids, mask), mask), mask)
        alone = []
        for mail in mails:
            ids, mask = pad_rows([mail], 1)
            alone.append(network.judge(network.upper(network.lower(ids, mask), mask), mask)[0][0])
    np.testing.assert_allclose(together.numpy(), torch.stack(alone).numpy(), atol=1e-5)


@pytest.fixture(scope="module")
def rows() -> list[MailRow]:
    return [row for row in load_mails() if row.author in {"ada", "cleo", "dov", "ebru", "iris", "sam"}][::3]


def test_a_tuned_bundle_tags_entities(tmp_path: Path, rows: list[MailRow]) -> None:
    """From rows and public collections to a bundle that loads, decides and finds what the tagger tagged."""
    (tmp_path / "lingspam.jsonl").write_text(
        "".join(
            f'{{"id": "{n}", "subject": "s{n}", "body": "buy now {n}", "labels": {{"spam": "{kind}"}}}}\n'
            for n, kind in enumerate(["spam", "ham"] * 5)
        )
    )
    recipe = replace(TINY, tuning=replace(SHORT, epochs=2), validation=("sam",))
    given = Given(tiny_base(rows), load_public(tmp_path, 1), tmp_path / "checkpoints", quiet=True)
    manifest = train_bundle(tmp_path / "bundle", rows, recipe, given)
    assert manifest.tags is not None
    assert manifest.data["public"] == {"lingspam": 10}
    assert manifest.data["chosen_and_calibrated_on"] == ["sam"]
    bundle = Bundle.load(tmp_path / "bundle")
    scores = bundle.classify([row_input(row) for row in rows[:20]])
    assert len({decide(score, manifest, "en").heads["category"].label for score in scores}) >= 1
    assert set(manifest.tags.thresholds) <= {name[2:] for name in manifest.tags.names if name != "O"}


def test_tuning_without_a_validation_author_is_refused(tmp_path: Path, rows: list[MailRow]) -> None:
    """The message names the authors that were looked for."""
    recipe = replace(TINY, tuning=SHORT, validation=("nobody",))
    with pytest.raises(InputError, match="by one of: nobody"):
        train_bundle(tmp_path / "b", rows, recipe, Given(tiny_base(rows), quiet=True))


def test_a_folder_without_collections_is_refused(tmp_path: Path) -> None:
    """The message names the collections that are known, a broken line its file and number."""
    with pytest.raises(InputError, match="holds none of spamassassin, enron_spam"):
        load_public(tmp_path, 1)
    (tmp_path / "lingspam.jsonl").write_text('{"body": "", "labels": {}}\n{\n')
    with pytest.raises(InputError, match="lingspam:2: no JSON object"):
        load_public(tmp_path, 1)
