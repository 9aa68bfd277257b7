"""Which feedback may be learned from, and which may not, each with its reason."""
