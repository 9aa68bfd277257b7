"""`mailweir feedback accuracy` on the real broker: decisions and questions from their topics, verdicts from a ledger."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asked import question
from command import mailweir
from factories import settings
from loop import decided, mail, on, row
from unlearning import keep

from mailweir.schemas.events import Coordinates, Correction, HeadDecision, utc_now
from mailweir.services.broker import KafkaCluster
from mailweir.services.cli.accuracy import table_since
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

pytestmark = pytest.mark.kafka


async def test_estimated_and_realised_stand_side_by_side(kafka: KafkaCluster, tmp_path: Path) -> None:
    """Ten decisions of .9, one twice; four drawn by lot, of which one is called wrong; a correction that nobody asked for."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    place: dict[str, Any] = {"kafka_bootstrap": kafka.bootstrap, "topic_prefix": prefix, "ledger": str(tmp_path)}
    known = settings(**place)
    await apply(known, partitions=1)
    heads = {"category": HeadDecision(label="work", probability=0.9, abstained=False)}
    at = Coordinates(topic=f"{prefix}.parsed", partition=0, offset=0)
    decisions = [decided(mail(number), at, heads=heads) for number in range(10)]
    asked = [question(0, decision_id=one.decision_id, why="random", chance=0.2) for one in decisions[:4]]
    sink = KafkaBus(known).sink()
    await sink.start()
    rubbish = [Outgoing(f"{prefix}.{topic}", b"k", b"{") for topic in ("classified", "review")]
    questions = [Outgoing(f"{prefix}.review", one.email_id.encode(), one.encode()) for one in asked]
    await sink.send([*(on(f"{prefix}.classified", one) for one in [*decisions, decisions[0]]), *questions, *rubbish])
    await sink.stop()
    labels = ["finance", "work", "work", "work", "finance"]
    keep(
        tmp_path,
        [
            row(number, f"u-{number}", decision_id=one.decision_id, corrected={"heads": {"category": Correction(label=label)}})
            for number, (one, label) in enumerate(zip(decisions, labels, strict=False))
        ],
    )  # fmt: skip
    done = await asyncio.to_thread(mailweir, "feedback", "accuracy", "--since", "1h", "--json", **place)
    assert done.code == 0, done.err
    [told] = done.rows()
    assert (told["head"], told["decisions"], told["estimated"]) == ("category", 10, 0.9)
    assert (told["verdicts"], told["realised"], told["error"]) == (4, 0.75, 0.15)
    assert (told["said"], told["at_most"]) == (5, 0.8)
    assert told["low"] < 0.75 < told["high"]
    shown = await asyncio.to_thread(mailweir, "feedback", "accuracy", **place)
    assert {"category", "0.900", "0.750", "+0.150", "0.800"} <= set(shown.out.splitlines()[1].split())
    assert await table_since(known, utc_now() + timedelta(hours=1)) == []
