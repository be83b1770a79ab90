"""Finding checkpoints and reading their files."""
