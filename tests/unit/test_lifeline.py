"""A child process does not outlive its parent."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import os, signal, subprocess
from mailweir.services.lifeline import end_with
child = subprocess.Popen(["sleep", "600"], preexec_fn=end_with(os.getpid(), signal.SIGTERM))
print(child.pid, flush=True)
child.wait()
"""
ORPHAN = "import signal; from mailweir.services.lifeline import end_with; end_with(0, signal.SIGTERM)(); print('alive')"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_child_ends_when_its_parent_is_killed() -> None:
    """By kill -9, which no parent can prepare for."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert _alive(child)
        parent.kill()
    deadline = time.monotonic() + 30
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(child)


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    """It died between the fork and the call."""
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
