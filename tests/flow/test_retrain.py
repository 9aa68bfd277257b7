"""The retrain agent on the in-memory bus: shards in, one request out, and what it does when things fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bundles import promote, stocked
from factories import hosted, memory_bus, settings, until, value
from shards import count_figures, file_shard, record, rows, shard

from mailweir.schemas.errors import BundleError, DependencyError
from mailweir.schemas.events import DeadLetter, RetrainFinished, RetrainRequested, ShardClosed, TaxonomyRef
from mailweir.schemas.headers import header
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus
from mailweir.services.retrain.agent import register
from mailweir.services.retrain.counts import CountShard, Tally
from mailweir.services.retrain.request import configured_champion
from mailweir.services.retrain.shards import count_rows, counter_of
from mailweir.services.stream import Outgoing

EAGER = {"retrain_min_labels": 25, "retrain_min_interval_hours": 0, "retrain_look_seconds": 0.05}


@asynccontextmanager
async def trigger(bus: MemoryBus, count: CountShard = count_figures, **changes: Any) -> AsyncIterator[Host]:
    """A worker with the retrain agent."""
    host = Host(settings(**EAGER | changes), bus)
    register(host, count)
    async with hosted(host):
        yield host


def requests(bus: MemoryBus) -> list[RetrainRequested]:
    """What was asked for."""
    found = [one for one in bus.records("mail.retrain") if "requested" in (header(one.headers, "ce_type") or "")]
    return [RetrainRequested.decode(one.value) for one in found]


def end_of(request: RetrainRequested, outcome: str = "promoted") -> Outgoing:
    """A run's end, as the trainer tells it."""
    event = {"run_id": request.run_id, "outcome": outcome, "finished_at": datetime.now(UTC)}
    return record(RetrainFinished.model_validate(event))


def refusals(host: Host, reason: str) -> float:
    """How often that was the reason."""
    return value(host, "mailweir_retrain_refusals_total", reason=reason)


def done(host: Host) -> Callable[[int], bool]:
    """Whether so many shards were judged and committed."""
    return lambda count: host.stream.readers[0].progress.finished >= count


async def test_the_third_shard_calls_for_a_run_that_names_all_three() -> None:
    """Ids, hashes, champion, label space and reason; the record's key is the run's id."""
    bus = memory_bus(1)
    async with trigger(bus) as host:
        for number in range(2):
            bus.write(record(shard(number)))
        await until(lambda: done(host)(2))
        assert requests(bus) == []
        assert refusals(host, "few_labels") >= 1
        bus.write(record(shard(2)))
        await until(lambda: len(requests(bus)) == 1)
        await until(lambda: refusals(host, "run_open") >= 1)
    [request] = requests(bus)
    champion = configured_champion(settings())
    assert [(one.shard_id, one.sha256) for one in request.shards] == [
        (s.shard_id, s.sha256) for s in map(shard, range(3))
    ]
    assert (request.champion, request.taxonomy) == (champion.model, champion.taxonomy)
    assert request.requested_by == "policy"
    assert "30 new labels of people, 25 are enough" in request.cause
    assert bus.records("mail.retrain")[0].key == request.run_id.encode()
    assert bus.records("mail.dead") == []


async def test_a_worker_that_starts_anew_knows_what_was_asked_for() -> None:
    """A second and a third worker on the same log ask for nothing while the run goes on; with its end the rest may follow."""
    bus = memory_bus(1)
    for number in range(3):
        bus.write(record(shard(number)))
    async with trigger(bus):
        await until(lambda: len(requests(bus)) == 1)
    for number in range(3, 6):
        bus.write(record(shard(number)))
    for _ in range(2):
        async with trigger(bus) as host:
            await until(lambda host=host: refusals(host, "run_open") >= 2)  # type: ignore[misc]
    assert len(requests(bus)) == 1
    bus.write(end_of(requests(bus)[0]))
    async with trigger(bus):
        await until(lambda: len(requests(bus)) == 2)
    assert len(requests(bus)[1].shards) == 6


async def test_the_same_shards_are_asked_for_once_even_if_nothing_was_committed() -> None:
    """A worker that died between request and commit judges the shards again, finds its own request and asks for nothing."""
    bus = memory_bus(1)
    for number in range(3):
        bus.write(record(shard(number)))
    async with trigger(bus):
        await until(lambda: len(requests(bus)) == 1)
    for group in bus._groups.values():
        group.offsets.clear()
    async with trigger(bus) as host:
        await until(lambda: done(host)(3))
    assert len(requests(bus)) == 1


async def test_two_workers_ask_once() -> None:
    """Only the one that reads the shards judges."""
    bus = memory_bus(1)
    async with trigger(bus), trigger(bus):
        for number in range(3):
            bus.write(record(shard(number)))
        await until(lambda: len(requests(bus)) == 1)
        await asyncio.sleep(0.3)
    assert len(requests(bus)) == 1


async def test_a_run_that_never_ends_does_not_block_for_ever() -> None:
    """After the timeout, and without a new shard, the run is asked for again under another id."""
    bus = memory_bus(1)
    for number in range(3):
        bus.write(record(shard(number)))
    async with trigger(bus, retrain_timeout_hours=0.5 / 3600):
        await until(lambda: len(requests(bus)) >= 2)
    first, second = requests(bus)[:2]
    assert first.shards == second.shards
    assert first.run_id != second.run_id
    assert (second.requested_at - first.requested_at).total_seconds() >= 0.5


async def test_the_interval_holds_the_next_run_back() -> None:
    """The first has ended and there is enough to learn, but it is too soon."""
    bus = memory_bus(1)
    for number in range(3):
        bus.write(record(shard(number)))
    async with trigger(bus, retrain_min_interval_hours=1) as host:
        await until(lambda: len(requests(bus)) == 1)
        bus.write(end_of(requests(bus)[0]))
        for number in range(3, 6):
            bus.write(record(shard(number)))
        await until(lambda: refusals(host, "too_soon") >= 1)
    assert len(requests(bus)) == 1


async def test_a_store_that_is_away_holds_the_shards() -> None:
    """Nothing is decided and nothing committed until the files can be read; then all are counted."""
    bus, away = memory_bus(1), True

    def count(closed: ShardClosed) -> Any:
        if away:
            raise DependencyError("the store is away")
        return count_figures(closed)

    async with trigger(bus, count) as host:
        for number in range(3):
            bus.write(record(shard(number)))
        await asyncio.sleep(0.3)
        assert (host.stream.readers[0].progress.finished, requests(bus)) == (0, [])
        away = False
        await until(lambda: len(requests(bus)) == 1)


async def test_a_shard_whose_file_is_gone_is_left_out_and_counted() -> None:
    """The others still call for a run; the metric tells of it."""
    bus = memory_bus(1)
    gone = shard(7).model_copy(update={"uri": "file:///gone"})
    async with trigger(bus) as host:
        bus.write(record(gone))
        for number in range(3):
            bus.write(record(shard(number)))
        await until(lambda: len(requests(bus)) == 1)
        assert host.metrics.registry.get_sample_value("mailweir_retrain_unreadable_shards") == 1
    assert gone.shard_id not in [one.shard_id for one in requests(bus)[0].shards]


async def test_what_is_no_shard_is_rejected_and_what_is_no_run_is_passed_over() -> None:
    """A dead letter for the one; the other is logged, and neither stops the trigger."""
    bus = memory_bus(1)
    bus.write(Outgoing("mail.shards", b"x", b"{}"))
    bus.write(Outgoing("mail.retrain", b"x", b"nonsense"))
    bus.write(Outgoing("mail.retrain", b"x", b"{}", [("ce_type", b"mailweir.retrain_finished.v1")]))
    other = shard(8, human=500, taxonomy=TaxonomyRef(name="email", version=9))
    bus.write(record(other))
    async with trigger(bus):
        for number in range(3):
            bus.write(record(shard(number)))
        await until(lambda: len(requests(bus)) == 1)
    [letter] = [DeadLetter.from_headers(one.headers) for one in bus.records("mail.dead")]
    assert (letter.stage, letter.code) == ("retrain", "invalid_event")
    assert len(requests(bus)[0].shards) == 3


async def test_a_shard_that_points_elsewhere_is_counted_as_unreadable_and_the_loop_goes_on(tmp_path: Path) -> None:
    """The others call for a run, which does not name it."""
    bus = memory_bus(1)
    (tmp_path / "ledger").mkdir()
    foreign = file_shard(tmp_path, 1, people=10)
    own = file_shard(tmp_path / "ledger", 2, people=10)
    async with trigger(bus, counter_of(str(tmp_path / "ledger")), retrain_min_labels=10) as host:
        bus.write(record(foreign))
        bus.write(record(own))
        await until(lambda: len(requests(bus)) == 1)
    assert [one.shard_id for one in requests(bus)[0].shards] == [own.shard_id]
    assert host.metrics.registry.get_sample_value("mailweir_retrain_unreadable_shards") == 1


def test_a_shard_in_figures(tmp_path: Path) -> None:
    """Ten people, three of whom say another intent: verdicts, what the model expected, and the labels that are right."""
    found = counter_of(str(tmp_path))(file_shard(tmp_path, 1, people=10, wrong=3))
    assert (found.human, found.heads, found.expected) == (10, Tally(7, 3), 7.5)
    assert found.labels == {"intent/information": Tally(7, 0), "intent/complaint": Tally(0, 3)}
    assert found.first_at is not None
    assert found.first_at == found.last_at


def test_only_people_count() -> None:
    """What rules and later behaviour say is kept, but asks for no run."""
    said = [row.model_copy(update={"origin": origin}) for row in rows(1, 1) for origin in ("rule", "implicit", "human")]
    assert count_rows(said).human == 1


def test_the_champion_to_beat_is_the_registrys(tmp_path: Path, tiny: Path) -> None:
    """Its pointer counts, and before the first promotion the bundle that workers serve until then."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    known = settings(registry=registry.root, bundle=tmp_path / "made-1.b")
    assert configured_champion(known).model.version == "1.b"
    promote(registry, "1.a")
    assert configured_champion(known).model.version == "1.a"
    manifest = registry.root / "email" / "1.a" / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace('"base"', ' "base"', 1))
    with pytest.raises(BundleError, match="is not the one that was promoted"):
        configured_champion(known)
