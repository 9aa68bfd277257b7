"""What a run continues from: the weights that a bundle's training learned, as they lie in the bundle beside its graph.

The served graph holds merged int8 matrices, from which training could only go on with their rounding. Adapters, heads and tagger
in half precision are a fortieth of the bundle and go on where the training stood. Read and written without torch.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mailweir.models.runtime.integrity import read_manifest
from mailweir.schemas.errors import BundleError

LEARNED = "learned.npz"

Weights = Mapping[str, NDArray[np.float16]]
"""By the parameter's name in the network."""


@dataclass(frozen=True, slots=True)
class Start:
    """The weights of a bundle, and which bundle."""

    version: str
    weights: Weights

    def fingerprint(self) -> str:
        """Digest of names and weights."""
        digest = hashlib.sha256()
        for name, value in sorted(self.weights.items()):
            digest.update(f"{name} {value.shape}".encode() + value.tobytes())
        return digest.hexdigest()


def write_weights(file: Path, weights: Weights) -> None:
    """One array per name; the same weights give the same bytes."""
    np.savez(file, **dict(sorted(weights.items())))  # type: ignore[arg-type]  # its stub takes names for options


def read_start(bundle: Path) -> Start | None:
    """What the training of the bundle in this folder learned; None if it kept nothing, as where its encoder stayed frozen.

    Raises:
        BundleError: the folder is no bundle, or the file is damaged.
    """
    manifest, file = read_manifest(bundle), bundle / LEARNED
    if LEARNED not in manifest.files:
        return None
    try:
        with np.load(io.BytesIO(file.read_bytes())) as kept:  # of a damaged file numpy leaves the handle open
            weights = {name: np.asarray(kept[name], np.float16) for name in kept.files}
    except (OSError, ValueError, BadZipFile) as error:
        message = f"{file} cannot be read ({error}): restore the folder, or start from another bundle"
        raise BundleError(message, path=str(file)) from error
    return Start(manifest.model.version, weights)
