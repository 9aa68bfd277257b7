"""The formula behind `mailweir size`, and the page that shows what it says."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re

import pytest
from house.source import ROOT
from typer.testing import CliRunner

from mailweir.schemas.topics import MAX_MAIL_BYTES, RAW, TOPICS
from mailweir.services.cli.app import app
from mailweir.services.cli.size import as_markdown
from mailweir.services.cli.sizing import FIGURES, Load, plan, quotas
from mailweir.services.cli.worker import STAGES

PAGE = (ROOT / "deploy/SIZING.md").read_text(encoding="utf-8")


def _printed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["size", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("mails", [1_000_000, 100_000_000, 1_000_000_000])
def test_the_page_shows_what_the_command_prints(mails: int) -> None:
    """Every table of SIZING.md is the command's answer of today; a changed figure changes the page."""
    assert f"mailweir size --mails-per-day {mails}\n" in PAGE
    assert _printed("--mails-per-day", str(mails)).strip() in PAGE


def test_the_page_shows_every_figure_with_its_source() -> None:
    """The table of figures is the code's, too; each is measured by a script that is there, or says that it is assumed."""
    table = _printed("--mails-per-day", "1", "--figures").partition("| figure |")[2]
    assert "| figure |" + table.strip("\n") in PAGE
    for name, figure in FIGURES.items():
        script = re.match(r"PYTHONPATH=tests python (\S+\.py)", figure.source)
        assert figure.value > 0, name
        assert figure.source.startswith("assumed") or (script and (ROOT / script[1]).is_file()), name


def test_a_day_is_counted_by_hand() -> None:
    """86.4 million mails of 1,000 bytes, no peak, one copy, a day: 1,000 a second, and what follows from it."""
    made = plan(Load(86_400_000, mail_bytes=1_000, peak=1, replication=1, raw_days=1))
    agents = {worker.agent: worker for worker in made.workers}
    raw = made.topics[0]
    assert made.load.peak_per_s == 1_000
    assert agents["classify"].cores_busy == pytest.approx(FIGURES["cpu_classify"].value)
    assert agents["classify"].workers == math.ceil(FIGURES["cpu_classify"].value / FIGURES["busy"].value)
    assert (raw.topic, raw.mb_s_peak) == ("mail.raw", 1)
    assert raw.disk_tb == pytest.approx(86_400_000 * 1_000 / FIGURES["disk_full"].value / 1e12)


def test_copies_peak_and_days_are_counted_by_hand() -> None:
    """43.2 million mails of a million bytes, twice as many at the peak, three copies, two days: 1,000 a second, a GB, three on the disks."""
    made = plan(Load(43_200_000, mail_bytes=1_000_000, peak=2, replication=3, raw_days=2))
    topics = {topic.topic.removeprefix("mail."): topic for topic in made.topics}
    small = sum(FIGURES[f"bytes_{name}"].value for name in ("parsed", "classified"))
    small += FIGURES["words"].value * FIGURES["bytes_feedback"].value
    dead = FIGURES["dead"].value * 1_000_000
    assert (made.load.mean_per_s, made.load.peak_per_s, topics["raw"].mb_s_peak) == (500, 1_000, 1_000)
    assert made.read_mb_s == pytest.approx((1_000_000 + small) * 1_000 / 1e6)
    assert made.written_mb_s == pytest.approx((1_000_000 + small + dead) * 1_000 * 3 / 1e6)
    assert topics["raw"].disk_tb == pytest.approx(43.2e6 * 1e6 * 2 * 3 / FIGURES["disk_full"].value / 1e12)
    assert topics["parsed"].disk_tb == pytest.approx(
        43.2e6 * FIGURES["bytes_parsed"].value * 30 * 3 / FIGURES["disk_full"].value / 1e12
    )
    assert made.usd_million == pytest.approx(made.usd_month / (43.2 * 730 / 24))


def test_a_quota_is_a_users_share_of_a_broker_and_room() -> None:
    """Whoever writes or reads all mail has four times its bytes, spread over the brokers; no quota stops the largest mail."""
    load = Load(43_200_000, mail_bytes=1_000_000, peak=2)
    users = {one.user: one for one in quotas(load)}
    brokers = plan(load).brokers
    assert brokers > 10
    assert users["sender"].producer_byte_rate == math.ceil(4 * 1_000 * 1e6 / brokers)
    assert users["ingest"].consumer_byte_rate == users["sender"].producer_byte_rate
    assert users["trainer"].consumer_byte_rate < users["ingest"].consumer_byte_rate
    assert all(min(one.producer_byte_rate, one.consumer_byte_rate) * 10 >= MAX_MAIL_BYTES for one in users.values())
    assert max(one.consumer_byte_rate for one in quotas(Load(1))) == MAX_MAIL_BYTES // 10


def test_the_page_says_what_share_raw_mail_has() -> None:
    """At a hundred million a day, in whole percents."""
    made = plan(Load(100_000_000))
    disk = made.topics[0].disk_tb / made.disk_tb
    network = made.topics[0].mb_s_peak * made.load.replication / made.written_mb_s
    assert f"With attachments it is {disk:.0%} of disk and {network:.0%} of network".replace("%", " %") in PAGE


def test_more_mail_never_asks_for_less() -> None:
    """Workers, partitions, brokers, disk and cost grow or stay from each load to the next."""
    plans = [plan(Load(10**digits)) for digits in range(1, 11)]
    sizes = [
        [made.brokers, made.disk_tb, made.usd_month]
        + [worker.workers for worker in made.workers]
        + [topic.partitions for topic in made.topics]
        for made in plans
    ]
    assert all(a <= b for less, more in itertools.pairwise(sizes) for a, b in zip(less, more, strict=True))
    assert plans[0].usd_million > plans[-1].usd_million  # what is there anyway weighs less


@pytest.mark.parametrize("mails", [1, 10**6, 10**9])
def test_every_worker_has_a_partition_and_may_fail(mails: int) -> None:
    """No more workers of an agent than the topic that it reads has partitions; two at least where one can take over."""
    made = plan(Load(mails))
    parts = {topic.topic: topic.partitions for topic in made.topics}
    workers = {worker.agent: worker.workers for worker in made.workers}
    assert workers.keys() == STAGES.keys() - {"trainer"}
    for agent, topic in (("ingest", "raw"), ("classify", "parsed"), ("review", "classified"), ("feedback", "feedback")):
        assert 2 <= workers[agent] <= parts[f"mail.{topic}"]
    assert workers["retrain"] == 1


def test_few_mails_keep_the_tables_partitions_and_as_many_brokers_as_copies() -> None:
    """A small house takes what `mailweir topics apply` creates."""
    made = plan(Load(1))
    declared = {f"mail.{topic.name}": topic.partitions for topic in TOPICS}
    assert all(declared[topic.topic] == topic.partitions for topic in made.topics)
    assert (made.brokers, made.brokers_by) == (3, "copies")
    assert made.load.raw_days * 86_400_000 == RAW.retention_ms


@pytest.mark.parametrize(
    ("change", "cause"), [({"mail_bytes": 1_000_000, "raw_days": 0.01}, "network"), ({"raw_days": 365}, "disk")]
)
def test_what_asks_for_brokers_is_named(change: dict[str, float], cause: str) -> None:
    """Big mails fill the network, long retention the disks."""
    made = plan(dataclasses.replace(Load(100_000_000), **change))
    assert made.brokers_by == cause


def test_scripts_read_one_object() -> None:
    """--json has everything that the tables have, and the figures where they are asked for."""
    told = json.loads(_printed("--mails-per-day", "1000000", "--json", "--figures"))
    made = plan(Load(1_000_000))
    assert (told["brokers"], told["usd_month"]) == (made.brokers, made.usd_month)
    assert told["figures"]["cpu_classify"]["value"] == FIGURES["cpu_classify"].value
    assert as_markdown(made).count("\n| ---") == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("--mails-per-day", "1", "--peak", "inf"),
        ("--mails-per-day", "1", "--raw-days", "inf"),
        ("--mails-per-day", "9" * 400),
        ("--mails-per-day", "1", "--mail-bytes", "9" * 400),
        ("--mails-per-day", "1", "--replication", "9" * 400),
    ],
)
def test_a_number_that_cannot_be_is_refused(arguments: tuple[str, ...]) -> None:
    """Usage, not a traceback: what is beyond every cluster is a slip of the keyboard."""
    done = CliRunner().invoke(app, ["size", *arguments])
    assert done.exit_code == 2
    assert arguments[-2] in done.output


def test_few_mails_a_second_are_not_none() -> None:
    """A thousand a day is a hundredth of a mail a second."""
    assert "| mails a second, mean and peak | 0.012 and 0.035 |" in _printed("--mails-per-day", "1000")


def test_no_mail_at_all_is_refused() -> None:
    """Zero mails a day need no cluster: usage, exit code 2."""
    assert CliRunner().invoke(app, ["size", "--mails-per-day", "0"]).exit_code == 2
