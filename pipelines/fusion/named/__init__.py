"""The fusions that systems know by name, a module each."""
