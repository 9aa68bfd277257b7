"""The annotated rows themselves: what is wrong with them, how they are spread, how far two annotators agree; sets built of them."""

from mailweir.models.training.data.agreement import Comparison, compare, read_annotations
from mailweir.models.training.data.build import Built, build, write_rows
from mailweir.models.training.data.check import Findings, check_rows
from mailweir.models.training.data.history import Judged, Mail, judge, place_of
from mailweir.models.training.data.recipe import BuildRecipe, read_recipe
from mailweir.models.training.data.rows import Rows, read_rows

__all__ = [
    "BuildRecipe",
    "Built",
    "Comparison",
    "Findings",
    "Judged",
    "Mail",
    "Rows",
    "build",
    "check_rows",
    "compare",
    "judge",
    "place_of",
    "read_annotations",
    "read_recipe",
    "read_rows",
    "write_rows",
]
