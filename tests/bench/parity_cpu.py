"""The shipped bundle on processors with and without VNNI: `python tests/bench/parity_cpu.py [MAILS]`. A report, not a test.

ONNX Runtime chooses its integer kernels by what the processor says of itself and has no switch for it. `without_vnni.c`, compiled
here (a C compiler is needed) and preloaded, changes what the processor says: first without VNNI, then without AVX-512 as well.
Needs Linux on x86-64 with `cpuid_fault` in /proc/cpuinfo; where that is missing the precision mode alone is switched.

Without VNNI the fast kernels add pairs of 8-bit products in 16 bits, which saturates. `session.x64quantprecision` makes
ONNX Runtime take precise ones, which do not and are slower; a bundle is served with it where /proc/cpuinfo shows no VNNI.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import onnxruntime

from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.runtime import graph as runtime_graph
from mailweir.models.training.corpus import VALIDATION_AUTHORS, load_mails
from mailweir.models.training.prepare import row_input

SOURCE = Path(__file__).with_name("without_vnni.c")
HIDDEN = {"without VNNI": "vnni", "without VNNI and AVX-512": "avx512"}
PRECISE = "session.x64quantprecision"


def answer(out: Path, *, mails: int, fast: bool) -> None:
    """Write the probabilities of every head for mails of the validation authors, and the CPU milliseconds of a mail."""
    onnxruntime.set_default_logger_severity(3)  # it would warn where the mode is set already
    runtime_graph.session_options = with_kernels(runtime_graph.session_options, fast=fast)
    rows = [row for row in load_mails() if row.author in VALIDATION_AUTHORS]
    inputs = [row_input(row) for row in rows[:: max(1, len(rows) // mails)]]
    bundle = Bundle.load(shipped_bundle())
    start = process_time()
    scores = bundle.classify(inputs, cascade=False)
    spent = (process_time() - start) * 1_000 / len(inputs)
    heads = {name: np.stack([one.heads[name] for one in scores]) for name in bundle.manifest.heads}
    np.savez(out, ms=spent, **heads)


def with_kernels(usual: Callable[[int], Any], *, fast: bool) -> Callable[[int], Any]:
    """The options of serving with the precision mode off or on."""

    def options(threads: int) -> Any:
        chosen = usual(threads)
        chosen.add_session_config_entry(PRECISE, "0" if fast else "1")
        return chosen

    return options


def preload(folder: Path) -> Path | None:
    """The compiled source, if this machine can compile and use it."""
    library = folder / "without_vnni.so"
    try:
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    able = subprocess.run(["true"], env={**os.environ, "LD_PRELOAD": str(library)}, check=False)
    return library if able.returncode == 0 else None


def run(out: Path, *, mails: int, fast: bool, hide: tuple[Path, str] | None = None) -> dict[str, np.ndarray]:
    """What a process of its own answers; `hide` is the compiled source and what it is to hide."""
    hidden = {"LD_PRELOAD": str(hide[0]), "HIDE": hide[1]} if hide else {}
    command = [sys.executable, __file__, str(mails), str(out), str(int(fast))]
    subprocess.run(command, env={**os.environ, **hidden}, check=True)
    return dict(np.load(out))


def report(title: str, usual: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    """Same labels and largest change of a probability, head by head."""
    print(f"{title} ({float(found['ms']):.1f} CPU ms a mail)", flush=True)
    for head in (name for name in usual if name != "ms"):
        same = float((usual[head].argmax(axis=1) == found[head].argmax(axis=1)).mean())
        print(
            f"  {head:<16} same label {same:.4f}, largest |dp| {np.abs(usual[head] - found[head]).max():.5f}",
            flush=True,
        )


def main(mails: int) -> None:
    """Every processor that can be played, with fast and with precise kernels, against the present one with fast ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = preload(folder)
        usual = run(folder / "usual.npz", mails=mails, fast=True)
        print(
            f"{len(usual['category'])} mails of the validation authors, {float(usual['ms']):.1f} CPU ms a mail",
            flush=True,
        )
        if library is None:
            print("no C compiler or no cpuid_fault here: VNNI cannot be switched off")
        report("this processor, precise kernels", usual, run(folder / "precise.npz", mails=mails, fast=False))
        for (title, hide), fast in product(HIDDEN.items() if library else (), (True, False)):
            found = run(folder / "found.npz", mails=mails, fast=fast, hide=(library, hide))
            report(f"{title}, {'fast' if fast else 'precise'} kernels", usual, found)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        answer(Path(sys.argv[2]), mails=int(sys.argv[1]), fast=sys.argv[3] == "1")
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
