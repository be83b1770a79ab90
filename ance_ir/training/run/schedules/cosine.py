"""Half a cosine to 0 (Loshchilov and Hutter 2017)."""

import math


def factor(left: float) -> float:
    """(1 − cos(π · left)) / 2."""
    return (1 - math.cos(math.pi * left)) / 2
