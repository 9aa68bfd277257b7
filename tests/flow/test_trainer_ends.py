"""How a run ends that cannot teach: shards that changed or are gone, nothing admitted, another corpus."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from lessons import (
    asked,
    category_only,
    champion_of,
    run_once,
    said,
    shard_of,
)
from trained import place

from mailweir.schemas.errors import InputError
from mailweir.services.trainer.job import run_job


def test_a_changed_shard_ends_the_run_as_failed(tiny: Path, corpus: Path, tmp_path: Path) -> None:
    """It says which file; the champion stays, and the next run is free to begin."""
    found = place(tmp_path, tiny, corpus, rows=4)
    path = Path(found.shards[1].uri.removeprefix("file://"))
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    run_job(found.settings, lambda: found.bus, None)
    [end] = found.ends()
    assert (end.outcome, end.candidate, end.setup_failed) == ("failed", None, False)
    assert "its hash differs" in end.reasons[0]
    assert path.name in end.reasons[0]
    assert champion_of(found.registry) == found.champion


def test_a_shard_that_is_gone_or_was_never_announced_ends_the_run_as_failed(
    tiny: Path, corpus: Path, tmp_path: Path
) -> None:
    """Without Kafka as well: the end is what would be told."""
    found = place(tmp_path, tiny, corpus, rows=4)
    end = run_once(found.settings, found.request, found.shards[:1])
    assert "not on the topic of shards" in end.reasons[0]
    other = found.request.model_copy(update={"run_id": "1" * 64})
    Path(found.shards[0].uri.removeprefix("file://")).unlink()
    assert "is gone" in run_once(found.settings, other, found.shards).reasons[0]
    assert run_once(found.settings, found.request, found.shards) == end


def test_where_nothing_is_admitted_nothing_is_trained(tiny: Path, corpus: Path, tmp_path: Path) -> None:
    """Two people contradict each other about every mail: refused, with where to look."""
    found = place(tmp_path, tiny, corpus, rows=2)
    rows = [category_only(said(0)), category_only(said(0, person="q", offset=9, feedback_id="a" * 64))]
    label = rows[1].corrected.heads["category"].model_copy(update={"label": "spam"})
    rows[1] = rows[1].model_copy(
        update={"corrected": rows[1].corrected.model_copy(update={"heads": {"category": label}})}
    )
    shard = shard_of(tmp_path, rows)
    end = run_once(found.settings, asked(found.champion, shard), (shard,))
    assert end.outcome == "refused"
    assert "admission refused all (2 labels)" in end.reasons[0]


def test_another_corpus_than_the_run_began_with_is_refused(tiny: Path, corpus: Path, tmp_path: Path) -> None:
    """Nothing is decided: it can be put back."""
    found = place(tmp_path, tiny, corpus, rows=4)
    first = found.folder
    first.mkdir(parents=True)
    plan = {"run_id": found.request.run_id, "champion": found.champion.model_dump(), "corpus_sha256": "0", "code": "x"}
    (first / "plan.json").write_bytes(orjson.dumps(plan))
    with pytest.raises(InputError, match="the corpus is not the one that the run began with"):
        run_once(found.settings, found.request, found.shards)
    assert not (first / "end.json").exists()
