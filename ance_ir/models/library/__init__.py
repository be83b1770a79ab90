"""Families of models that sentence-transformers computes."""
