"""Serving: load a bundle, verify it, score mail, decide. No Kafka, and nothing that only training needs."""

from pathlib import Path

from mailweir.models.runtime.bundle import Bundle, Scores
from mailweir.models.runtime.policy import POLICY_VERSION, Verdict, decide, entity_precision_of
from mailweir.models.text.entities import find_entities

__all__ = [
    "POLICY_VERSION",
    "Bundle",
    "Scores",
    "Verdict",
    "decide",
    "entity_precision_of",
    "find_entities",
    "shipped_bundle",
]


def shipped_bundle(name: str = "email") -> Path:
    """Folder of a bundle that comes with the package."""
    return Path(__file__).parents[1] / "bundles" / name
