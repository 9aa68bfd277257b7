"""What the feedback agent tells about its ledger: how full the open shards are, how much room there is, who said what."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from factories import hosted, memory_bus, settings, until
from loop import decided, mail, on, word
from s3 import bucket

from mailweir.services.app import Host
from mailweir.services.feedback.agent import register
from mailweir.services.memory import MemoryBus


def _host(bus: MemoryBus, ledger: str, **changes: Any) -> Host:
    host = Host(settings(ledger=ledger, feedback_batch_wait_ms=10, **changes), bus)
    register(host)
    return host


def _say(bus: MemoryBus, number: int, **changes: Any) -> None:
    """A mail, its decision, and a word about it."""
    email = mail(number)
    decision = decided(email, bus.write(on("mail.parsed", email)).coordinates)
    bus.write(on("mail.classified", decision))
    bus.write(on("mail.feedback", word(decision, **changes)))


async def test_open_shards_are_told_by_partition_until_they_close(tmp_path: Path) -> None:
    """Three rows of four are three quarters; the fourth closes the shard, and the next is empty."""
    bus = memory_bus(1)
    host = _host(bus, str(tmp_path / "ledger"), shard_rows=4)

    def fill() -> float | None:
        labels = {"topic": "mail.feedback", "partition": "0"}
        return host.metrics.registry.get_sample_value("mailweir_shard_fill_ratio", labels)

    async with hosted(host):
        for number in range(3):
            _say(bus, number)
        await until(lambda: fill() == 0.75)
        _say(bus, 3)
        await until(lambda: len(bus.records("mail.shards")) == 1)
        await until(lambda: fill() == 0)


async def test_the_disk_is_that_of_the_folder(tmp_path: Path) -> None:
    """Size and room as the system says, before the first row has made the folder."""
    host = _host(memory_bus(1), str(tmp_path / "not" / "yet"))
    value = host.metrics.registry.get_sample_value
    async with hosted(host):
        await until(lambda: value("mailweir_ledger_size_bytes") == shutil.disk_usage(tmp_path).total)
    assert 0 <= (value("mailweir_ledger_free_bytes") or -1) < shutil.disk_usage(tmp_path).total


async def test_an_object_store_has_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number, of which an alert would make a full disk."""
    bus = memory_bus(1)
    with bucket(monkeypatch) as uri:
        host = _host(bus, f"{uri}/ledger")
        async with hosted(host):
            _say(bus, 1)
            await until(lambda: host.stream.readers[0].progress.finished == 1)
    names = ("mailweir_ledger_free_bytes", "mailweir_ledger_size_bytes")
    assert all(math.isnan(host.metrics.registry.get_sample_value(name) or 0) for name in names)


async def test_verdicts_are_counted_by_who_gave_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People, rules and behaviour are told apart; and each word is as old as it says, not as its record."""
    monkeypatch.setattr("mailweir.services.feedback.verdicts._LOOK_SECONDS", 0.02)
    bus = memory_bus(1)
    host = _host(bus, str(tmp_path / "ledger"))

    def verdicts(sample: str, verdict: str) -> float | None:
        labels = {"head": "category", "version": "1.0.0", "sample": sample, "verdict": verdict}
        return host.metrics.registry.get_sample_value("mailweir_verdicts_total", labels)

    async with hosted(host):
        _say(bus, 1)
        _say(bus, 2, origin="rule", label="work")
        _say(bus, 3, origin="implicit")
        await until(
            lambda: verdicts("given", "wrong") == verdicts("rule", "right") == verdicts("implicit", "wrong") == 1
        )
    assert verdicts("lot", "wrong") is None
    value = host.metrics.registry.get_sample_value
    count, total = (
        value(f"mailweir_event_age_seconds_{what}", {"stage": "feedback"}) or 0 for what in ("count", "sum")
    )
    assert count == 3
    assert total / 3 > 86_400  # given on a day long past, written just now
