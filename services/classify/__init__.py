"""Classify: parsed mail in batches → decisions."""
