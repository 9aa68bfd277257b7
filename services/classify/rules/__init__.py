"""A tenant's rules: data that decides mail before any model does."""

from mailweir.services.classify.rules.apply import covers, ruled, ruled_alone
from mailweir.services.classify.rules.book import Rulebook, Setting
from mailweir.services.classify.rules.reading import read_rules

__all__ = ["Rulebook", "Setting", "covers", "read_rules", "ruled", "ruled_alone"]
