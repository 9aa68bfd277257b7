"""Feedback: what people say about decisions, kept for the next model."""
