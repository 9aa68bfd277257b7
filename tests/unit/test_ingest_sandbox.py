"""Parser processes: results in place, one mail's accident costs that mail alone, and no process is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailweir.schemas.errors import (
    EmptyRecord,
    LimitExceeded,
    NotAMail,
    ParserCrashed,
    ParseTimeout,
    RecordError,
    SetupError,
    Unexpected,
)
from mailweir.schemas.events import Coordinates, Email
from mailweir.services.ingest import sandbox
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.parse import parse
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.sandbox import ParserPool
from mailweir.services.ingest.wire import decode_mail, encode_mail

# The real child with faults injected where its parser is called.
FAULTY = """
import os, time
from mailweir.services.ingest import child
real = child.parse
def parse(mail, limits):
    if b"CRASH" in mail.value: os._exit(3)
    if b"HANG" in mail.value: time.sleep(60)
    if b"DEFECT" in mail.value: raise TypeError("text of the mail")
    if b"MEMORY" in mail.value: raise MemoryError
    if b"ONCE" in mail.value and not os.path.exists(FLAG):
        open(FLAG, "w").close()
        os._exit(3)
    return real(mail, limits)
child.parse = parse
child.main()
"""


def mail(text: str) -> RawMail:
    return RawMail(f"From: a@b.example\nSubject: {text}\n\n{text}\n".encode(), "sales")


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(ParseLimits()) as running:
        yield running


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = f"FLAG = {str(tmp_path / 'flag')!r}\n{FAULTY}"
    monkeypatch.setattr(sandbox, "_CHILD", ("-c", code))


def bodies(results: list[Email | RecordError]) -> list[object]:
    return [result.body if isinstance(result, Email) else type(result) for result in results]


async def child_pid(pool: ParserPool) -> int:
    child = await pool._idle.get()
    pool._idle.put_nowait(child)
    assert child is not None
    return child.process.pid


async def test_results_stand_in_the_place_of_their_mails(pool: ParserPool) -> None:
    """Mails and rejects come back in the order of the input, equal to what parsing here gives."""
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(60))
    mails = [mail("one"), RawMail(b""), RawMail(b"no mail"), mail("two"), RawMail(b"From: a@b.example\n" + deep)]
    results = await pool.parse_all(mails)
    assert bodies(results) == ["one", EmptyRecord, NotAMail, "two", LimitExceeded]
    here = parse(mails[0], ParseLimits())
    assert isinstance(results[0], Email)
    assert results[0].model_copy(update={"parse_ms": 0.0}) == here.model_copy(update={"parse_ms": 0.0})
    rejected = results[4]
    assert isinstance(rejected, LimitExceeded)
    assert rejected.detail["setting"] == "MAILWEIR_INGEST_MAX_NESTING"


async def test_empty_batch_and_large_mail(pool: ParserPool) -> None:
    """No mails give no results; a mail far larger than a pipe arrives whole."""
    assert await pool.parse_all([]) == []
    large = RawMail(b"From: a@b.example\nContent-Type: text/plain\n\n" + b"0123456789abcde\n" * 500_000)
    (email,) = await pool.parse_all([large])
    assert isinstance(email, Email)
    assert email.truncated


async def test_batches_at_once_do_not_mix(pool: ParserPool) -> None:
    """Callers share the processes, each gets its own results."""
    batches = [[mail(f"{caller}-{number}") for number in range(20)] for caller in range(5)]
    results = await asyncio.gather(*map(pool.parse_all, batches))
    for caller, answers in enumerate(results):
        assert bodies(answers) == [f"{caller}-{number}" for number in range(20)]


async def test_two_workers_share_a_batch() -> None:
    """With two processes the results are in the order of the input all the same."""
    async with ParserPool(ParseLimits(), workers=2) as pool:
        assert bodies(await pool.parse_all([mail(str(n)) for n in range(7)])) == [str(n) for n in range(7)]


async def test_accidents_cost_their_own_mail_alone(faulty: None) -> None:
    """A crash, a hang, a defect and a lack of memory become that mail's error; all neighbours are parsed."""
    names = ["a", "CRASH", "b", "HANG", "c", "DEFECT", "d", "MEMORY", "e", "ONCE", "f"]
    async with ParserPool(ParseLimits(parse_seconds=1.0)) as pool:
        results = await pool.parse_all([mail(name) for name in names])
    expected = ["a", ParserCrashed, "b", ParseTimeout, "c", Unexpected, "d", ParserCrashed, "e", "ONCE", "f"]
    assert bodies(results) == expected
    errors = {type(result): result for result in results if isinstance(result, RecordError)}
    assert "MAILWEIR_INGEST_PARSE_SECONDS" in str(errors[ParseTimeout])
    assert "TypeError" in str(errors[Unexpected])
    assert "text of the mail" not in str(errors[Unexpected])


async def test_cancelled_batch_does_not_answer_the_next_one(faulty: None) -> None:
    """What an abandoned batch left in the pipes is not taken for the results of the next."""
    async with ParserPool(ParseLimits()) as pool:
        task = asyncio.ensure_future(pool.parse_all([mail("HANG"), mail("old")]))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bodies(await pool.parse_all([mail("new")])) == ["new"]


async def test_real_hostile_mail_is_cut_off() -> None:
    """A page nested so deep that reading it takes tens of seconds is a timeout, the mail behind it is read."""
    page = RawMail(b"From: a@b.example\nContent-Type: text/html\n\n" + b"<div>" * 150_000 + b"x")
    async with ParserPool(ParseLimits(parse_seconds=0.5)) as pool:
        assert bodies(await pool.parse_all([page, mail("after")])) == [ParseTimeout, "after"]


async def test_memory_is_limited() -> None:
    """A mail that needs more than the process may have is rejected, its neighbour is read."""
    huge = RawMail(b"From: a@b.example\nContent-Type: text/html\n\n" + b"<p>x</p>" * 3_000_000)
    limits = ParseLimits(parser_memory_bytes=600 * 1024**2, parse_seconds=60)
    async with ParserPool(limits) as pool:
        results = await pool.parse_all([huge, mail("after")])
    assert bodies(results) == [ParserCrashed, "after"]


async def test_child_killed_from_outside_costs_no_mail(pool: ParserPool) -> None:
    """An operator's or the kernel's kill of an idle process is made good by a new one."""
    os.kill(await child_pid(pool), signal.SIGKILL)
    assert bodies(await pool.parse_all([mail("one"), mail("two")])) == ["one", "two"]


async def test_child_ignores_the_signals_that_stop_its_parent(pool: ParserPool) -> None:
    """A stop sent to every process of a service does not break the batch in hand: the parent decides."""
    pid = await child_pid(pool)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(pid, number)
    assert bodies(await pool.parse_all([mail("still here")])) == ["still here"]
    assert await child_pid(pool) == pid
    assert os.getpgid(pid) != os.getpgid(0)


async def test_closed_pool_leaves_no_process_and_refuses_work() -> None:
    """After close the process is gone, and work is refused with what to do."""
    pool = ParserPool(ParseLimits())
    with pytest.raises(SetupError, match="start"):
        await pool.parse_all([mail("one")])
    await pool.start()
    pid = await child_pid(pool)
    await pool.close()
    await pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_child_that_cannot_start_is_a_setup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is found at start, not with the first mail."""
    monkeypatch.setattr(sandbox, "_CHILD", ("-c", "raise SystemExit(7)"))
    with pytest.raises(SetupError, match="exit code 7"):
        await ParserPool(ParseLimits()).start()


def test_child_dies_with_a_parent_that_is_killed(faulty: None, tmp_path: Path) -> None:
    """Even a process that hangs in a mail does not outlive `kill -9` of its parent."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio\n"
        "from mailweir.services.ingest import sandbox\n"
        "from mailweir.services.ingest.limits import ParseLimits\n"
        "from mailweir.services.ingest.raw import RawMail\n"
        f"sandbox._CHILD = {sandbox._CHILD!r}\n"
        "async def main():\n"
        "    pool = sandbox.ParserPool(ParseLimits(parse_seconds=60))\n"
        "    await pool.start()\n"
        "    child = await pool._idle.get()\n"
        "    pool._idle.put_nowait(child)\n"
        "    print(child.process.pid, flush=True)\n"
        "    await pool.parse_all([RawMail(b'From: a@b.example\\n\\nHANG')])\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.3)  # the child is inside the mail that hangs
        parent.kill()
    with contextlib.suppress(ProcessLookupError):
        for _ in range(100):  # up to ten seconds for the kernel to deliver
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return
            time.sleep(0.1)
        pytest.fail("the parser process outlived its parent")


def test_frames_carry_a_mail_unchanged() -> None:
    """What the child decodes is what the parent encoded, bytes and all."""
    source = Coordinates(topic="mail.raw", partition=1, offset=2)
    for one in (RawMail(bytes(range(256)), "satis\u0327", None, source), RawMail(b"", "", "application/json")):
        assert decode_mail(encode_mail(one)[4:]) == one
