"""A worker follows the champion of its registry while mail goes on, and what cannot be served changes nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import orjson
import pytest
from bundles import promote, stocked
from factories import memory_bus, until, value
from swapped import serves, versions, worker, write

from mailweir.models.runtime import Bundle
from mailweir.services.telemetry import configure_logging


async def test_a_promotion_is_followed_without_a_restart(tmp_path: Path, tiny: Path) -> None:
    """Mail before is the old one's, mail after the new one's, none is missing; the gauge names the one that serves."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    async with worker(bus, registry) as host:
        write(bus, 0, 20)
        await until(lambda: len(versions(bus)) == 20, 30)
        promote(registry, "1.b")
        await until(serves(host, "1.b"))
        assert not serves(host, "1.a")()
        assert value(host, "mailweir_model_swaps_total") == 1
        write(bus, 20, 20)
        await until(lambda: len(versions(bus)) == 40, 30)
    assert versions(bus) == dict.fromkeys(range(20), "1.a") | dict.fromkeys(range(20, 40), "1.b")
    assert not bus.records("mail.dead")


async def test_the_batch_in_hand_ends_with_the_bundle_that_it_began_with(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swap in the middle of a batch is the next batch's; nobody waited for it."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    classify, inside, go_on = Bundle.classify, threading.Event(), threading.Event()

    def held(bundle: Bundle, inputs: Any, **options: Any) -> Any:
        if threading.current_thread().name.startswith("model"):
            inside.set()
            assert go_on.wait(30)
        return classify(bundle, inputs, **options)

    async with worker(bus, registry, batch_mails=5, batch_wait_ms=5_000) as host:
        monkeypatch.setattr(Bundle, "classify", held)
        write(bus, 0, 5)
        await until(inside.is_set, 30)
        promote(registry, "1.b")
        await until(serves(host, "1.b"))
        assert not bus.records("mail.classified")
        go_on.set()
        write(bus, 5, 5)
        await until(lambda: len(versions(bus)) == 10, 30)
    assert versions(bus) == dict.fromkeys(range(5), "1.a") | dict.fromkeys(range(5, 10), "1.b")


async def test_mail_is_decided_while_a_bundle_loads(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading is in a thread of its own: neither the loop nor the model waits for it."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    load, loading, go_on = Bundle.load, threading.Event(), threading.Event()
    threads: list[str] = []

    def slow(folder: Path, *options: Any) -> Bundle:
        threads.append(threading.current_thread().name)
        loading.set()
        assert go_on.wait(30)
        return load(folder, *options)

    async with worker(bus, registry) as host:
        monkeypatch.setattr(Bundle, "load", slow)
        promote(registry, "1.b")
        await until(loading.is_set)
        write(bus, 0, 20)
        await until(lambda: len(versions(bus)) == 20, 30)
        assert set(versions(bus).values()) == {"1.a"}
        go_on.set()
        await until(serves(host, "1.b"))
    assert [name.partition("_")[0] for name in threads] == ["swap"]


async def test_a_rollback_finds_the_bundle_before_still_warm(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept: nothing is loaded."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    async with worker(bus, registry) as host:
        promote(registry, "1.b")
        await until(serves(host, "1.b"))
        monkeypatch.setattr(Bundle, "load", lambda *_: pytest.fail("loaded again"))
        registry.rollback("email", expected="1.b", cause="worse", by="ann")
        await until(serves(host, "1.a"))
        assert value(host, "mailweir_model_swaps_total") == 2
        write(bus, 0, 1)
        await until(lambda: versions(bus) == {0: "1.a"}, 30)


async def test_no_more_than_two_bundles_are_held(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that serves and the one before it; while a third loads, only the one that serves."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b", "1.c")
    promote(registry, "1.a")
    load, loaded, alive_at_load = Bundle.load, [], []  # type: ignore[var-annotated]

    def counted(folder: Path, *options: Any) -> Bundle:
        alive_at_load.append([name for name, bundle in loaded if bundle()])
        bundle = load(folder, *options)
        loaded.append((folder.name, weakref.ref(bundle)))
        return bundle

    monkeypatch.setattr(Bundle, "load", counted)
    async with worker(bus, registry) as host:
        for version in ("1.b", "1.c"):
            promote(registry, version)
            await until(serves(host, version))
        gc.collect()
        assert [name for name, bundle in loaded if bundle()] == ["1.b", "1.c"]
    assert alive_at_load == [[], ["1.a"], ["1.b"]]


async def test_without_a_champion_the_bundle_of_the_settings_serves(
    tmp_path: Path, tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is told as an error with the remedy; the first promotion is followed."""
    configure_logging("warning")
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a")
    async with worker(bus, registry, bundle=tiny) as host:
        write(bus, 0, 1)
        await until(lambda: len(versions(bus)) == 1, 30)
        promote(registry, "1.a")
        await until(serves(host, "1.a"))
    assert versions(bus)[0] == Bundle.load(tiny).manifest.model.version
    [line] = [orjson.loads(line) for line in capfd.readouterr().err.splitlines() if "no_champion" in line]
    assert (line["level"], line["registry"]) == ("error", str(registry.root))
    assert "mailweir models promote" in line["hint"]


async def test_a_worker_that_stops_while_a_bundle_loads_does_not_wait_for_it(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load is dropped."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    load, loading, go_on = Bundle.load, threading.Event(), threading.Event()

    def slow(folder: Path, *options: Any) -> Bundle:
        loading.set()
        assert go_on.wait(30)
        return load(folder, *options)

    async with worker(bus, registry) as host:
        monkeypatch.setattr(Bundle, "load", slow)
        promote(registry, "1.b")
        await until(loading.is_set)
        began = time.monotonic()
        async with asyncio.timeout(10):
            await host.stop()
        assert time.monotonic() - began < 5
        go_on.set()
