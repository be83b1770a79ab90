"""The kinds of feedback that systems know by name, a module each."""
