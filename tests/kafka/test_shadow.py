"""On the real broker: a shadow scores onto its own topic, and the command says where the two differ and who was right."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from bundles import promote, version_of
from command import mailweir
from factories import settings, until

from mailweir.models.registry import Registry
from mailweir.schemas.events import Correction, Decision, Email, Feedback, ModelRef, utc_now
from mailweir.schemas.ids import digest
from mailweir.schemas.topics import CLASSIFIED, SHADOW
from mailweir.services.app import Host
from mailweir.services.broker import KafkaCluster
from mailweir.services.classify.agent import register
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.stream.tail import Tail
from mailweir.services.topics import apply

pytestmark = pytest.mark.kafka

MAILS = 12


def _registry(folder: Path, tiny: Path) -> Registry:
    """A champion, and a shadow whose categories stand in another order: it says another one of every mail."""
    heads = json.loads((tiny / "manifest.json").read_bytes())["heads"]
    labels = heads["category"]["labels"]
    heads["category"]["labels"] = labels[1:] + labels[:1]
    registry = Registry(folder / "registry")
    registry.add(version_of(tiny, folder, "1.a"))
    registry.add(version_of(tiny, folder, "1.b", heads=heads))
    promote(registry, "1.a")
    registry.set_shadow(ModelRef(name="email", version="1.b"), share=1.0, by="ann")
    return registry


async def _decided(known: Settings, registry: Registry) -> None:
    """Every mail by both."""
    host = Host(known, KafkaBus(known))
    register(host)
    await host.start()
    sink = KafkaBus(known).sink()
    await sink.start()
    shadow = lambda metric, **labels: host.metrics.registry.get_sample_value(metric, labels) or 0  # noqa: E731
    try:
        await until(lambda: shadow("mailweir_shadow_info", name="email", version="1.b") == 1, 60)
        emails = [
            Email(email_id=digest("m", str(n)), mailbox="sales", subject="Order", body=f"ship {n}")
            for n in range(MAILS)
        ]
        name = known.topic_name("parsed")
        await sink.send([Outgoing(name, email.email_id.encode(), email.encode()) for email in emails])
        await until(lambda: shadow("mailweir_shadow_decisions_total", version="1.b") == MAILS, 60)
    finally:
        await asyncio.gather(host.stop(), sink.stop())


async def _on(known: Settings, name: str) -> dict[str, Decision]:
    topic = SHADOW if name == SHADOW.name else CLASSIFIED
    async with Tail(known, topic) as tail:
        found = [Decision.decode(record.value) async for record in tail.since(0)]
    assert len(found) == MAILS
    return {decision.email_id: decision for decision in found}


async def _say(known: Settings, heard: dict[str, Decision], right: dict[str, str]) -> None:
    """Somebody corrects these mails."""
    sink = KafkaBus(known).sink()
    await sink.start()
    words = []
    for email, label in right.items():
        made = heard[email]
        word = Feedback(
            **{name: getattr(made, name) for name in ("decision_id", "email_id", "source", "model", "taxonomy")},
            heads={"category": Correction(label=label)},
            person="u-1",
            origin="human",
            given_at=utc_now() + timedelta(seconds=1),
        )
        words.append(Outgoing(known.topic_name("feedback"), email.encode(), word.encode()))
    await sink.send(words)
    await sink.stop()


async def test_what_the_shadow_said_is_compared_with_the_champion_and_with_people(
    tmp_path: Path, kafka: KafkaCluster, tiny: Path
) -> None:
    """Each mail once on either topic, other categories and the same rest; people side with the shadow on three, once against it."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    registry = _registry(tmp_path, tiny)
    place = {"kafka_bootstrap": kafka.bootstrap, "topic_prefix": prefix, "registry": str(registry.root)}
    known = settings(**place, group_prefix=prefix, registry_poll_ms=100)
    await apply(known, partitions=2)
    none = await asyncio.to_thread(mailweir, "models", "diff", **place)
    assert none.code == 2
    assert "no mail of the last 7 days has decisions of both" in none.err
    await _decided(known, registry)
    heard, shadow = await _on(known, CLASSIFIED.name), await _on(known, SHADOW.name)
    assert heard.keys() == shadow.keys()
    right = {email: shadow[email].heads["category"].label for email in sorted(heard)[:3]}
    right |= {email: heard[email].heads["category"].label for email in sorted(heard)[3:4]}
    await _say(known, heard, right)
    done = await asyncio.to_thread(mailweir, "models", "diff", "--json", **place)
    assert done.code == 1, done.err
    [found] = done.rows()
    assert (found["champion"], found["shadow"]) == ("1.a", "1.b")
    assert (found["mails"], found["differ"], found["alone"]) == (MAILS, MAILS, 0)
    category = found["heads"].pop("category")
    assert (category["same"], sum(pair["mails"] for pair in category["pairs"])) == (0, MAILS)
    judged = [category[name] for name in ("judged", "shadow_right", "champion_right", "both_right", "both_wrong")]
    assert judged == [4, 3, 1, 0, 0]
    assert category["p"] == pytest.approx(0.625)
    assert {head["same"] for head in found["heads"].values()} == {MAILS}
    table = await asyncio.to_thread(mailweir, "models", "diff", "champion", "1.b", **place)
    assert table.code == 1
    assert "12 of 12 mails differ between 1.a and 1.b" in table.out
    assert "by what people said" in table.out
