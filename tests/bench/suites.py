"""Parser suites: run every mail of a folder or archive through ingest and report what became of it.

    python tests/bench/suites.py PATH... [--names] [--json]

A PATH is a folder, a `.tar` or a `.tar.zst` (needs the `zstd` command). Each is one line of the table: files, parsed,
rejected by code, warnings by code, empty bodies, crashed (the parser process died, was cut off or met a defect), CPU ms.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import io
import json
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mailweir.schemas.errors import ParserCrashed, ParseTimeout, RecordError, Unexpected
from mailweir.schemas.events import Email
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.parse import parse
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.sandbox import ParserPool

_NO_MAILS = frozenset(
    "au aiff bin bmp dat doc exr gif gitattributes jpg md out pbm pgm png ppm ras sgi tiff voc wav webp xbm xml".split()  # noqa: SIM905
)
_CRASHES = (ParserCrashed, ParseTimeout, Unexpected)
_BATCH = 64


@dataclass
class Report:
    """What became of one suite."""

    suite: str
    files: int = 0
    parsed: int = 0
    empty: int = 0
    crashed: int = 0
    cpu_ms: float = 0.0  # per parsed mail, in this process
    bytes_mean: int = 0
    rejected: dict[str, int] = field(default_factory=collections.Counter)
    warnings: dict[str, int] = field(default_factory=collections.Counter)
    names: dict[str, list[str]] = field(default_factory=lambda: collections.defaultdict(list))

    def count(self, name: str, result: Email | RecordError) -> None:
        """Add one mail."""
        self.files += 1
        if isinstance(result, RecordError):
            self.crashed += isinstance(result, _CRASHES)
            self.rejected[result.code] += 1
            self.names[result.code].append(name)
            return
        self.parsed += 1
        for code in result.warnings:
            self.warnings[code] += 1
        if not result.body.strip():
            self.empty += 1
            kinds = ",".join(sorted({attachment.content_type for attachment in result.attachments}))
            self.names["empty"].append(f"{name} [{kinds}] {' '.join(result.warnings)}")


def mails(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every file that can be a mail."""
    if path.is_dir():
        for file in sorted(entry for entry in path.rglob("*") if entry.is_file() and _can_be_mail(entry.name)):
            yield str(file.relative_to(path)), file.read_bytes()
        return
    data = path.read_bytes()
    if path.suffix == ".zst":
        zstd = shutil.which("zstd")
        if zstd is None:
            sys.exit("the command zstd is missing: sudo apt-get install zstd")
        data = subprocess.run([zstd, "-dqc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() and _can_be_mail(member.name) else None
            if content is not None:
                yield member.name, content.read()


def _can_be_mail(name: str) -> bool:
    file = name.rpartition("/")[2]
    return not file.startswith("_") and "_decoded_" not in file and file.rpartition(".")[2].lower() not in _NO_MAILS


async def run(path: Path, limits: ParseLimits) -> Report:
    """Parse one suite, then once more in this process to measure the CPU time of what parses."""
    report = Report(path.name.split(".")[0])
    found = list(mails(path))
    good: list[RawMail] = []
    async with ParserPool(limits) as pool:
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            results = await pool.parse_all([RawMail(value, "suite") for _, value in batch])
            for (name, value), result in zip(batch, results, strict=True):
                report.count(name, result)
                if isinstance(result, Email):
                    good.append(RawMail(value, "suite"))
    report.cpu_ms = _cpu_ms(good, limits)
    report.bytes_mean = sum(len(mail.value) for mail in good) // max(1, len(good))
    return report


def _cpu_ms(good: list[RawMail], limits: ParseLimits) -> float:
    if not good:
        return 0.0
    parse(good[0], limits)  # reads the language model
    before = time.process_time()
    for mail in good:
        parse(mail, limits)
    return round((time.process_time() - before) * 1000 / len(good), 3)


def show(report: Report, *, names: bool) -> None:
    """The report for people."""
    print(
        f"{report.suite}: {report.files} files, {report.parsed} parsed, {report.empty} empty, {report.crashed} crashed, "
        f"{report.cpu_ms:.2f} ms CPU a mail of {report.bytes_mean} bytes"
    )
    for title, counts in (("rejected", report.rejected), ("warnings", report.warnings)):
        listed = ", ".join(f"{code} {count}" for code, count in sorted(counts.items(), key=lambda item: -item[1]))
        print(f"  {title}: {listed or 'none'}")
    if names:
        for code, entries in report.names.items():
            print(f"  {code}:", *entries, sep="\n    ")


def main() -> None:
    """Report on each path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--names", action="store_true", help="list rejected and empty mails")
    parser.add_argument("--json", action="store_true", help="one JSON object per suite")
    options = parser.parse_args()
    for path in options.paths:
        report = asyncio.run(run(path, ParseLimits()))
        if options.json:
            print(json.dumps(asdict(report)))
        else:
            show(report, names=options.names)


if __name__ == "__main__":
    main()
