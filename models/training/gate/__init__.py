"""May a candidate take the champion's place? Every rule with its figures and its reason; nothing here loads a model but `run`."""

from mailweir.models.training.gate.judge import judge
from mailweir.models.training.gate.limits import Limits
from mailweir.models.training.gate.sitting import Neighbours, Sitting
from mailweir.models.training.gate.verdict import Check, Rule, Verdict

__all__ = ["Check", "Limits", "Neighbours", "Rule", "Sitting", "Verdict", "judge"]
