"""A bundle that cannot take the champion's place, or a registry that is away: the old one serves, or the worker does not start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from bundles import promote, stocked, version_of
from factories import memory_bus, settings, until, value
from swapped import serves, spoil, versions, worker, write

from mailweir.models.registry import make_keys, read_private
from mailweir.models.runtime import Bundle
from mailweir.schemas.errors import BundleError, RegistryError
from mailweir.services.app import Host
from mailweir.services.classify.agent import register
from mailweir.services.telemetry import configure_logging


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "manifest.json"])
async def test_a_bundle_that_cannot_be_served_leaves_the_old_one(
    tmp_path: Path, tiny: Path, capfd: pytest.CaptureFixture[str], file: str
) -> None:
    """One line that names the file however often it is tried, a metric, and the swap as soon as the file is right."""
    configure_logging("warning")
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    async with worker(bus, registry) as host:
        path = registry.root / "email" / "1.b" / file
        promote(registry, "1.b")
        right = spoil(path, b"{}" if file == "manifest.json" else b"")
        failed = lambda: value(host, "mailweir_model_swap_failures_total", code="bundle")  # noqa: E731
        await until(lambda: failed() >= 2)
        write(bus, 0, 1)
        await until(lambda: versions(bus) == {0: "1.a"}, 30)
        assert (serves(host, "1.a")(), serves(host, "1.b")()) == (True, False)
        spoil(path, right)
        await until(serves(host, "1.b"))
        assert value(host, "mailweir_model_swaps_total") == 1
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

    async with worker(bus, registry) as host:
        monkeypatch.setattr(Bundle, "load", broken)
        promote(registry, "1.b")
        await until(lambda: value(host, "mailweir_model_swap_failures_total", code="unexpected") >= 1)
        write(bus, 0, 1)
        await until(lambda: versions(bus) == {0: "1.a"}, 30)
        monkeypatch.undo()
        await until(serves(host, "1.b"))


async def test_a_registry_that_is_away_is_no_news_for_mail(tmp_path: Path, tiny: Path) -> None:
    """The folder goes and comes back: counted, and the promotion that happened meanwhile is followed."""
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    away = registry.root.with_name("away")
    async with worker(bus, registry) as host:
        promote(registry, "1.b")
        registry.root.rename(away)
        await until(lambda: value(host, "mailweir_model_swap_failures_total", code="registry") >= 1)
        away.rename(registry.root)
        await until(serves(host, "1.b"))


async def test_rules_that_the_new_bundle_cannot_follow_keep_the_old_one(tmp_path: Path, tiny: Path) -> None:
    """The rules set a head that the new bundle does not answer."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"rule": [{"name": "r", "when": {"mailbox": "x"}, "set": {"priority": "urgent"}}]}))
    heads = json.loads((tiny / "manifest.json").read_bytes())["heads"]
    del heads["priority"]
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.a")
    registry.add(version_of(tiny, tmp_path, "1.b", heads=heads))
    promote(registry, "1.a")
    async with worker(bus, registry, classify_rules=rules) as host:
        promote(registry, "1.b")
        await until(lambda: value(host, "mailweir_model_swap_failures_total", code="settings") >= 1)
        assert serves(host, "1.a")()


async def test_a_worker_with_a_key_takes_signed_bundles_only(tmp_path: Path, tiny: Path) -> None:
    """Somebody who can write the registry, but has no key, promotes his own."""
    public, _ = make_keys(tmp_path / "key")
    bus, registry = memory_bus(1), stocked(tmp_path, tiny, "1.b")
    registry.add(version_of(tiny, tmp_path, "1.a"), read_private(tmp_path / "key"))
    promote(registry, "1.a")
    async with worker(bus, registry, models_public_key=public) as host:
        promote(registry, "1.b")
        await until(lambda: value(host, "mailweir_model_swap_failures_total", code="bundle") >= 1)
        assert serves(host, "1.a")()
        registry.add(tmp_path / "made-1.b", read_private(tmp_path / "key"))
        await until(serves(host, "1.b"))


async def test_a_worker_does_not_start_on_what_it_may_not_serve(tmp_path: Path, tiny: Path) -> None:
    """A champion that is broken, one that is not signed, a registry that is not there: nothing else is served instead."""
    registry = stocked(tmp_path, tiny, "1.a")
    promote(registry, "1.a")
    public, _ = make_keys(tmp_path / "key")
    with pytest.raises(BundleError, match="is not signed"):
        await _start(settings(registry=registry.root, models_public_key=public))
    with pytest.raises(BundleError, match="is not signed"):
        await _start(settings(bundle=tiny, models_public_key=public))
    spoil(registry.root / "email" / "1.a" / "model.onnx")
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
