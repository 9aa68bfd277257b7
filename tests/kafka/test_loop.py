"""The whole loop on the real broker: mails, decisions, corrections, shards, trigger, trainer, gate, promotion, swap, rollback."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import settings
from fleet import read_all

from mailweir.models.registry import Registry
from mailweir.schemas.events import Decision, ModelPromoted, RetrainFinished
from mailweir.services.broker import KafkaCluster
from mailweir.services.cli.loop import LoopWalk

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


async def test_corrections_teach_a_confusion_away_and_all_of_it_can_be_undone(
    tmp_path: Path, broker: KafkaCluster
) -> None:
    """Nobody touches a server: 300 words, a candidate that the gate lets pass, both workers, better answers, and back."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    found = await LoopWalk(known, tmp_path, tmp_path / "logs", print).run(lambda _: None)
    print(f"seconds by step: {found.seconds}")
    assert (found.words, found.outcome, found.reasons) == (300, "promoted", ())
    assert found.wrong > 150
    assert found.shards >= 2
    assert found.workers_swapped == 2
    assert found.after > found.before + 30  # of 150 mails that nobody said anything about
    assert found.others_after >= found.others_before  # old skills stay
    assert (found.redecided, found.superseding) == (300, 300)

    topics = known.model_copy(update={"topic_prefix": "loop"})
    assert await read_all(topics, "loop.dead") == []
    decided = [Decision.decode(value) for _, value, _ in await read_all(topics, "loop.classified")]
    assert len(decided) == 600 + 300 + 300  # the champion's, the better one's of half of them, and these once more
    assert len({one.decision_id for one in decided}) == 600 + 300  # whoever decides a mail again says the same
    ends = [
        RetrainFinished.decode(value)
        for _, value, headers in await read_all(topics, "loop.retrain")
        if b"finished" in headers["ce_type"]
    ]
    assert [(end.run_id, end.outcome) for end in ends] == [(found.run_id, "promoted")]
    promoted = [ModelPromoted.decode(value) for _, value, _ in await read_all(topics, "loop.models")]
    assert [one.model.version for one in promoted] == [found.second]
    history = Registry(tmp_path / "registry").history("email")
    assert [(one.action, one.model.version) for one in history] == [
        ("promoted", found.first),
        ("promoted", found.second),
        ("rolled_back", found.first),
    ]
