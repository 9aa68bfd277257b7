"""Offline: from annotated mail to a bundle. Needs the extra train, but for `corpus` and `measure`, which evaluation reads too."""
