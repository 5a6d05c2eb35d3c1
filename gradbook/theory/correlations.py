"""Mean-field theory of pairs of inputs: what a random layer does to the angle between them.

Notation as in :mod:`gradbook.theory.meanfield`; c is the correlation of two pre-activations.
Sources: Poole et al. 2016 (correlation map), Schoenholz et al. 2017 (depth scales).
"""

from __future__ import annotations

import math
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..kinds import Activations
from ..nets.activations import activation as find
from .meanfield import check, chi, fixed_point, length_map, nodes

if TYPE_CHECKING:
    from ..nets.activations import Activation


__all__ = ["correlation_map", "fixed_correlation", "depth_scale"]


def correlation_map(
    c: float,
    activation: Activations | Activation,
    sigma_w: float,
    sigma_b: float = 0.0,
    q: float | None = None,
) -> float:
    """The correlation of two inputs one layer on, at variance ``q`` (the fixed point).

    Poole et al. 2016, eq. 5: c' = (σ_w² E[φ(u₁)φ(u₂)] + σ_b²) / q', where u₁ and u₂ have
    variance q and correlation c.

    >>> import math
    >>> # 1/π of independent inputs
    >>> round(gb.correlation_map(0.0, "relu", 2**0.5, q=1.0) * math.pi, 6)
    1.0
    """
    if not isinstance(c, Real) or not -1 <= c <= 1:
        raise ValueError(f"c is {c!r}; a correlation is one number from -1 to 1")
    phi = find(activation)
    q = _homogeneous(fixed_point(phi, sigma_w, sigma_b)) if q is None else q
    check(sigma_w, sigma_b, q)
    if not q > 0 or sigma_w == sigma_b == 0:
        raise ValueError(
            f"q is {q!r}, sigma_w {sigma_w!r} and sigma_b "
            f"{sigma_b!r}; without variance there is no correlation"
        )
    return (sigma_w**2 * _pair_mean(phi, q, c) + sigma_b**2) / float(
        length_map(q, phi, sigma_w, sigma_b)
    )


def fixed_correlation(
    activation: Activations | Activation, sigma_w: float, sigma_b: float = 0.0
) -> float:
    """c*, the correlation that all pairs of inputs tend to.

    1 in the ordered phase, less in the chaotic one.

    NaN where every correlation stays as it is: in linear networks, and where q* = 0 makes them
    linear.

    >>> gb.fixed_correlation("tanh", 0.9, sigma_b=0.1)
    1.0
    >>> round(gb.fixed_correlation("tanh", 2.0, sigma_b=0.3), 3)
    0.264
    """
    from scipy.optimize import brentq

    phi = find(activation)
    q = _homogeneous(fixed_point(phi, sigma_w, sigma_b))
    if sigma_w == 0:
        return 1.0
    if all(abs(correlation_map(c, phi, sigma_w, sigma_b, q) - c) < 1e-5 for c in (-0.5, 0.3, 0.7)):
        return math.nan
    if _correlation_slope(1, phi, sigma_w, sigma_b, q) <= 1 + 1e-9:
        return 1.0

    def gap(c):
        return correlation_map(c, phi, sigma_w, sigma_b, q) - c

    if abs(gap(0.0)) < 1e-12:  # odd φ without biases
        return 0.0
    return float(brentq(gap, 0, 1 - 1e-6, xtol=1e-12)) if gap(1 - 1e-6) < 0 else 1.0


def depth_scale(
    activation: Activations | Activation,
    sigma_w: float,
    sigma_b: float = 0.0,
    of: Literal["gradient", "correlation"] = "gradient",
) -> float:
    """Layers in which something changes by a factor e, deep inside  (Schoenholz et al. 2017).

    ``of="gradient"``: E|δ|², 1/|ln χ₁|.  ``of="correlation"``: the distance of a pair's correlation
    from c*, 1/|ln χ_{c*}|, χ_{c*} being the slope of the correlation map there.  inf on the edge of
    chaos.

    >>> round(gb.depth_scale("tanh", 0.9), 2), gb.depth_scale("relu", 2**0.5)
    (4.75, inf)
    """
    if of not in ("gradient", "correlation"):
        raise ValueError(f"of is {of!r}; it must be 'gradient' or 'correlation'")
    phi = find(activation)
    factor = float(chi(phi, sigma_w, sigma_b))
    if of == "correlation":
        q = _homogeneous(fixed_point(phi, sigma_w, sigma_b))
        c = fixed_correlation(phi, sigma_w, sigma_b)
        factor = 1.0 if math.isnan(c) else _correlation_slope(c, phi, sigma_w, sigma_b, q)
    if factor == 0:
        return 0.0
    rate = abs(math.log(factor))
    return 1 / rate if rate > 1e-9 else math.inf


def _correlation_slope(c, phi, sigma_w, sigma_b, q):
    return (
        sigma_w**2 * q * _pair_mean(phi.slope, q, c) / float(length_map(q, phi, sigma_w, sigma_b))
    )


def _homogeneous(q):
    """A variance to compute at where the fixed point is 0 or ∞."""
    return float(np.clip(q, 1e-12, 1e8))


def _pair_mean(f, q, c):
    """E[f(u₁) f(u₂)] for normal u₁, u₂ of variance q and correlation c = cos α.

    In polar coordinates u₁ = √q r cos θ and u₂ = √q r cos(θ − α), so that kinks at 0 lie at four
    angles.
    """
    alpha = math.acos(max(-1.0, min(1.0, c)))
    kinks = np.sort(
        np.mod([math.pi / 2, -math.pi / 2, alpha + math.pi / 2, alpha - math.pi / 2], 2 * math.pi)
    )
    length = np.diff(kinks, append=kinks[0] + 2 * math.pi)
    t, wt = _arc()
    theta, wt = (kinks[:, None] + length[:, None] * t).ravel(), (length[:, None] * wt).ravel()
    z, w = nodes()
    r, wr = z[z > 0], (w * z)[z > 0] / math.sqrt(2 * math.pi)
    r = math.sqrt(q) * r[:, None]
    return float(wr @ (f(r * np.cos(theta)) * f(r * np.cos(theta - alpha))) @ wt)


@lru_cache
def _arc(n=40):
    """Nodes and weights on [0, 1], dense at both ends."""
    x, w = np.polynomial.legendre.leggauss(n)
    t, w = (x + 1) / 2, w / 2
    return t**3 * (10 - 15 * t + 6 * t * t), w * 30 * (t * (1 - t)) ** 2
