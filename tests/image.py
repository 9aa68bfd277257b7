"""An image as a folder, run as a container runtime would: read-only, nobody's user, no privileges, first process of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from house.source import ROOT

__all__ = ["Container", "declared"]

# mounts live and die with the namespace; /tmp is what the manifests mount, everything else belongs to the image
_ENTER = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t proc proc "$1/proc" && mount -t tmpfs -o size=256m tmpfs "$1/tmp"
root=$1; shift
exec chroot "$root" setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set -all --inh-caps -all "$@"
"""


def declared(dockerfile: Path) -> tuple[dict[str, str], list[str]]:
    """What a Dockerfile sets in the environment of its last stage, and the command of its health check."""
    last = dockerfile.read_text(encoding="utf-8").rpartition("\nFROM")[2].replace("\\\n", " ")
    [line] = re.findall(r"^ENV (.+)$", last, re.MULTILINE)
    variables = dict(word.split("=", 1) for word in line.split())
    [health] = re.findall(r"^HEALTHCHECK .*? CMD (\[.+\])$", last, re.MULTILINE)
    return variables, re.findall(r'"([^"]+)"', health)


class Container:
    """Processes of one image; all share this machine's network, and each has mounts and process ids of its own."""

    def __init__(self, image: Path, dockerfile: str, **environment: str) -> None:
        self._image = image
        variables, self.health = declared(ROOT / "deploy/docker" / dockerfile)
        variables["PATH"] = variables["PATH"].replace("$PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        self.environment = variables | environment

    def command(self, *words: str) -> list[str]:
        """The command line that runs these words inside."""
        return [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            _ENTER,
            "sh",
            str(self._image),
            *words,
        ]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """To its end."""
        return subprocess.run(
            self.command(*words), env=self.environment, cwd="/", capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
