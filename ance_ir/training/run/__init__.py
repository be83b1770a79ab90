"""A training run: its settings, the loop, its checkpoints and its log."""
