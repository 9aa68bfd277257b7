"""Where a training run works: a champion, shards and a request on a bus, a small corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factories import memory_bus
from lessons import (
    asked,
    category_only,
    champion_of,
    run_settings,
    said,
    serving,
    shard_of,
)
from shards import record

from mailweir.models.registry import Registry
from mailweir.models.training.corpus import TEST_AUTHORS
from mailweir.schemas.events import (
    ModelPromoted,
    ModelRef,
    RetrainFinished,
    RetrainRequested,
    ShardClosed,
)
from mailweir.schemas.headers import header
from mailweir.services.memory import MemoryBus
from mailweir.services.settings import Settings

WORDS = 160


HOLDOUT = 100


@dataclass
class Place:
    """A champion, a request with its shards on a bus, and where runs work."""

    settings: Settings
    registry: Registry
    champion: ModelRef
    request: RetrainRequested
    shards: tuple[ShardClosed, ...]
    bus: MemoryBus

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self.settings.trainer_dir / self.request.run_id

    def ends(self) -> list[RetrainFinished]:
        """What was told."""
        found = [
            one for one in self.bus.records("mail.retrain") if "finished" in (header(one.headers, "ce_type") or "")
        ]
        return [RetrainFinished.decode(one.value) for one in found]

    def promoted(self) -> list[ModelPromoted]:
        """What was told to workers."""
        return [ModelPromoted.decode(one.value) for one in self.bus.records("mail.models")]


def place(root: Path, tiny: Path, corpus: Path, rows: int = WORDS) -> Place:
    """One in `root`, with two shards of people's words about categories; the gate asks a hundred mails."""
    root.mkdir(exist_ok=True)
    registry = serving(root, tiny)
    words = [category_only(said(number)) for number in range(rows)]
    shards = (shard_of(root, words[: rows // 2]), shard_of(root, words[rows // 2 :]))
    holdout = root / "holdout.jsonl"
    held = [
        line for name in sorted(TEST_AUTHORS) if (corpus / f"{name}.jsonl").exists() for line in _lines(corpus, name)
    ]
    holdout.write_bytes(b"\n".join(held[:HOLDOUT]) + b"\n")
    request, bus = asked(champion_of(registry), *shards), memory_bus(1)
    for event in (*shards, request):
        bus.write(record(event))
    known = run_settings(root, registry, trainer_corpus=corpus, trainer_holdout=holdout)
    return Place(known, registry, champion_of(registry), request, shards, bus)


def _lines(corpus: Path, name: str) -> list[bytes]:
    return (corpus / f"{name}.jsonl").read_bytes().splitlines()
