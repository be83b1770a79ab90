"""Texts to tensors to vectors: batches, the encoding loop, precision."""
