"""How well a bundle answers annotated rows: every figure, with numpy and the serving packages only.

Pictures (`mailweir.models.evaluation.pictures`) need the extra report.
"""

from mailweir.models.evaluation.answers import Answer, answer
from mailweir.models.evaluation.evaluate import Evaluation, evaluate
from mailweir.models.evaluation.rows import Example, read_examples

__all__ = ["Answer", "Evaluation", "Example", "answer", "evaluate", "read_examples"]
