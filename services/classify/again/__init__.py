"""Deciding again: what was decided is derived once more, to prove it (replay) or to repair it (reclassify)."""
