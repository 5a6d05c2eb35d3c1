"""Checks of arguments: an error names the argument, its value, and what would be right."""

import os
from numbers import Integral


def check_whole(least=1, most=None, **named):
    for name, value in named.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, Integral)
            or value < least
            or most
            and value > most
        ):
            span = f"from {least} to {most}" if most else f"from {least} on"
            raise ValueError(f"{name} is {value!r}; it must be a whole number {span}")


def check_fraction(**named):
    for name, value in named.items():
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"{name} is {value!r}; it must be a number with 0 <= {name} < 1")


def check_not_negative(**named):
    for name, value in named.items():
        if isinstance(value, (str, bool)) or value is None or not _all(value >= 0):
            raise ValueError(f"{name} is {value!r}; it must not be negative or NaN")


def check_positive(**named):
    for name, value in named.items():
        if isinstance(value, (str, bool)) or value is None or not _all(value > 0):
            raise ValueError(f"{name} is {value!r}; it must be positive")


def whole_variable(variable, example):
    """The whole number in an environment variable; 0 if it is not set.

    Raises ValueError for anything else.
    """
    value = os.environ.get(variable) or "0"
    if not value.isdecimal():
        raise ValueError(
            f"{variable} is {value!r}; it must be a whole number from 0 on, such as {example}"
        )
    return int(value)


def _all(truth):
    return bool(truth.all()) if hasattr(truth, "all") else truth
