"""The command line against a real broker, every command as its own process: topics, send, worker, watch, dead."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from command import Ran, mailweir, running

from mailweir.schemas.events import JSON_MAIL, Decision, RawEmail
from mailweir.schemas.headers import header
from mailweir.schemas.topics import MAX_MAIL_BYTES, RAW, TOPICS
from mailweir.services.broker import KafkaCluster
from mailweir.services.cli.sample_mails import FOLDER
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing, Record
from mailweir.services.stream.tail import Tail

pytestmark = pytest.mark.kafka

Run = Callable[..., Ran]


@pytest.fixture
def place(kafka: KafkaCluster) -> dict[str, str]:
    """A part of the broker for one test: topics and groups with a prefix of their own, none of which exists."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    return {"kafka_bootstrap": kafka.bootstrap, "topic_prefix": prefix, "group_prefix": prefix, "metrics_port": "0"}


@pytest.fixture
def run(place: dict[str, str]) -> Run:
    """The command on that part, with its topics."""
    assert mailweir("topics", "apply", "--partitions", 2, **place).code == 0
    return lambda *arguments, **options: mailweir(*arguments, **place, **options)


@pytest.fixture
def worker(run: Run, place: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A worker of both agents, ready."""
    with running("worker", **place, log_level="error") as process:
        assert process.stdout
        ready = orjson.loads(process.stdout.readline())
        assert (ready["ready"], ready["stages"]) == (True, ["ingest", "classify"])
        with urllib.request.urlopen(ready["metrics"]) as answer:
            assert b"mailweir_assigned_partitions" in answer.read()
        yield process


async def _records(place: dict[str, str]) -> list[Record]:
    async with Tail(Settings(**place), RAW) as tail:  # type: ignore[arg-type]  # pydantic reads strings
        return [record async for record in tail.present(1_000)]


def test_topics_are_compared_created_and_listed(place: dict[str, str]) -> None:
    """`check` fails until `apply` was run; `apply` twice does nothing the second time; `list` knows what is there."""
    before = mailweir("topics", "check", **place)
    assert before.code == 1
    assert f"{place['topic_prefix']}.raw: topic is missing, expected present" in before.out
    assert [row["exists"] for row in mailweir("topics", "list", "--json", **place).rows()] == [False] * len(TOPICS)
    created = mailweir("topics", "apply", **place)
    assert (created.code, len(created.out.splitlines())) == (0, len(TOPICS))
    assert "nothing to do" in mailweir("topics", "apply", **place).out
    assert mailweir("topics", "check", "--json", **place).rows() == []
    assert [row["exists"] for row in mailweir("topics", "list", "--json", **place).rows()] == [True] * len(TOPICS)


@pytest.mark.parametrize(
    "arguments", [["worker"], ["send", str(FOLDER / "en")], ["watch"], ["dead", "list"]], ids=" ".join
)
def test_a_missing_topic_names_the_command_that_creates_it(place: dict[str, str], arguments: list[str]) -> None:
    """No command waits for a topic that nobody will create."""
    done = mailweir(*arguments, **place)
    assert done.code == 2
    assert f"{place['topic_prefix']}." in done.err
    assert "mailweir topics apply" in done.err


async def test_sent_mails_are_on_the_topic_byte_for_byte(run: Run, place: dict[str, str], tmp_path: Path) -> None:
    """Keyed by mailbox, with their content type; JSON with CloudEvents headers under the id that ingest will give it."""
    row = {"id": "r1", "subject": "s", "from": "a@example.org", "mailbox": "hr", "more": 1}
    (tmp_path / "rows.jsonl").write_bytes(orjson.dumps(row))
    mail = (FOLDER / "en" / "work-complaint.eml").read_bytes()
    (tmp_path / "one.eml").write_bytes(mail)
    done = run("send", tmp_path, "--mailbox", "sales")
    assert (done.code, done.out) == (0, "")
    assert "2 sent to" in done.err
    found = {header(record.headers, "content-type"): record for record in await _records(place)}
    plain, json = found["message/rfc822"], found[JSON_MAIL]
    assert (plain.key, plain.value) == (b"sales", mail)
    assert json.key == b"hr"
    assert header(json.headers, "ce_id") == RawEmail.decode(json.value).email_id("hr")
    assert header(json.headers, "ce_type") == "mailweir.raw_email.v1"


async def test_what_cannot_be_sent_is_named_and_the_rest_goes_on(
    run: Run, place: dict[str, str], tmp_path: Path
) -> None:
    """A mail of 26 MB goes, one byte more does not; rubbish is skipped; the exit code says that something was."""
    head = b"Subject: large\n\n"
    (tmp_path / "a.eml").write_bytes(head.ljust(MAX_MAIL_BYTES + 1, b"x"))
    (tmp_path / "b.eml").write_bytes(head.ljust(MAX_MAIL_BYTES, b"x"))
    (tmp_path / "c.bin").write_bytes(b"\x00rubbish")
    (tmp_path / "d.eml").write_bytes(head)
    done = run("send", tmp_path)
    assert done.code == 1
    assert f"{tmp_path / 'a.eml'} skipped: 26.0 MB, more than" in done.err
    assert f"{tmp_path / 'c.bin'} skipped: " in done.err
    assert "2 sent to" in done.err
    assert sorted(len(record.value) for record in await _records(place)) == [len(head), MAX_MAIL_BYTES]


async def test_a_pipe_and_a_rate(run: Run, place: dict[str, str]) -> None:
    """Standard input is told apart by its beginning: rows, an mbox, a mail."""
    mail = b"Subject: x\n\ny\n"
    for stdin in (b'{"id": "1"}\n{"id": "2"}\n', b"From a Mon Mar  2 09:14:00 2026\n" + mail, mail):
        assert run("send", "-", "--rate", 100, stdin=stdin).code == 0
    values = [record.value for record in await _records(place)]
    assert (len(values), values.count(mail)) == (4, 2)


def test_a_mail_goes_through_the_workers_and_is_decided_as_without_them(
    run: Run, worker: subprocess.Popen[str]
) -> None:
    """`watch` prints what `classify` prints, but for the place, times and name; SIGTERM ends the worker with 0."""
    mails = sorted((FOLDER / "en").glob("work-*.eml"))
    assert run("send", *mails).code == 0
    watched = run("watch", "--json", "--from-beginning", "--count", len(mails), "--timeout", 60)
    assert watched.code == 0, watched.err
    alone = run("classify", "--json", *mails)
    assert _answers(watched.rows()).keys() == _answers(alone.rows()).keys()
    for key, answer in _answers(watched.rows()).items():
        assert answer.same_answer(_answers(alone.rows())[key])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def _answers(rows: list[Any]) -> dict[str, Decision]:
    return {row["decision_id"]: Decision.from_json(row | {"input_id": None}) for row in rows}


def test_watching_ends_when_it_is_told_to(run: Run, place: dict[str, str]) -> None:
    """Too few in time: 1, and it says how many; no count: 0; from the end, nothing old is shown."""
    decision = mailweir("classify", "--json", FOLDER / "en" / "spam-late-uncle.eml").out.encode()
    _write(place, "classified", decision.strip(), b"no decision")
    short = run("watch", "--from-beginning", "--count", 2, "--timeout", 3)
    assert short.code == 1
    assert "1 of 2 decisions within 3 s" in short.err
    assert ".classified[" in short.err  # the record that is none was named
    heading, row = short.out.splitlines()
    assert (heading.split()[2], row.split()[2]) == ("category", "spam")
    assert run("watch", "--json", "--timeout", 2).out == ""
    assert run("watch", "--timeout", 1).code == 0


def test_ctrl_c_ends_a_watch_quietly(run: Run, place: dict[str, str]) -> None:
    """Exit code 130 and no traceback."""
    with running("watch", **place) as process:
        assert process.stderr
        assert "Ctrl-C ends" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == ""


def test_a_dead_letter_can_be_listed_read_and_saved(run: Run, worker: subprocess.Popen[str], tmp_path: Path) -> None:
    """With its cause and, byte for byte, what it was."""
    poison = sorted((FOLDER / "poison").iterdir())
    assert run("send", "--as-is", *poison, "--mailbox", "sales").code == 0
    letters = _until(lambda: {row["code"]: row for row in run("dead", "list", "--json").rows()}, 2)
    assert letters.keys() == {"not_a_mail", "limit_exceeded"}
    letter = letters["not_a_mail"]
    assert (letter["stage"], letter["key"], letter["bytes"]) == ("ingest", "sales", 512)
    assert len(run("dead", "list", "--json", "--limit", 1).rows()) == 1
    assert "limit_exceeded" in run("dead", "list").out

    saved = tmp_path / "saved"
    shown = run("dead", "show", letter["place"], "--raw", saved)
    assert (shown.code, saved.read_bytes()) == (0, poison[0].read_bytes())
    assert letter["message"] in shown.out
    assert "\x00" not in shown.out
    [whole] = run("dead", "show", letter["place"], "--json").rows()
    assert ["content-type", "message/rfc822"] in whole["headers"]
    nothing = run("dead", "show", f"{letter['place']}99")
    assert (nothing.code, nothing.out) == (2, "")


async def test_looking_leaves_no_trace(run: Run, place: dict[str, str]) -> None:
    """Neither `watch` nor `dead` makes a consumer group."""
    run("watch", "--timeout", 1)
    run("dead", "list")
    admin = AIOKafkaAdminClient(bootstrap_servers=place["kafka_bootstrap"])
    await admin.start()
    try:
        assert not [name for name, _ in await admin.list_consumer_groups() if name.startswith(place["topic_prefix"])]
    finally:
        await admin.close()


def test_a_bundle_that_cannot_be_used_stops_the_worker_before_it_takes_mail(run: Run, tmp_path: Path) -> None:
    """Exit code 2, the folder and the remedy."""
    done = run("worker", "classify", bundle=str(tmp_path))
    assert (done.code, done.out) == (2, "")
    assert f"mailweir: {tmp_path}" in done.err


def test_kafka_up_says_where_it_is_and_ends_with_0(tmp_path: Path) -> None:
    """One JSON line; its address works; SIGTERM stops it."""
    with running("kafka", "up", "--port", "0", "--dir", tmp_path / "kafka") as process:
        assert process.stdout
        ready = orjson.loads(process.stdout.readline())
        assert mailweir("topics", "apply", kafka_bootstrap=ready["bootstrap"]).code == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def _write(place: dict[str, str], topic: str, *values: bytes) -> None:
    async def write() -> None:
        settings = Settings(**place)  # type: ignore[arg-type]  # pydantic reads strings
        sink = KafkaBus(settings).sink()
        await sink.start()
        await sink.send([Outgoing(settings.topic_name(topic), None, value) for value in values])
        await sink.stop()

    asyncio.run(write())


def _until(ask: Callable[[], dict[str, Any]], count: int) -> dict[str, Any]:
    """Ask again until there are so many, at most 60 times."""
    for _ in range(60):
        found = ask()
        if len(found) >= count:
            return found
    raise AssertionError(f"{len(found)} of {count}: {found}")
