"""A worker follows the champion of its registry while mail goes on, and what cannot be served changes nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from bundles import promote, stocked, version_of
from factories import hosted, memory_bus, settings, until

from mailweir.models.registry import Registry, make_keys, read_private
from mailweir.models.runtime import Bundle
from mailweir.schemas.errors import BundleError, RegistryError
from mailweir.schemas.events import Decision, Email
from mailweir.services.app import Host
from mailweir.services.classify.agent import register
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing
from mailweir.services.telemetry import configure_logging


@asynccontextmanager
async def _worker(bus: MemoryBus, registry: Registry, **changes: Any) -> AsyncIterator[Host]:
    host = Host(settings(registry=registry.root, registry_poll_ms=50, **changes), bus)
    register(host)
    async with hosted(host):
        yield host


def _write(bus: MemoryBus, first: int, count: int) -> None:
    for number in range(first, first + count):
        email = Email(email_id=f"{number:064x}", mailbox="sales", subject="Order", body=f"please ship order {number}")
        bus.write(Outgoing("mail.parsed", email.email_id.encode(), email.encode()))


def _versions(bus: MemoryBus) -> dict[int, str]:
    """Mail → the version that decided it."""
    decided = [Decision.decode(record.value) for record in bus.records("mail.classified")]
    return {int(decision.email_id, 16): decision.model.version for decision in decided}


def _value(host: Host, metric: str, **labels: str) -> float:
    return host.metrics.registry.get_sample_value(metric, labels) or 0.0


def _serves(host: Host, version: str) -> Callable[[], bool]:
    return lambda: _value(host, "mailweir_bundle_info", name="email", version=version) == 1


def _spoil(path: Path, content: bytes = b"") -> bytes:
    before = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content)
    return before


async def test_a_promotion_is_followed_without_a_restart(tmp_path: Path, tiny: Path) -> None:
    """Mail before is the old one's, mail after the new one's, none is missing; the gauge names the one that serves."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    async with _worker(bus, registry) as host:
        _write(bus, 0, 20)
        await until(lambda: len(_versions(bus)) == 20, 30)
        promote(registry, "1.b")
        await until(_serves(host, "1.b"))
        assert not _serves(host, "1.a")()
        assert _value(host, "mailweir_model_swaps_total") == 1
        _write(bus, 20, 20)
        await until(lambda: len(_versions(bus)) == 40, 30)
    assert _versions(bus) == dict.fromkeys(range(20), "1.a") | dict.fromkeys(range(20, 40), "1.b")
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

    async with _worker(bus, registry, batch_mails=5, batch_wait_ms=5_000) as host:
        monkeypatch.setattr(Bundle, "classify", held)
        _write(bus, 0, 5)
        await until(inside.is_set, 30)
        promote(registry, "1.b")
        await until(_serves(host, "1.b"))
        assert not bus.records("mail.classified")
        go_on.set()
        _write(bus, 5, 5)
        await until(lambda: len(_versions(bus)) == 10, 30)
    assert _versions(bus) == dict.fromkeys(range(5), "1.a") | dict.fromkeys(range(5, 10), "1.b")


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

    async with _worker(bus, registry) as host:
        monkeypatch.setattr(Bundle, "load", slow)
        promote(registry, "1.b")
        await until(loading.is_set)
        _write(bus, 0, 20)
        await until(lambda: len(_versions(bus)) == 20, 30)
        assert set(_versions(bus).values()) == {"1.a"}
        go_on.set()
        await until(_serves(host, "1.b"))
    assert [name.partition("_")[0] for name in threads] == ["swap"]


async def test_a_rollback_finds_the_bundle_before_still_warm(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept: nothing is loaded."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    async with _worker(bus, registry) as host:
        promote(registry, "1.b")
        await until(_serves(host, "1.b"))
        monkeypatch.setattr(Bundle, "load", lambda *_: pytest.fail("loaded again"))
        registry.rollback("email", expected="1.b", cause="worse", by="ann")
        await until(_serves(host, "1.a"))
        assert _value(host, "mailweir_model_swaps_total") == 2
        _write(bus, 0, 1)
        await until(lambda: _versions(bus) == {0: "1.a"}, 30)


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
    async with _worker(bus, registry) as host:
        for version in ("1.b", "1.c"):
            promote(registry, version)
            await until(_serves(host, version))
        gc.collect()
        assert [name for name, bundle in loaded if bundle()] == ["1.b", "1.c"]
    assert alive_at_load == [[], ["1.a"], ["1.b"]]


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "manifest.json"])
async def test_a_bundle_that_cannot_be_served_leaves_the_old_one(
    tmp_path: Path, tiny: Path, capfd: pytest.CaptureFixture[str], file: str
) -> None:
    """One line that names the file however often it is tried, a metric, and the swap as soon as the file is right."""
    configure_logging("warning")
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    async with _worker(bus, registry) as host:
        path = registry.root / "email" / "1.b" / file
        promote(registry, "1.b")
        right = _spoil(path, b"{}" if file == "manifest.json" else b"")
        failed = lambda: _value(host, "mailweir_model_swap_failures_total", code="bundle")  # noqa: E731
        await until(lambda: failed() >= 2)
        _write(bus, 0, 1)
        await until(lambda: _versions(bus) == {0: "1.a"}, 30)
        assert (_serves(host, "1.a")(), _serves(host, "1.b")()) == (True, False)
        _spoil(path, right)
        await until(_serves(host, "1.b"))
        assert _value(host, "mailweir_model_swaps_total") == 1
    lines = [orjson.loads(line) for line in capfd.readouterr().err.splitlines() if "swap_failed" in line]
    assert [(line["code"], line["serving"]) for line in lines] == [("bundle", "1.a")]
    assert str(path) in lines[0]["error"]


async def test_whatever_a_bundle_breaks_on_the_worker_goes_on(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody thought of."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")

    def broken(*_: object) -> Bundle:
        raise ZeroDivisionError("nobody thought of it")

    async with _worker(bus, registry) as host:
        monkeypatch.setattr(Bundle, "load", broken)
        promote(registry, "1.b")
        await until(lambda: _value(host, "mailweir_model_swap_failures_total", code="unexpected") >= 1)
        _write(bus, 0, 1)
        await until(lambda: _versions(bus) == {0: "1.a"}, 30)
        monkeypatch.undo()
        await until(_serves(host, "1.b"))


async def test_a_registry_that_is_away_is_no_news_for_mail(tmp_path: Path, tiny: Path) -> None:
    """The folder goes and comes back: counted, and the promotion that happened meanwhile is followed."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    away = registry.root.with_name("away")
    async with _worker(bus, registry) as host:
        promote(registry, "1.b")
        registry.root.rename(away)
        await until(lambda: _value(host, "mailweir_model_swap_failures_total", code="registry") >= 1)
        away.rename(registry.root)
        await until(_serves(host, "1.b"))


async def test_rules_that_the_new_bundle_cannot_follow_keep_the_old_one(tmp_path: Path, tiny: Path) -> None:
    """The rules set a head that the new bundle does not answer."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"rule": [{"name": "r", "when": {"mailbox": "x"}, "set": {"priority": "urgent"}}]}))
    heads = json.loads((tiny / "manifest.json").read_bytes())["heads"]
    del heads["priority"]
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a")
    registry.add(version_of(tiny, tmp_path, "1.b", heads=heads))
    promote(registry, "1.a")
    async with _worker(bus, registry, classify_rules=rules) as host:
        promote(registry, "1.b")
        await until(lambda: _value(host, "mailweir_model_swap_failures_total", code="settings") >= 1)
        assert _serves(host, "1.a")()


async def test_a_worker_with_a_key_takes_signed_bundles_only(tmp_path: Path, tiny: Path) -> None:
    """Somebody who can write the registry, but has no key, promotes his own."""
    public, _ = make_keys(tmp_path / "key")
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.b")
    registry.add(version_of(tiny, tmp_path, "1.a"), read_private(tmp_path / "key"))
    promote(registry, "1.a")
    async with _worker(bus, registry, models_public_key=public) as host:
        promote(registry, "1.b")
        await until(lambda: _value(host, "mailweir_model_swap_failures_total", code="bundle") >= 1)
        assert _serves(host, "1.a")()
        registry.add(tmp_path / "made-1.b", read_private(tmp_path / "key"))
        await until(_serves(host, "1.b"))


async def test_without_a_champion_the_bundle_of_the_settings_serves(
    tmp_path: Path, tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is told as an error with the remedy; the first promotion is followed."""
    configure_logging("warning")
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a")
    async with _worker(bus, registry, bundle=tiny) as host:
        _write(bus, 0, 1)
        await until(lambda: len(_versions(bus)) == 1, 30)
        promote(registry, "1.a")
        await until(_serves(host, "1.a"))
    assert _versions(bus)[0] == Bundle.load(tiny).manifest.model.version
    [line] = [orjson.loads(line) for line in capfd.readouterr().err.splitlines() if "no_champion" in line]
    assert (line["level"], line["registry"]) == ("error", str(registry.root))
    assert "mailweir models promote" in line["hint"]


async def test_a_worker_does_not_start_on_what_it_may_not_serve(tmp_path: Path, tiny: Path) -> None:
    """A champion that is broken, one that is not signed, a registry that is not there: nothing else is served instead."""
    registry = stocked(tmp_path, tiny, "1.a")
    promote(registry, "1.a")
    public, _ = make_keys(tmp_path / "key")
    with pytest.raises(BundleError, match="is not signed"):
        await _start(settings(registry=registry.root, models_public_key=public))
    with pytest.raises(BundleError, match="is not signed"):
        await _start(settings(bundle=tiny, models_public_key=public))
    _spoil(registry.root / "email" / "1.a" / "model.onnx")
    with pytest.raises(BundleError, match=r"model\.onnx is not the file"):
        await _start(settings(registry=registry.root))
    with pytest.raises(RegistryError, match="MAILWEIR_REGISTRY names the folder"):
        await _start(settings(registry=tmp_path / "none"))


async def _start(known: Any) -> None:
    host = Host(known, memory_bus(1))
    register(host)
    try:
        await host.start()
    finally:
        await host.stop()


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

    async with _worker(bus, registry) as host:
        monkeypatch.setattr(Bundle, "load", slow)
        promote(registry, "1.b")
        await until(loading.is_set)
        began = time.monotonic()
        async with asyncio.timeout(10):
            await host.stop()
        assert time.monotonic() - began < 5
        go_on.set()
