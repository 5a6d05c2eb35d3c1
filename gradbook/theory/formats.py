"""Number formats: what they hold, and after how many layers a signal leaves them."""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

__all__ = ["FORMATS", "Format", "format_depth"]


class Format(NamedTuple):
    """Largest number, smallest with all its digits, smallest above 0, and distance from 1 to the
    next number.
    """

    max: float
    tiny: float
    smallest: float
    eps: float


def _format(exponent_bits, fraction_bits, top=None):
    """Of a binary format with gradual underflow.

    ``top`` where the largest exponent also holds numbers.
    """
    bias = 2 ** (exponent_bits - 1) - 1
    return Format(
        top or (2 - 2.0**-fraction_bits) * 2.0**bias,
        2.0 ** (1 - bias),
        2.0 ** (1 - bias - fraction_bits),
        2.0**-fraction_bits,
    )


#: Largest, smallest and next number of the formats of floating point.
#:
#: >>> gb.theory.FORMATS["float16"].max
#: 65504.0
FORMATS = {
    "float64": _format(11, 52),
    "float32": _format(8, 23),
    "float16": _format(5, 10),
    "bfloat16": _format(8, 7),
    "float8_e5m2": _format(5, 2),
    "float8_e4m3fn": _format(4, 3, top=448.0),  # Micikevicius et al. 2022
}


def format_depth(factor: float, format: str = "float32", start: float = 1.0) -> float:
    """How many layers a number ``start`` survives in ``format`` when each layer multiplies it by
    ``factor``.

    The product is rounded once, at the end: in a format that rounds at every layer, a factor
    between ½ and 1 can stay at the smallest number for good.  It ends when the number is above the
    largest of the format, or below half the smallest and so rounded to 0. inf where it survives for
    good.

    >>> gb.format_depth(0.25), gb.format_depth(10.0, "float16")
    (74, 4)
    """
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; it must be one of {', '.join(FORMATS)}")
    for name, value in (("factor", factor), ("start", start)):
        if not isinstance(value, Real) or not math.isfinite(value) or value <= 0:
            raise ValueError(f"{name} is {value!r}; it must be a finite positive number")
    top, _, smallest, _ = FORMATS[format]
    if not smallest / 2 < start <= top:
        return 0
    if factor == 1:
        return math.inf
    # half the smallest rounds to 0
    end = math.log(top) if factor > 1 else math.log(smallest) - math.log(2)
    layers = (end - math.log(start)) / math.log(factor)
    return math.floor(layers + 1e-9) if factor > 1 else math.ceil(layers - 1e-9) - 1
