"""From mails a day to workers, partitions, brokers, disk, network and cost: a formula over one table of figures.

Nothing here is measured anew: `FIGURES` holds each number with where it comes from, a command for what was measured on this
project and the word "assumed" for what differs from house to house.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mailweir.schemas.topics import CLASSIFIED, DEAD, FEEDBACK, PARSED, RAW, TOPICS, Topic

__all__ = ["FIGURES", "Figure", "Load", "Plan", "TopicPlan", "WorkerPlan", "plan"]

_DAY_S = 86_400
_DAY_MS = _DAY_S * 1_000
_MONTH_H = 730
_FOOTPRINT = "PYTHONPATH=tests python tests/bench/footprint.py 1000"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the formula: what it is, in what unit, and where it comes from."""

    value: float
    unit: str
    meaning: str
    source: str  # a command, or why it is assumed


FIGURES: Mapping[str, Figure] = {
    "cpu_ingest": Figure(0.95, "ms CPU a mail", "ingest, parser process included", _FOOTPRINT),
    "cpu_classify": Figure(14.4, "ms CPU a mail", "classify, encoder on every mail", _FOOTPRINT),
    "cpu_review": Figure(0.52, "ms CPU a mail", "review, reads every decision", _FOOTPRINT),
    "cpu_feedback": Figure(2.1, "ms CPU a word", "feedback, mail and decision found again", _FOOTPRINT),
    "mb_ingest": Figure(239, "MB a worker", "ingest, parser process included", _FOOTPRINT),
    "mb_classify": Figure(232, "MB a worker", "classify", _FOOTPRINT),
    "mb_review": Figure(112, "MB a worker", "review", _FOOTPRINT),
    "mb_feedback": Figure(142, "MB a worker", "feedback", _FOOTPRINT),
    "mb_retrain": Figure(148, "MB a worker", "retrain", _FOOTPRINT),
    "bytes_parsed": Figure(785, "bytes a mail", "mail.parsed on disk, lz4, one copy", _FOOTPRINT),
    "bytes_classified": Figure(743, "bytes a mail", "mail.classified on disk, lz4, one copy", _FOOTPRINT),
    "bytes_feedback": Figure(178, "bytes a word", "mail.feedback on disk, lz4, one copy", _FOOTPRINT),
    "bytes_raw": Figure(
        75_000, "bytes a mail", "mail.raw, attachments included", "assumed: --mail-bytes; look at your gateway"
    ),
    "words": Figure(0.01, "words a mail", "people's words about decisions", "assumed: one mail in a hundred"),
    "dead": Figure(0.001, "of all mails", "dead letters", "assumed: one mail in a thousand"),
    "peak": Figure(3.0, "times the mean", "busiest minutes over the day's mean", "assumed: --peak; office hours"),
    "busy": Figure(
        0.6, "of a core", "how full a worker's core may be at the peak", "assumed: catching up after an outage"
    ),
    "spread": Figure(1.5, "partitions a worker", "room to add workers without new partitions", "assumed"),
    "disk_full": Figure(0.7, "of a disk", "how full a broker's disk may be", "assumed: usual alert level"),
    "broker_mb_s": Figure(100, "MB/s a broker", "written, copies included", "assumed: half of a 2 Gbit/s disk"),
    "broker_tb": Figure(16, "TB a broker", "disk", "assumed"),
    "broker_partitions": Figure(
        2_000, "copies a broker", "partitions, copies included", "assumed: half of the usual limit"
    ),
    "usd_core_hour": Figure(0.04, "USD", "a core with its memory for an hour", "assumed: list prices of clouds"),
    "usd_gb_month": Figure(0.05, "USD", "a GB of broker disk for a month", "assumed: list prices of clouds"),
    "broker_cores": Figure(4, "cores a broker", "", "assumed"),
}


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for."""

    mails_per_day: int
    mail_bytes: int = int(FIGURES["bytes_raw"].value)
    peak: float = FIGURES["peak"].value
    replication: int = 3
    raw_days: float = RAW.retention_ms / _DAY_MS

    @property
    def mean_per_s(self) -> float:
        """Mails a second over the day."""
        return self.mails_per_day / _DAY_S

    @property
    def peak_per_s(self) -> float:
        """… in the busiest minutes."""
        return self.mean_per_s * self.peak


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """Workers of one agent, a process and a core each."""

    agent: str
    workers: int
    cores_busy: float  # at the peak
    memory_gb: float  # of all


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """One topic that grows with the mail."""

    topic: str
    partitions: int
    mb_s_peak: float  # written by producers, one copy
    days: float
    disk_tb: float  # all copies, and the room that stays free


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer."""

    load: Load
    workers: tuple[WorkerPlan, ...]
    topics: tuple[TopicPlan, ...]
    brokers: int
    brokers_by: str  # what asks for so many: network, disk, partitions, or copies
    written_mb_s: float  # at the peak, all copies
    read_mb_s: float  # at the peak, by our workers
    disk_tb: float
    usd_month: float

    @property
    def usd_million(self) -> float:
        """Cost of a million mails."""
        return self.usd_month / (self.load.mails_per_day * _MONTH_H / 24 / 1e6)


def plan(load: Load) -> Plan:
    """Workers, topics, brokers, disk and cost for this load; every number of it follows from `FIGURES`."""
    workers = _workers(load)
    counts = {worker.agent: worker.workers for worker in workers}
    topics = tuple(_topic(load, topic, counts) for topic in (RAW, PARSED, CLASSIFIED, FEEDBACK, DEAD))
    written = sum(topic.mb_s_peak for topic in topics) * load.replication
    disk = sum(topic.disk_tb for topic in topics)
    copies = sum(_partitions(topic, counts) for topic in TOPICS) * load.replication
    brokers, why = _brokers(load, written, disk, copies)
    cores = sum(counts.values()) + brokers * _of("broker_cores")
    cost = cores * _MONTH_H * _of("usd_core_hour") + disk * 1_000 * _of("usd_gb_month")
    return Plan(load, workers, topics, brokers, why, written, _read(topics), disk, cost)


def _of(name: str) -> float:
    return FIGURES[name].value


def _workers(load: Load) -> tuple[WorkerPlan, ...]:
    per_s = load.peak_per_s
    work = {"ingest": per_s, "classify": per_s, "review": per_s, "feedback": per_s * _of("words")}
    busy = {agent: rate * _of(f"cpu_{agent}") / 1_000 for agent, rate in work.items()} | {"retrain": 0.0}
    return tuple(_workers_of(agent, cores) for agent, cores in busy.items())


def _workers_of(agent: str, cores: float) -> WorkerPlan:
    # one partition has one log: a second retrain worker would only wait. Of the others two, so that one may fail
    count = 1 if agent == "retrain" else max(2, math.ceil(cores / _of("busy")))
    return WorkerPlan(agent, count, cores, count * _of(f"mb_{agent}") / 1_000)


def _partitions(topic: Topic, workers: Mapping[str, int]) -> int:
    """A multiple of the table's number that gives each reading worker `spread` partitions; a topic of one log stays one."""
    if topic.partitions == 1:
        return 1
    readers = max((workers.get(agent, 0) for agent in topic.readers), default=0)
    return topic.partitions * max(1, math.ceil(readers * _of("spread") / topic.partitions))


def _topic(load: Load, topic: Topic, workers: Mapping[str, int]) -> TopicPlan:
    size = {
        "raw": load.mail_bytes,
        "parsed": _of("bytes_parsed"),
        "classified": _of("bytes_classified"),
        "feedback": _of("bytes_feedback") * _of("words"),
        "dead": load.mail_bytes * _of("dead"),
    }[topic.name]
    days = load.raw_days if topic.name == "raw" else topic.retention_ms / _DAY_MS
    disk = load.mails_per_day * size * days * load.replication / _of("disk_full")
    return TopicPlan(f"mail.{topic.name}", _partitions(topic, workers), load.peak_per_s * size / 1e6, days, disk / 1e12)


def _read(topics: tuple[TopicPlan, ...]) -> float:
    """Each reading agent reads all of a topic: ingest mail.raw; classify mail.parsed; review mail.classified; feedback its own."""
    return sum(topic.mb_s_peak for topic in topics if topic.topic != "mail.dead")


def _brokers(load: Load, written: float, disk: float, copies: int) -> tuple[int, str]:
    asked = {
        "copies": load.replication,
        "network": math.ceil(written / _of("broker_mb_s")),
        "disk": math.ceil(disk / _of("broker_tb")),
        "partitions": math.ceil(copies / _of("broker_partitions")),
    }
    why = max(asked, key=lambda name: asked[name])
    return asked[why], why
