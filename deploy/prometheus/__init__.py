"""Rules for Prometheus, their cases, and the same rules for the Prometheus operator: `python -m prometheus` writes those."""
