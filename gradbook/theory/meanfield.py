"""Mean-field theory of wide random networks: what a layer does to lengths and to gradients.

Notation: pre-activation variance q^l = E[z²], weights of variance σ_w²/fan_in, biases σ_b²,
activation φ, backpropagated signal δ^l = ∂loss/∂z^l.
Sources: Poole et al. 2016 (length map), Schoenholz et al. 2017 (χ₁).
"""

from __future__ import annotations

import math
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from ..kinds import Activations, Array, Function
from ..nets.activations import activation as find

if TYPE_CHECKING:
    from ..nets.activations import Activation


__all__ = ["gaussian_mean", "length_map", "fixed_point", "chi", "edge_of_chaos"]


def gaussian_mean(f: Function, q: Array) -> Array:
    """E[f(√q z)] for a standard normal z; ``q`` of any shape.

    >>> import numpy as np
    >>> float(gb.theory.gaussian_mean(np.square, 3.0).round(12))
    3.0
    """
    z, w = nodes()
    return f(np.sqrt(np.asarray(q, float))[..., None] * z) @ w


def length_map(
    q: Array, activation: Activations | Activation, sigma_w: float, sigma_b: float = 0.0
) -> Array:
    """The pre-activation variance one layer on: q' = σ_w² E[φ(√q z)²] + σ_b²
    (Poole et al. 2016).

    >>> float(gb.length_map(3.0, "relu", 2**0.5).round(9))  # He's weights keep it
    3.0
    """
    check(sigma_w, sigma_b, q)
    phi = find(activation)
    return sigma_w**2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b**2


def chi(
    activation: Activations | Activation,
    sigma_w: float,
    sigma_b: float = 0.0,
    q: Array | None = None,
) -> Array:
    """χ₁ = σ_w² E[φ'(√q z)²]: the factor by which one layer multiplies E|δ|²
    (Schoenholz et al. 2017).

    At variance ``q``; without it, at the fixed point, where deep layers are (where that is 0 or
    ∞, at 1e-12 or 1e8, which is near enough).

    >>> float(gb.chi("tanh", 1.0).round(6)), float(gb.chi("relu", 2**0.5).round(6))
    (1.0, 1.0)
    """
    phi = find(activation)
    if q is None:
        q = np.clip(fixed_point(phi, sigma_w, sigma_b), 1e-12, 1e8)
    check(sigma_w, sigma_b, q)
    return sigma_w**2 * gaussian_mean(lambda z: phi.slope(z) ** 2, q)


def fixed_point(
    activation: Activations | Activation, sigma_w: float, sigma_b: float = 0.0, q0: float = 1.0
) -> float:
    """The variance q* that deep layers settle at, coming from ``q0``.

    The limit of q ← length_map(q).

    0 where the signal dies out, inf where it grows without bound (below 1e-12 and above 1e12).

    >>> round(gb.fixed_point("tanh", 1.5), 6)
    0.793354
    >>> gb.fixed_point("tanh", 0.9), gb.fixed_point("relu", 2.0)
    (0.0, inf)
    """
    from scipy.optimize import brentq

    if not np.isfinite(q0) or q0 <= 0:
        raise ValueError(f"q0 is {q0!r}; a variance to start from must be finite and positive")

    def growth(log_q):
        return (
            float(length_map(math.exp(log_q), activation, sigma_w, sigma_b)) / math.exp(log_q) - 1
        )

    here = math.log(min(max(q0, 1e-11), 1e11))
    up = growth(here)
    if abs(up) < 1e-12:
        return float(q0)
    while abs(here) < math.log(1e12):  # walk the way the map goes, until it turns around
        there = here + math.copysign(0.5, up)
        if growth(there) * up <= 0:
            return math.exp(brentq(growth, here, there, xtol=1e-14, rtol=1e-14))
        here = there
    return math.inf if up > 0 else 0.0


def edge_of_chaos(activation: Activations | Activation, sigma_b: float = 0.0) -> float:
    """The smallest σ_w at which χ₁ = 1: below it gradients vanish, above it they explode
    (Schoenholz et al. 2017).

    >>> round(gb.edge_of_chaos("relu"), 6), round(gb.edge_of_chaos("tanh", sigma_b=0.3), 3)
    (1.414214, 1.396)
    """
    from scipy.optimize import brentq

    def excess(log_sigma_w):
        return float(chi(activation, math.exp(log_sigma_w), sigma_b)) - 1

    places = np.linspace(math.log(0.1), math.log(100), 60)
    values = [excess(p) for p in places]
    for a, b, low, high in zip(places, places[1:], values, values[1:]):
        if low <= 1e-12 < high:
            found = brentq(excess, a, b, xtol=1e-13) if low < -1e-12 else a
            if abs(excess(found)) < 1e-6:
                return math.exp(found)
            raise ValueError(
                f"χ₁ of {activation!r} with sigma_b = {sigma_b} jumps "
                f"over 1 at sigma_w = {math.exp(found):.4g}, where "
                "the fixed point changes; there is no edge"
            )
    raise ValueError(
        f"χ₁ of {activation!r} with sigma_b = {sigma_b} "
        f"does not pass 1 for sigma_w between 0.1 and 100"
    )


@lru_cache
def nodes(n=14, end=10.0, octaves=18):
    """Nodes and weights of a Gauss–Legendre rule for the standard normal.

    ``n`` nodes in each of [0, end/2¹⁷], …, [end/4, end/2], [end/2, end] and their mirror images:
    split at 0, where ReLU has a kink, and dense there, since slopes like tanh' live within 1/√q of
    0.
    """
    x, w = np.polynomial.legendre.leggauss(n)
    edges = np.concatenate([[0], end / 2.0 ** np.arange(octaves - 1, -1, -1)])
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (x + 1)).ravel()
    w = (half * w).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return np.concatenate([-z, z]), np.concatenate([w, w])


def check(sigma_w, sigma_b, q=0.0):
    for name, value in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        if not isinstance(value, Real) or not math.isfinite(value) or value < 0:
            raise ValueError(
                f"{name} is {value!r}; a standard deviation is one finite number, not negative"
            )
    if not (np.isfinite(q) & (np.asarray(q) >= 0)).all():
        raise ValueError(f"q is {q!r}; a variance must be finite and not negative")
