"""What rules say, as scores: the policy over scores then holds for them as for any other answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mailweir.models.runtime import Scores
from mailweir.schemas.events import Reason
from mailweir.schemas.manifest import Manifest
from mailweir.services.classify.rules.book import Setting

__all__ = ["covers", "ruled", "ruled_alone"]


def covers(settings: Mapping[str, Setting], manifest: Manifest) -> bool:
    """True if rules answer every head: no model needs to be asked."""
    return manifest.heads.keys() <= settings.keys()


def ruled(scores: Scores, settings: Mapping[str, Setting], manifest: Manifest) -> Scores:
    """The scores with what rules say in place of the model's: certain, and with the rule's name as the reason."""
    if not settings:
        return scores
    heads = {
        head: np.array([float(label in setting.labels) for label in manifest.heads[head].labels])
        for head, setting in settings.items()
    }
    reasons = {head: (Reason(text=setting.rule, weight=1.0),) for head, setting in settings.items()}
    return replace(scores, heads={**scores.heads, **heads}, reasons={**scores.reasons, **reasons})


def ruled_alone(settings: Mapping[str, Setting], manifest: Manifest) -> Scores:
    """Scores of a mail that no model was asked about."""
    nothing = Scores({}, tokens=0, truncated=False, empty=False, tokenize_ms=0.0, model_ms=0.0, tier="rules")
    return ruled(nothing, settings, manifest)
