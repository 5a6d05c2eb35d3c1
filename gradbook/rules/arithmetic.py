"""Arithmetic that numbers, NumPy arrays and torch tensors understand alike."""

import sys

__all__ = ["sign", "larger", "smaller", "any_nonzero", "library"]


def sign(a):
    """−1, 0 or 1."""
    return a / (abs(a) + (a == 0))


def larger(a, b):
    """The larger of a and b, entry by entry."""
    return a * (a >= b) + b * (a < b)


def smaller(a, b):
    """The smaller of a and b, entry by entry."""
    return a * (a <= b) + b * (a > b)


def any_nonzero(value):
    return bool((value != 0).any()) if hasattr(value, "any") else value != 0


def library(a):
    """numpy or torch, whichever ``a`` belongs to."""
    return sys.modules[type(a).__module__.partition(".")[0]]
