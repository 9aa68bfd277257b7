"""Above which density a text is no mail, chosen on the validation mails."""

from collections.abc import Sequence

import numpy as np

from mailweir.models.text.tokens import Tokens
from mailweir.schemas.manifest import ScopeSpec

FALSE_ALARMS = 0.005
"""Share of ordinary mail that may be taken for none."""


def fit_scope(mails: Sequence[Tokens]) -> ScopeSpec | None:
    """The density that `FALSE_ALARMS` of the mails exceed; None where there are too few mails to tell."""
    if len(mails) * FALSE_ALARMS < 1:
        return None
    densities = np.array([tokens.density for tokens in mails])
    limit = round(float(np.quantile(densities, 1 - FALSE_ALARMS)), 4)
    return ScopeSpec(density=limit, false_alarms=round(float((densities > limit).mean()), 4))
