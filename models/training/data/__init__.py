"""The annotated rows themselves: what is wrong with them, how they are spread, how far two annotators agree."""

from mailweir.models.training.data.agreement import Comparison, compare, read_annotations
from mailweir.models.training.data.check import Findings, check_rows
from mailweir.models.training.data.rows import Rows, read_rows

__all__ = ["Comparison", "Findings", "Rows", "check_rows", "compare", "read_annotations", "read_rows"]
