"""`mailweir retrain run` on a real broker: killed and started again it comes to one end, which everybody can read."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from command import mailweir, running
from factories import settings
from fleet import read_all
from lessons import TEST_AUTHOR, asked, category_only, champion_of, said, serving, shard_of, small_corpus
from shards import record

from mailweir.schemas.events import RetrainFinished
from mailweir.services.broker import KafkaCluster
from mailweir.services.stream import KafkaBus
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

_PATIENCE_S = 300


def _wait_for(path: Path) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)


async def test_killed_and_started_again_it_tells_one_end(tmp_path: Path, broker: KafkaCluster, tiny: Path) -> None:
    """A holdout of forty mails is too small to judge by: refused, with the reason; the champion stays."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    corpus, registry = small_corpus(tmp_path / "corpus"), serving(tmp_path, tiny)
    holdout = tmp_path / "holdout.jsonl"
    holdout.write_bytes(b"\n".join((corpus / f"{TEST_AUTHOR}.jsonl").read_bytes().splitlines()[:40]))
    where = {
        "kafka_bootstrap": broker.bootstrap,
        "registry": str(registry.root),
        "ledger": str(tmp_path),
        "trainer_dir": str(tmp_path / "runs"),
        "trainer_corpus": str(corpus),
        "trainer_holdout": str(holdout),
        "metrics_port": "0",
    }
    none = mailweir("retrain", "run", "--latest", **where)
    assert (none.code, "no run is open" in none.err) == (2, True)
    unnamed = mailweir("retrain", "run", **where)
    assert (unnamed.code, "or --latest" in unnamed.err) == (2, True)
    champion, shard = champion_of(registry), shard_of(tmp_path, [category_only(said(number)) for number in range(60)])
    request = asked(champion, shard)
    sink = KafkaBus(known).sink()
    await sink.start()
    await sink.send([record(shard), record(request)])
    await sink.stop()
    with running("retrain", "run", "--latest", **where) as process:
        _wait_for(tmp_path / "runs" / request.run_id / "admission.json")
        process.send_signal(signal.SIGSTOP)  # else it may be done before the other one has begun
        held = mailweir("retrain", "run", "--latest", **where)
        assert (held.code, "another process" in held.err) == (3, True)
        process.kill()
    ran = mailweir("retrain", "run", "--latest", "--json", seconds=_PATIENCE_S, **where)
    assert ran.code == 1, ran.err
    end = RetrainFinished.decode(ran.out.encode())
    assert (end.run_id, end.outcome) == (request.run_id, "refused")
    assert end.candidate
    assert "the holdout has 40, at least 100 are needed" in end.reasons[0]
    assert "words of" in ran.err  # the admission report, as a table
    assert "metrics http://127.0.0.1:" in ran.err
    again = mailweir("retrain", "run", request.run_id[:10], "--json", **where)
    assert (again.code, json.loads(again.out)) == (1, json.loads(ran.out))
    told = [
        RetrainFinished.decode(v) for _, v, h in await read_all(known, "mail.retrain") if b"finished" in h["ce_type"]
    ]
    assert told == [end]
    assert await read_all(known, "mail.models") == []
    assert champion_of(registry) == champion
