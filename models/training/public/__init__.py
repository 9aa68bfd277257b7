"""Public mail beside the annotated: partial labels from collections that the user keeps; no row of them is in the project."""

from mailweir.models.training.public.collection import PublicRow
from mailweir.models.training.public.load import load_public

__all__ = ["PublicRow", "load_public"]
