"""A classify worker on a registry, its mails, and which version decides them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factories import hosted, settings, value

from mailweir.models.registry import Registry
from mailweir.schemas.events import Decision, Email
from mailweir.services.app import Host
from mailweir.services.classify.agent import register
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing


@asynccontextmanager
async def worker(bus: MemoryBus, registry: Registry, **changes: Any) -> AsyncIterator[Host]:
    host = Host(settings(registry=registry.root, registry_poll_ms=50, **changes), bus)
    register(host)
    async with hosted(host):
        yield host


def write(bus: MemoryBus, first: int, count: int) -> None:
    for number in range(first, first + count):
        email = Email(email_id=f"{number:064x}", mailbox="sales", subject="Order", body=f"please ship order {number}")
        bus.write(Outgoing("mail.parsed", email.email_id.encode(), email.encode()))


def versions(bus: MemoryBus) -> dict[int, str]:
    """Mail → the version that decided it."""
    decided = [Decision.decode(record.value) for record in bus.records("mail.classified")]
    return {int(decision.email_id, 16): decision.model.version for decision in decided}


def serves(host: Host, version: str) -> Callable[[], bool]:
    return lambda: value(host, "mailweir_bundle_info", name="email", version=version) == 1


def spoil(path: Path, content: bytes = b"") -> bytes:
    before = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content)
    return before
