"""A candidate scores a sample beside the champion: the same mails everywhere, never heard, and never in the champion's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from bundles import promote, stocked
from factories import hosted, memory_bus, settings, until, value

from mailweir.models.registry import Registry
from mailweir.models.runtime import Bundle
from mailweir.schemas.events import Decision, Email, ModelRef
from mailweir.schemas.headers import header
from mailweir.schemas.ids import digest
from mailweir.services.app import Host
from mailweir.services.classify.agent import register
from mailweir.services.classify.shadow import in_sample
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing

CHAMPION, SHADOW = "1.a", "1.b"


@asynccontextmanager
async def worker(bus: MemoryBus, registry: Registry, **changes: Any) -> AsyncIterator[Host]:
    """A classify worker on this registry."""
    host = Host(settings(registry=registry.root, registry_poll_ms=50, **changes), bus)
    register(host)
    async with hosted(host):
        yield host


def shadowed(root: Path, tiny: Path, share: float = 1.0) -> Registry:
    """A registry with a champion and a shadow."""
    registry = stocked(root, tiny, CHAMPION, SHADOW)
    promote(registry, CHAMPION)
    registry.set_shadow(ModelRef(name="email", version=SHADOW), share=share, by="ann")
    return registry


def mail(number: int) -> Email:
    """A small mail."""
    return Email(email_id=digest("mail", str(number)), mailbox="sales", subject="Order", body=f"please ship {number}")


def write(bus: MemoryBus, first: int, count: int) -> set[str]:
    """Mails onto mail.parsed; their ids."""
    emails = [mail(number) for number in range(first, first + count)]
    for email in emails:
        bus.write(Outgoing("mail.parsed", email.email_id.encode(), email.encode()))
    return {email.email_id for email in emails}


def on(bus: MemoryBus, topic: str) -> list[Decision]:
    """The decisions of a topic."""
    return [Decision.decode(record.value) for record in bus.records(topic)]


def decided(bus: MemoryBus, count: int) -> Callable[[], bool]:
    """Whether the champion has decided so many."""
    return lambda: len(bus.records("mail.classified")) >= count


def scores(host: Host, version: str = SHADOW) -> Callable[[], bool]:
    """Whether the worker has the shadow in memory."""
    return lambda: value(host, "mailweir_shadow_info", name="email", version=version) == 1


def shadow_bundle(monkeypatch: pytest.MonkeyPatch, instead: Callable[[], Any]) -> None:
    """Let the shadow, and nothing else, do this first when it scores."""
    classify = Bundle.classify

    def scored(bundle: Bundle, inputs: Any, **options: Any) -> Any:
        if threading.current_thread().name.startswith("shadow"):
            instead()
        return classify(bundle, inputs, **options)

    monkeypatch.setattr(Bundle, "classify", scored)


def test_a_share_is_the_same_mails_everywhere_and_a_larger_one_holds_it() -> None:
    """By the mail's id alone: of 5,000 mails about a fifth, all of them among the half, none of none, all of all."""
    ids = [digest("mail", str(number)) for number in range(5_000)]
    fifth, half = ({one for one in ids if in_sample(one, share)} for share in (0.2, 0.5))
    assert 850 < len(fifth) < 1_150
    assert fifth < half
    assert (sum(in_sample(one, 1.0) for one in ids), sum(in_sample(one, 0.0) for one in ids)) == (5_000, 0)


async def test_the_shadow_decides_the_sample_and_nobody_else_notices(tmp_path: Path, tiny: Path) -> None:
    """Each mail of the share once on its own topic, under its own version, mail and lineage; the champion decides all."""
    bus, registry = memory_bus(1), shadowed(tmp_path, tiny, 0.5)
    async with worker(bus, registry) as host:
        await until(scores(host))
        ids = write(bus, 0, 24)
        sample = {one for one in ids if in_sample(one, 0.5)}
        await until(lambda: len(bus.records("mail.classified.shadow")) == len(sample), 30)
        await until(decided(bus, 24))
        assert value(host, "mailweir_shadow_decisions_total", version=SHADOW) == len(sample)
    assert 4 < len(sample) < 20
    heard = {one.email_id: one for one in on(bus, "mail.classified")}
    assert (set(heard), {one.model.version for one in heard.values()}) == (ids, {CHAMPION})
    for record in bus.records("mail.classified.shadow"):
        decision = Decision.decode(record.value)
        assert decision.email_id in sample
        assert (decision.model.version, record.key) == (SHADOW, decision.email_id.encode())
        assert decision.decision_id != heard[decision.email_id].decision_id
        assert decision.source == heard[decision.email_id].source
        assert header(record.headers, "ce_id") == decision.decision_id
    assert not bus.records("mail.dead")


async def test_while_the_champion_has_mail_the_shadow_waits_and_what_is_too_much_is_dropped(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shadow that hangs delays no decision and no commit; the first mails wait for it, the rest is counted as dropped."""
    bus, registry = memory_bus(1), shadowed(tmp_path, tiny)
    inside, go_on = threading.Event(), threading.Event()
    async with worker(bus, registry) as host:
        await until(scores(host))
        shadow_bundle(monkeypatch, lambda: (inside.set(), go_on.wait(30)))
        write(bus, 0, 100)
        await until(decided(bus, 100), 30)
        await until(lambda: host.stream.readers[0].progress.finished == 100, 30)
        assert inside.is_set()
        assert not bus.records("mail.classified.shadow")
        dropped = int(value(host, "mailweir_shadow_dropped_total"))
        assert 0 < dropped < 100
        go_on.set()
        await until(lambda: len(bus.records("mail.classified.shadow")) == 100 - dropped, 30)
    assert {one.model.version for one in on(bus, "mail.classified")} == {CHAMPION}


async def test_the_shadow_begins_no_mail_while_the_champion_has_one(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One waits for it when the champion takes its next: it is scored when that one is decided, not beside it."""
    bus, registry = memory_bus(1), shadowed(tmp_path, tiny)
    hold, in_hand, go_on, first, go_shadow = (threading.Event() for _ in range(5))
    beside: list[bool] = []  # per mail of the shadow, whether the champion had one
    classify = Bundle.classify

    def scored(bundle: Bundle, inputs: Any, **options: Any) -> Any:
        if threading.current_thread().name.startswith("shadow"):
            beside.append(in_hand.is_set())
            first.set()
            go_shadow.wait(30)
        elif hold.is_set():
            in_hand.set()
            go_on.wait(30)
            in_hand.clear()
        return classify(bundle, inputs, **options)

    async with worker(bus, registry) as host:
        await until(scores(host))
        monkeypatch.setattr(Bundle, "classify", scored)
        write(bus, 0, 2)
        await until(lambda: decided(bus, 2)() and first.is_set(), 30)
        hold.set()
        write(bus, 2, 1)
        await until(in_hand.is_set, 30)
        go_shadow.set()
        await until(lambda: len(bus.records("mail.classified.shadow")) == 1, 30)
        await asyncio.sleep(0.3)  # for one that would not wait
        hold.clear()
        go_on.set()
        await until(lambda: len(bus.records("mail.classified.shadow")) == 3, 30)
    assert beside == [False] * 3


async def test_a_shadow_that_fails_is_counted_and_costs_no_mail(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every mail has the champion's decision, none is dead, all are committed."""
    bus, registry = memory_bus(1), shadowed(tmp_path, tiny)

    def broken() -> None:
        raise ZeroDivisionError("nobody thought of it")

    async with worker(bus, registry) as host:
        await until(scores(host))
        shadow_bundle(monkeypatch, broken)
        write(bus, 0, 10)
        failed = lambda: value(host, "mailweir_shadow_failures_total", code="unexpected")  # noqa: E731
        await until(lambda: failed() == 10, 30)
        await until(lambda: host.stream.readers[0].progress.finished == 10, 30)
    assert len(on(bus, "mail.classified")) == 10
    assert not bus.records("mail.classified.shadow")
    assert not bus.records("mail.dead")


async def test_a_topic_that_takes_nothing_costs_the_shadow_only(tmp_path: Path, tiny: Path) -> None:
    """The refusal has its own code."""
    bus, registry = memory_bus(1), shadowed(tmp_path, tiny)
    bus.limits["mail.classified.shadow"] = 10
    async with worker(bus, registry) as host:
        await until(scores(host))
        write(bus, 0, 4)
        await until(lambda: value(host, "mailweir_shadow_failures_total", code="write_refused") == 4, 30)
        await until(lambda: host.stream.readers[0].progress.finished == 4, 30)
    assert len(on(bus, "mail.classified")) == 4


async def test_a_shadow_that_does_not_load_leaves_the_champion_and_raises_the_alert(tmp_path: Path, tiny: Path) -> None:
    """A changed file: the champion goes on, the metric counts the tries, and the shadow comes as soon as the file is right."""
    bus, registry = memory_bus(1), shadowed(tmp_path, tiny)
    path = registry.root / "email" / SHADOW / "model.onnx"
    path.chmod(0o644)
    right = path.read_bytes()
    path.write_bytes(b"")
    async with worker(bus, registry) as host:
        failed = lambda: value(host, "mailweir_shadow_load_failures_total", code="bundle")  # noqa: E731
        await until(lambda: failed() >= 2)
        write(bus, 0, 3)
        await until(decided(bus, 3), 30)
        assert not scores(host)()
        path.write_bytes(right)
        await until(scores(host))
    assert {one.model.version for one in on(bus, "mail.classified")} == {CHAMPION}


async def test_a_pointer_that_cannot_be_read_changes_nothing(tmp_path: Path, tiny: Path) -> None:
    """The shadow goes on with what it had, the champion anyway; the metric tells of the registry."""
    bus, registry = memory_bus(1), shadowed(tmp_path, tiny)
    async with worker(bus, registry) as host:
        await until(scores(host))
        (registry.root / "email" / "shadow.json").write_text("{}")
        await until(lambda: value(host, "mailweir_shadow_load_failures_total", code="registry") >= 1)
        write(bus, 0, 3)
        await until(lambda: len(bus.records("mail.classified.shadow")) == 3, 30)


async def test_a_shadow_is_ended_and_one_that_becomes_champion_is_no_shadow_any_more(
    tmp_path: Path, tiny: Path
) -> None:
    """Both leave the memory while mail goes on; after a rollback the shadow is back."""
    bus, registry = memory_bus(1), shadowed(tmp_path, tiny)
    async with worker(bus, registry) as host:
        await until(scores(host))
        promote(registry, SHADOW)
        await until(lambda: not scores(host)())
        registry.rollback("email", expected=SHADOW, cause="worse", by="ann")
        await until(scores(host))
        assert registry.end_shadow("email")
        await until(lambda: not scores(host)())
        write(bus, 0, 3)
        await until(lambda: host.stream.readers[0].progress.finished == 3, 30)
    assert not bus.records("mail.classified.shadow")


def test_the_registry_keeps_one_shadow_that_is_not_the_champion(tmp_path: Path, tiny: Path) -> None:
    """Set, shown, replaced, ended twice; the champion is refused, and a pointer that is none names the remedy."""
    from mailweir.schemas.errors import RegistryError

    registry = stocked(tmp_path, tiny, CHAMPION, SHADOW, "1.c")
    promote(registry, CHAMPION)
    assert registry.shadow("email") is None
    for version, share in ((SHADOW, 0.1), ("1.c", 0.5)):
        registry.set_shadow(ModelRef(name="email", version=version), share=share, by="ann")
    found = registry.shadow("email")
    assert found
    assert (found.model.version, found.share, found.by) == ("1.c", 0.5, "ann")
    assert found.manifest_sha256 == registry.entry("email", "1.c").trusted.sha256
    with pytest.raises(RegistryError, match="is the champion"):
        registry.set_shadow(ModelRef(name="email", version=CHAMPION), share=0.1, by="ann")
    assert (registry.end_shadow("email"), registry.end_shadow("email")) == (True, False)
    (registry.root / "email" / "shadow.json").write_bytes(orjson.dumps({"share": 2}))
    with pytest.raises(RegistryError, match="mailweir models shadow VERSION"):
        registry.shadow("email")
