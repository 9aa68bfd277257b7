"""The retrain agent demotes a champion on trial: told everywhere, done once, and never to nothing or to what is broken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from bundles import promote, stocked
from factories import hosted, memory_bus, settings, until, value
from shards import file_shard, record, said, shard

from mailweir.models.registry import Registry
from mailweir.schemas.errors import ChampionChanged
from mailweir.schemas.events import ModelPromoted, ModelRef, ShardClosed, utc_now
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus
from mailweir.services.retrain.agent import register
from mailweir.services.retrain.counts import Said, ShardCounts, Tally
from mailweir.services.retrain.shards import counter_of
from mailweir.services.telemetry import configure_logging


def count(closed: ShardClosed) -> ShardCounts:
    """Shard 1 is about the version before, the others about the champion, of whose verdicts six in ten are against it."""
    number = int(closed.shard_id[-8:])
    return said("1.a", 200, 20, utc_now()) if number == 1 else said("1.b", 30, 18, utc_now())


@asynccontextmanager
async def watched(bus: MemoryBus, registry: Registry, **changes: Any) -> AsyncIterator[Host]:
    """A worker with the retrain agent, and four shards."""
    host = Host(settings(registry=registry.root, retrain_look_seconds=0.05, **changes), bus)
    register(host, count)
    async with hosted(host):
        for number in range(1, 5):
            bus.write(record(shard(number)))
        yield host


def champion(registry: Registry) -> str:
    """Its version."""
    found = registry.champion("email")
    assert found
    return found.model.version


def rollbacks(host: Host, outcome: str) -> float:
    """How often."""
    return value(host, "mailweir_auto_rollbacks_total", outcome=outcome)


def judged(host: Host, times: int = 5) -> Callable[[], bool]:
    """Whether all shards were judged, and some looks came after them."""
    seen = []

    def enough() -> bool:
        seen.append(host.metrics.registry.get_sample_value("mailweir_retrain_refusals_total", {"reason": "few_labels"}))
        return host.stream.readers[0].progress.finished >= 4 and (seen[-1] or 0) >= times + 4

    return enough


async def test_disagreement_brings_the_version_before_back(tmp_path: Path, tiny: Path) -> None:
    """Pointer, history with the cause, event and metric; once, and the loop does not bring it back while a person may."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.z", "1.a", "1.b")
    for version in ("1.z", "1.a", "1.b"):
        promote(registry, version)
    async with watched(bus, registry) as host, watched(bus, registry):
        await until(lambda: champion(registry) == "1.a")
        await until(judged(host))
        assert host.metrics.registry.get_sample_value("mailweir_champion_disagreement_ratio") != 0.6
    made = registry.history("email")[-1]
    assert len(registry.history("email")) == 4
    assert (made.action, made.by, made.model.version) == ("rolled_back", "policy", "1.a")
    assert "people are against 60% of" in made.cause
    assert "with 1.a it was 10% of" in made.cause
    [event] = [ModelPromoted.decode(one.value) for one in bus.records("mail.models")]
    assert (event.model.version, event.previous, event.cause) == (
        "1.a",
        ModelRef(name="email", version="1.b"),
        made.cause,
    )
    with pytest.raises(ChampionChanged, match="only a person brings it back"):
        registry.promote(made.previous or made.model, expected="1.a", cause="run 7", by="trainer")
    promote(registry, "1.b")
    assert champion(registry) == "1.b"
    registry.promote(made.model, expected="1.b", cause="run 8", by="trainer")  # was never demoted


async def test_a_setting_leaves_it_to_people(tmp_path: Path, tiny: Path) -> None:
    """The same words, and nothing happens."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    promote(registry, "1.b")
    async with watched(bus, registry, rollback_auto=False) as host:
        await until(judged(host))
    assert champion(registry) == "1.b"


async def test_it_never_goes_back_to_nothing(tmp_path: Path, tiny: Path) -> None:
    """The first champion stays, whatever is said of it."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.b")
    promote(registry, "1.b")
    async with watched(bus, registry) as host:
        await until(judged(host))
        assert rollbacks(host, "failed") == 0
    assert len(registry.history("email")) == 1


async def test_it_never_goes_back_to_what_is_broken(
    tmp_path: Path, tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Counted, one line that names the file however often it is tried, and done as soon as the bundle is whole."""
    configure_logging("warning")
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    promote(registry, "1.b")
    model = registry.root / "email" / "1.a" / "model.onnx"
    right = model.read_bytes()
    model.chmod(0o644)
    model.write_bytes(b"")
    async with watched(bus, registry) as host:
        await until(lambda: rollbacks(host, "failed") >= 2)
        assert champion(registry) == "1.b"
        assert host.metrics.registry.get_sample_value("mailweir_champion_disagreement_ratio") == 0.6
        model.write_bytes(right)
        await until(lambda: rollbacks(host, "done") == 1)
    assert champion(registry) == "1.a"
    lines = [orjson.loads(line) for line in capfd.readouterr().err.splitlines() if "demotion_failed" in line]
    assert [line["code"] for line in lines] == ["bundle"]
    assert str(model) in lines[0]["error"]


async def test_a_registry_that_goes_away_is_waited_for(tmp_path: Path, tiny: Path) -> None:
    """Nothing is judged meanwhile, and nothing ends."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    promote(registry, "1.b")
    away = registry.root.with_name("away")
    registry.root.rename(away)
    known = settings(registry=away, retrain_look_seconds=0.05)
    host = Host(known, bus)
    register(host, count)
    await host.start()
    away.rename(registry.root)
    try:
        for number in range(1, 5):
            bus.write(record(shard(number)))
        await until(lambda: rollbacks(host, "failed") >= 2)
        registry.root.rename(away)
        await until(lambda: rollbacks(host, "done") == 1)
    finally:
        await host.stop()
    assert champion(Registry(away)) == "1.a"


def test_a_shard_tells_versions_minutes_and_people(tmp_path: Path) -> None:
    """Read from its file: ten words of seven people about one version, three of them against it."""
    found = counter_of(str(tmp_path))(file_shard(tmp_path, 1, people=10, wrong=3))
    [(version, minute)] = {(name, at.replace(minute=0)) for name, at in found.versions}
    assert version == "1"
    assert (minute.second, minute.microsecond) == (0, 0)
    assert sum(found.versions.values(), Said()) == Said(Tally(7, 3), frozenset(f"p{number}" for number in range(7)), 10)
