"""Ingest: raw mail becomes `Email`, in processes of its own, within limits."""
