"""The process between us and a broker's JVM: it stops the JVM when we are gone, however we went.

Started by path with `python -I -S`, so it may import nothing but the standard library. Its standard input is a pipe whose
other end we hold: kill -9 on us closes the pipe, the guard reads the end of it and stops the JVM. Should the guard itself be
killed, Linux kills the JVM (PR_SET_PDEATHSIG).

    guard.py LOG GRACE_S THROWAWAY JVM-COMMAND...
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Run the JVM until it ends or our parent does; return the JVM's exit status."""
    log, grace_s, throwaway, *command = arguments
    with Path(log).open("ab") as output:
        jvm = subprocess.Popen(  # noqa: S603 (the command is our own)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_guard(),  # noqa: PLW1509 (no thread runs yet)
        )
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _number, _frame: _terminate(jvm))
    sys.stdout.write(f"{jvm.pid}\n")
    sys.stdout.close()
    abandoned = threading.Event()
    threading.Thread(target=_watch, args=(jvm, float(grace_s), abandoned), daemon=True).start()
    status = jvm.wait()
    if throwaway and abandoned.is_set():
        _throw_away(Path(throwaway))
    return status


def _die_with_guard() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, not between fork and exec
    guard = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:  # the guard died before the line above
            os._exit(1)

    return before_exec


def _terminate(jvm: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        jvm.send_signal(signal.SIGCONT)  # a paused broker would not see the next signal
        jvm.terminate()


def _watch(jvm: subprocess.Popen[bytes], grace_s: float, abandoned: threading.Event) -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    if jvm.poll() is None:
        abandoned.set()
        _terminate(jvm)
        threading.Event().wait(grace_s)
        jvm.kill()  # does nothing once the JVM is gone


def _throw_away(node: Path) -> None:
    """Remove the node's folder, and the last one to go the whole cluster's."""
    shutil.rmtree(node, ignore_errors=True)
    cluster = node.parent
    if cluster.is_dir() and not any(cluster.glob(f"{node.name.rstrip('0123456789')}*")):
        shutil.rmtree(cluster, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
