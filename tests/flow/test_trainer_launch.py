"""The trainer agent on the in-memory bus: it starts a command for the open run, and small shell scripts stand for the trainer."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import memory_bus, until, value
from launched import UNTIL_GO, alive, end_of, ends, go, launcher, pid, request, starts, there
from shards import record

from mailweir.schemas.events import DeadLetter
from mailweir.services.stream import Outgoing
from mailweir.services.trainer.child import Child


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts leave their traces in a folder of the test."""
    monkeypatch.chdir(tmp_path)


async def test_the_open_run_is_carried_out_once_and_holds_no_partition() -> None:
    """The command gets its id; the request is committed while it runs; its end on the topic ends the run, and nothing follows."""
    bus, asked = memory_bus(1), request(1)
    async with launcher(bus, UNTIL_GO) as host:
        bus.write(record(asked))
        await until(lambda: starts() == [asked.run_id])
        await until(lambda: host.stream.readers[0].progress.finished == 1)
        await until(lambda: value(host, "mailweir_trainer_memory_bytes") > 0)
        assert value(host, "mailweir_trainer_running") == 1
        bus.write(end_of(asked))
        go()
        await until(lambda: value(host, "mailweir_trainer_runs_total", outcome="promoted") == 1)
        assert value(host, "mailweir_trainer_try_seconds_count") == 1
        await until(lambda: host.stream.readers[0].progress.finished == 2)
        assert (value(host, "mailweir_trainer_running"), value(host, "mailweir_trainer_memory_bytes")) == (0, 0)
    assert starts() == [asked.run_id]
    assert len(ends(bus)) == 1


async def test_void_requests_and_runs_that_ended_are_passed_over() -> None:
    """One ended, one goes on, one was asked for meanwhile: only the one that goes on is started, also by the next worker."""
    bus, ended, current, void = memory_bus(1), request(1, 9), request(2, 6), request(3, 3)
    for outgoing in (record(ended), end_of(ended, "refused"), record(current), record(void)):
        bus.write(outgoing)
    async with launcher(bus, UNTIL_GO) as host:
        await until(lambda: starts() == [current.run_id])
        bus.write(end_of(current, "refused"))
        go()
        await until(lambda: value(host, "mailweir_trainer_runs_total", outcome="refused") == 1)
    async with launcher(bus, UNTIL_GO) as host:
        await until(lambda: host.stream.readers[0].progress.assigned)
        later = request(4, 0)
        bus.write(record(later))
        await until(lambda: len(starts()) >= 2)
    assert list(dict.fromkeys(starts())) == [current.run_id, later.run_id]  # a second try may have begun already


async def test_a_crash_is_tried_once_more_and_then_told_with_its_last_error() -> None:
    """Two starts, one restart, one end on the topic: failed, with what the command said."""
    bus, asked = memory_bus(1), request(1)
    bus.write(record(asked))
    async with launcher(bus, "echo 'mailweir: the disk is full' >&2; exit 1") as host:
        await until(lambda: len(ends(bus)) == 1)
        await until(lambda: value(host, "mailweir_trainer_runs_total", outcome="failed") == 1)
        assert value(host, "mailweir_trainer_restarts_total") == 1
    [end] = ends(bus)
    assert (end.run_id, end.outcome, end.candidate, end.setup_failed) == (asked.run_id, "failed", None, False)
    assert "ended with exit code 1: the disk is full" in end.reasons[0]
    assert f"mailweir retrain run {asked.run_id[:12]}" in end.reasons[0]
    assert starts() == [asked.run_id] * 2


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "printf 'Traceback (most recent call last):\\nmodels.Broken: Dear Ann, my number is' >&2; exit 1",
            "code 1: Broken.",
        ),
        ("echo 'Dear Ann: my number is' >&2; exit 1", "code 1."),
        ("kill -9 $$", "ended by SIGKILL."),
    ],
)
async def test_a_traceback_gives_its_kind_away_and_nothing_that_it_quotes(script: str, said: str) -> None:
    """The message of a foreign error may hold a mail; a signal has a name."""
    bus = memory_bus(1)
    bus.write(record(request(1)))
    async with launcher(bus, script):
        await until(lambda: len(ends(bus)) == 1)
    [reason] = ends(bus)[0].reasons
    assert said in reason
    assert "Ann" not in reason


async def test_what_is_set_up_wrongly_is_told_at_once() -> None:
    """Exit code 2: another try would say the same."""
    bus = memory_bus(1)
    bus.write(record(request(1)))
    async with launcher(bus, "echo 'mailweir: no registry' >&2; exit 2"):
        await until(lambda: len(ends(bus)) == 1)
    assert "no registry" in ends(bus)[0].reasons[0]
    assert ends(bus)[0].setup_failed
    assert len(starts()) == 1


async def test_something_that_is_away_is_waited_for() -> None:
    """Exit code 3: the same command again and again, and no word of failure."""
    bus, asked = memory_bus(1), request(1)
    bus.write(record(asked))
    async with launcher(bus, '[ "$(wc -l < starts)" -gt 4 ] && exit 1; exit 3') as host:
        await until(lambda: len(starts()) >= 4)
        assert ends(bus) == []
        assert value(host, "mailweir_trainer_restarts_total") == 0


async def test_a_run_above_its_memory_is_stopped_and_told() -> None:
    """Sixty megabytes where twenty are allowed, in a process that the command started: no second try."""
    bus = memory_bus(1)
    bus.write(record(request(1)))
    hungry = "sh -c 'x=$(head -c 60000000 /dev/zero | tr \"\\0\" a); sleep 60'; exit 0"
    async with launcher(bus, hungry, trainer_memory_gib=0.02):
        await until(lambda: len(ends(bus)) == 1, 30)
    assert "GiB of memory, the limit is 0.02: raise MAILWEIR_TRAINER_MEMORY_GIB" in ends(bus)[0].reasons[0]
    assert len(starts()) == 1


async def test_a_run_that_takes_too_long_is_stopped_and_told() -> None:
    """Also one that does not listen; no second try."""
    bus = memory_bus(1)
    bus.write(record(request(1)))
    deaf = "trap '' TERM; echo $$ > pid; while :; do sleep 0.05; done"
    async with launcher(bus, deaf, trainer_hours=0.3 / 3_600):
        await until(lambda: len(ends(bus)) == 1)
    assert "raise MAILWEIR_TRAINER_HOURS" in ends(bus)[0].reasons[0]
    assert not alive(pid())
    assert len(starts()) == 1


@pytest.mark.parametrize("trap", ["trap 'echo told > term; exit 0' TERM; ", "trap '' TERM; "])
async def test_a_worker_that_stops_takes_the_process_along_and_the_next_one_goes_on(trap: str) -> None:
    """Politely first, by force after the grace; the run stays open, and a new worker starts it again."""
    bus, asked = memory_bus(1), request(1)
    bus.write(record(asked))
    async with launcher(bus, trap + "echo $$ > pid; " + UNTIL_GO):
        await until(lambda: pid() > 0)
    assert there("term") == ("told" in trap)
    assert not alive(pid())
    assert ends(bus) == []
    async with launcher(bus, UNTIL_GO) as host:
        await until(lambda: starts() == [asked.run_id] * 2)
        bus.write(end_of(asked))
        go()
        await until(lambda: value(host, "mailweir_trainer_runs_total", outcome="promoted") == 1)


async def test_a_worker_that_loses_the_partition_leaves_the_run_to_its_new_reader() -> None:
    """The process is stopped, nothing is told; when the partition is back the run goes on."""
    bus, asked = memory_bus(1), request(1)
    bus.write(record(asked))
    async with launcher(bus, UNTIL_GO) as host:
        await until(lambda: len(starts()) == 1)
        reader = host.stream.readers[0]
        reader.progress.partitions = 0
        await until(lambda: value(host, "mailweir_trainer_runs_total", outcome="left") == 1)
        assert ends(bus) == []
        reader.progress.partitions = 1
        await until(lambda: len(starts()) == 2)


async def test_what_is_no_run_goes_to_the_dead_letters_and_stops_nothing() -> None:
    """With the stage and the cause; the run after it is carried out."""
    bus, asked = memory_bus(1), request(1)
    bus.write(Outgoing("mail.retrain", b"x", b"nonsense"))
    bus.write(record(asked))
    async with launcher(bus, UNTIL_GO) as host:
        await until(lambda: starts() == [asked.run_id])
        await until(lambda: host.stream.readers[0].progress.finished == 2)
    [letter] = [DeadLetter.from_headers(one.headers) for one in bus.records("mail.dead")]
    assert (letter.stage, letter.code) == ("trainer", "invalid_event")


async def test_a_run_under_a_name_that_is_no_id_is_rejected() -> None:
    """The id names a folder and is an argument of a command: a path or a null character is neither."""
    bus = memory_bus(1)
    for name in ("../../escape", "/escape", "a\0b", "--help"):
        bus.write(record(request(1).model_copy(update={"run_id": name})))
    async with launcher(bus, "exit 0") as host:
        await until(lambda: host.stream.readers[0].progress.finished == 4)
        assert starts() == []
    assert {DeadLetter.from_headers(one.headers).code for one in bus.records("mail.dead")} == {"invalid_event"}


async def test_a_defect_of_the_launcher_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not stay, ready and idle, while every run waits to be given up."""

    async def broken(_: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(Child, "start", broken)
    bus, stopped = memory_bus(1), []
    bus.write(record(request(1)))
    async with launcher(bus, "exit 0") as host:
        monkeypatch.setattr(host, "stop_because", stopped.append)
        await until(lambda: bool(stopped))
    assert isinstance(stopped[0], ValueError)


async def test_a_broker_that_is_away_when_a_run_has_failed_hears_it_later() -> None:
    """The command ends while nobody listens; the end is told once the broker is back, exactly once."""
    bus = memory_bus(1)
    bus.write(record(request(1)))
    async with launcher(bus, UNTIL_GO + "exit 2") as host:
        await until(lambda: len(starts()) == 1)
        bus.away = True
        go()
        await until(lambda: value(host, "mailweir_trainer_running") == 0)
        assert ends(bus) == []
        bus.away = False
        await until(lambda: len(ends(bus)) == 1)
    assert len(ends(bus)) == 1
