"""The demo, as a person runs it: to its end, cut off in the middle, and staying up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from command import mailweir, running

from mailweir.services.cli.sample_mails import samples

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's logs and data go where the test's do, so that what it leaves behind is seen."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")


def _descendants(pid: int) -> list[int]:
    """Processes below one, at this moment."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    ]
    return children + [below for child in children for below in _descendants(child)]


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and _state(pid) != "Z"]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def _gone(pids: list[int], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while _alive(pids) and time.monotonic() < end:
        time.sleep(0.1)
    return not _alive(pids)


def _lines_until(process: subprocess.Popen[str], word: str) -> Iterator[str]:
    assert process.stdout
    for line in process.stdout:
        yield line
        if line.startswith(word):
            return


def test_the_demo_shows_every_mail_and_ends_well(tmp_path: Path) -> None:
    """Each sample has its row, each poison mail its cause; then metrics and the loop, and nothing is left but the logs it named."""
    done = mailweir("demo", seconds=280, metrics_port="0")
    assert done.code == 0, done.err
    mails = samples()
    good = [mail.name.rpartition("/")[2] for mail in mails if mail.kind != "poison"]
    rows = [line.split()[0] for line in done.out.splitlines() if line.strip()]
    assert {name for name in good if rows.count(name) != 1} == set()
    assert f"{len(mails)} sent" in done.out
    assert {"sums", "asks"} <= set(rows)
    assert "not_a_mail  poison/not-a-mail" in done.out
    assert "limit_exceeded  poison/too-deep" in done.out
    assert f"{len(good)} published, 2 rejected" in done.out
    assert done.out.count("/metrics") == 2
    [logs] = tmp_path.iterdir()
    assert str(logs) in done.out
    assert sorted(path.name for path in logs.iterdir()) == ["loop", "worker-classify.log", "worker-ingest.log"]
    assert re.search(r"^Run +promoted: .* passed the gate", done.out, re.MULTILINE)
    assert re.search(r"^Rollback +300 mails .* are decided again", done.out, re.MULTILINE)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_demo_that_is_cut_off_leaves_no_process(number: signal.Signals, code: int) -> None:
    """Neither broker nor workers outlive it, also after kill -9."""
    with running("demo", metrics_port="0") as process:
        assert any(line.startswith("Workers") for line in _lines_until(process, "Workers"))
        started = _descendants(process.pid)
        assert len(started) >= 4  # a guard and its broker, two workers
        os.kill(process.pid, number)
        assert process.wait(60) == code
    assert _gone(started)


def _shown(page: str, board: str) -> float | None:
    """What a dashboard's first panel shows of this moment."""
    with urlopen(f"{page}api/boards/{board}/panels/2?range=15m") as answer:
        lines = json.load(answer)["series"]
    shown: list[float] = [value for line in lines for value in line["values"] if value is not None]
    return shown[-1] if shown else None


def test_kept_up_it_takes_mail_from_a_second_terminal() -> None:
    """It prints the addresses, works on, shows both workers and its dead letters on the dashboard, and Ctrl-C is its good end."""
    with running("demo", "--keep", metrics_port="0") as process:
        lines = list(_lines_until(process, "  export MAILWEIR_KAFKA_BOOTSTRAP="))
        address = lines[-1].strip().partition("=")[2]
        before = mailweir("watch", "--json", "--from-beginning", "--timeout", 5, kafka_bootstrap=address).rows()
        assert len(before) == 52
        [page] = re.findall(r"^Dashboard (http://127.0.0.1:[0-9]+/), ", "".join(lines), re.MULTILINE)
        assert f"  {page}overview?range=15m&refresh=10\n" in lines
        while _shown(page, "overview") != 2:  # Prometheus comes round within seconds, or the test's time is over
            time.sleep(0.2)
        while _shown(page, "dead-letters") != 2:  # the demo's own two: Prometheus looked before they were sent
            time.sleep(0.2)
        sent = mailweir(
            "send", "-", "--mailbox", "new", stdin=b"Subject: hello\n\nHow are you?\n", kafka_bootstrap=address
        )
        assert sent.code == 0
        after = mailweir("watch", "--json", "--from-beginning", "--count", 53, "--timeout", 60, kafka_bootstrap=address)
        assert after.code == 0
        started = _descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert _gone(started)


def test_a_worker_that_dies_ends_the_demo_with_its_log() -> None:
    """Exit code 1 and the path of the log, not a wait for mail that nobody will decide."""
    with running("demo", "--keep", metrics_port="0") as process:
        [*_, line] = _lines_until(process, "Workers")
        worker = int(line.partition("classify (pid ")[2].partition(")")[0])
        os.kill(worker, signal.SIGKILL)
        assert process.wait(60) == 1
        assert process.stderr
        assert "worker-classify.log" in process.stderr.read()
