"""The kinds of stages, one in each module."""
