"""Linearly to 0."""


def factor(left: float) -> float:
    """The share of the steps that are left."""
    return left
