"""Numbers rounded to a smaller format, computed on every processor alike."""

from __future__ import annotations

from typing import Any

from ..kinds import Array
from ..rules.arithmetic import library

__all__ = ["round_to", "round_stochastically", "spacing"]

FORMATS = ("float64", "float32", "float16", "bfloat16", "float8_e5m2", "float8_e4m3fn")


def round_to(x: Array, format: str) -> Array:
    """``x`` rounded to the nearest number of ``format``, ties to even, in x's own format.

    Computed on any processor alike, unlike products *in* a small format: some processors take
    numbers below the format's ``tiny`` for 0.

    >>> import torch
    >>> gb.nets.round_to(torch.tensor([1.002, 1.006, 1e6]), "bfloat16").tolist()
    [1.0, 1.0078125, 999424.0]
    """
    return x.to(_dtype(x, format)).to(x.dtype)


def round_stochastically(x: Array, generator: Any) -> Array:
    """A float32 ``x`` rounded to bfloat16, up or down by chance, so that the mean is x.

    bfloat16 is the first half of float32's 32 bits.  A random number is added to the other half,
    which is then cut off: a carry is as likely as x is near to the number above
    (Gupta et al. 2015).

    >>> import torch
    >>> x = torch.full((10_000,), 1.002)
    >>> rounded = gb.nets.round_stochastically(x, torch.Generator().manual_seed(0))
    >>> sorted(set(rounded.tolist())), abs(rounded.mean().item() - 1.002) < 1e-4
    ([1.0, 1.0078125], True)
    """
    torch = library(x)
    if x.dtype != torch.float32:
        raise ValueError(f"x has {x.dtype}; give a tensor of float32")
    noise = torch.randint(2**16, x.shape, generator=generator, dtype=torch.int32)
    return ((x.view(torch.int32) + noise) & -(2**16)).view(torch.float32)


def spacing(x: Array, format: str) -> Array:
    """Distance from |x| to the next larger number of ``format`` (a *unit in the last place*).

    >>> import torch
    >>> gb.nets.spacing(torch.tensor([1.0, 0.3, 1e-45]), "bfloat16").tolist()
    [0.0078125, 0.001953125, 9.183549615799121e-41]
    """
    torch = library(x)
    f = torch.finfo(_dtype(x, format))
    power = torch.floor(torch.log2(x.double().abs().clamp(min=f.tiny)))
    return (f.eps * 2.0**power).to(x.dtype)


def _dtype(x, format):
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; choose from {', '.join(FORMATS)}")
    return getattr(library(x), format)
