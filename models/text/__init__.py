"""A mail as a model sees it: text, zones, language, tokens, codes; shared by training and serving."""

from mailweir.models.text.entities import find_entities
from mailweir.models.text.model_input import ModelInput, compose

__all__ = ["ModelInput", "compose", "find_entities"]
