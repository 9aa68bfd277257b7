"""uPlot, which draws the graphs (Grafana's own library for them): files of the package `youplot`, which carries its release."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from mailweir.schemas.errors import SettingsError

__all__ = ["Library", "find_library"]

# of dist/uPlot.iife.min.js and dist/uPlot.min.css in uPlot's release 1.6.31: what runs in the browser is what its makers published
_SCRIPT = "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2"
_STYLE = "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"
_REMEDY = r"pip install 'mailweir[dashboard]'"


@dataclass(frozen=True, slots=True)
class Library:
    """Its two files."""

    script: bytes
    style: bytes


def find_library() -> Library:
    """Read it.

    Raises:
        SettingsError: it is not installed, or is another release.
    """
    spec = find_spec("youplot")
    if spec is None or spec.origin is None:
        raise SettingsError(f"the page needs a package to draw with: {_REMEDY}")
    folder = Path(spec.origin).parent / "vendor"
    return Library(_read(folder / "uplot.iife.min.js", _SCRIPT), _read(folder / "uplot.min.css", _STYLE))


def _read(file: Path, digest: str) -> bytes:
    content = file.read_bytes() if file.is_file() else b""
    if sha256(content).hexdigest() != digest:
        raise SettingsError(f"{file} is not of uPlot 1.6.31, which the page is made for: {_REMEDY}")
    return content
