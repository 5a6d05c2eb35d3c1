"""Mean-field theory of wide random networks: what a layer does to lengths, angles and gradients.

Notation: pre-activation variance q^l = E[z²], weights of variance σ_w²/fan_in, biases σ_b²,
activation φ, backpropagated signal δ^l = ∂loss/∂z^l.
Sources: Poole et al. 2016 (length and correlation map), Schoenholz et al. 2017 (χ₁, depth scales).
"""

import math
from functools import lru_cache
from numbers import Real

import numpy as np

from .activations import activation as find

__all__ = ["gaussian_mean", "length_map", "correlation_map", "fixed_point", "fixed_correlation", "chi", "edge_of_chaos",
           "depth_scale"]


@lru_cache
def _nodes(n=14, end=10.0, octaves=18):
    """Nodes and weights of a Gauss–Legendre rule for the standard normal.

    ``n`` nodes in each of [0, end/2¹⁷], …, [end/4, end/2], [end/2, end] and their mirror images: split
    at 0, where ReLU has a kink, and dense there, since slopes like tanh' live within 1/√q of 0.
    """
    x, w = np.polynomial.legendre.leggauss(n)
    edges = np.concatenate([[0], end / 2.0 ** np.arange(octaves - 1, -1, -1)])
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (x + 1)).ravel()
    w = (half * w).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return np.concatenate([-z, z]), np.concatenate([w, w])


def gaussian_mean(f, q):
    """E[f(√q z)] for a standard normal z; ``q`` of any shape.

    >>> float(gaussian_mean(np.square, 3.0).round(12))
    3.0
    """
    z, w = _nodes()
    return f(np.sqrt(np.asarray(q, float))[..., None] * z) @ w


def _check(sigma_w, sigma_b, q=0.0):
    for name, value in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        if not isinstance(value, Real) or not math.isfinite(value) or value < 0:
            raise ValueError(f"{name} is {value!r}; a standard deviation is one finite number, not negative")
    if not (np.isfinite(q) & (np.asarray(q) >= 0)).all():
        raise ValueError(f"q is {q!r}; a variance must be finite and not negative")


def length_map(q, activation, sigma_w, sigma_b=0.0):
    """The pre-activation variance one layer on: q' = σ_w² E[φ(√q z)²] + σ_b²  (Poole et al. 2016)."""
    _check(sigma_w, sigma_b, q)
    phi = find(activation)
    return sigma_w**2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b**2


def fixed_point(activation, sigma_w, sigma_b=0.0, q0=1.0):
    """The variance q* that deep layers settle at, coming from ``q0``: the limit of q ← length_map(q).

    0 where the signal dies out, inf where it grows without bound (below 1e-12 and above 1e12).

    >>> round(fixed_point("tanh", 1.5), 6), fixed_point("tanh", 0.9), fixed_point("relu", 2.0)
    (0.793354, 0.0, inf)
    """
    from scipy.optimize import brentq

    if not np.isfinite(q0) or q0 <= 0:
        raise ValueError(f"q0 is {q0!r}; a variance to start from must be finite and positive")

    def growth(log_q):
        return float(length_map(math.exp(log_q), activation, sigma_w, sigma_b)) / math.exp(log_q) - 1

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


def chi(activation, sigma_w, sigma_b=0.0, q=None):
    """χ₁ = σ_w² E[φ'(√q z)²]: the factor by which one layer multiplies E|δ|²  (Schoenholz et al. 2017).

    At variance ``q``; without it, at the fixed point, where deep layers are (where that is 0 or
    ∞, at 1e-12 or 1e8, which is near enough).

    >>> float(chi("tanh", 1.0).round(6)), float(chi("relu", 2**0.5).round(6))
    (1.0, 1.0)
    """
    phi = find(activation)
    if q is None:
        q = np.clip(fixed_point(phi, sigma_w, sigma_b), 1e-12, 1e8)
    _check(sigma_w, sigma_b, q)
    return sigma_w**2 * gaussian_mean(lambda z: phi.slope(z) ** 2, q)


def edge_of_chaos(activation, sigma_b=0.0):
    """The smallest σ_w at which χ₁ = 1: below it gradients vanish, above it they explode  (Schoenholz et al. 2017).

    >>> round(edge_of_chaos("relu"), 6), round(edge_of_chaos("tanh", sigma_b=0.3), 3)
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
            raise ValueError(f"χ₁ of {activation!r} with sigma_b = {sigma_b} jumps over 1 at sigma_w = {math.exp(found):.4g}, where "
                             "the fixed point changes; there is no edge")
    raise ValueError(f"χ₁ of {activation!r} with sigma_b = {sigma_b} does not pass 1 for sigma_w between 0.1 and 100")


@lru_cache
def _arc(n=40):
    """Nodes and weights on [0, 1], dense at both ends."""
    x, w = np.polynomial.legendre.leggauss(n)
    t, w = (x + 1) / 2, w / 2
    return t**3 * (10 - 15 * t + 6 * t * t), w * 30 * (t * (1 - t)) ** 2


def _pair_mean(f, q, c):
    """E[f(u₁) f(u₂)] for normal u₁, u₂ of variance q and correlation c = cos α.

    In polar coordinates u₁ = √q r cos θ and u₂ = √q r cos(θ − α), so that kinks at 0 lie at four angles.
    """
    alpha = math.acos(max(-1.0, min(1.0, c)))
    kinks = np.sort(np.mod([math.pi / 2, -math.pi / 2, alpha + math.pi / 2, alpha - math.pi / 2], 2 * math.pi))
    length = np.diff(kinks, append=kinks[0] + 2 * math.pi)
    t, wt = _arc()
    theta, wt = (kinks[:, None] + length[:, None] * t).ravel(), (length[:, None] * wt).ravel()
    z, w = _nodes()
    r, wr = z[z > 0], (w * z)[z > 0] / math.sqrt(2 * math.pi)
    r = math.sqrt(q) * r[:, None]
    return float(wr @ (f(r * np.cos(theta)) * f(r * np.cos(theta - alpha))) @ wt)


def _homogeneous(q):
    """A variance to compute at where the fixed point is 0 or ∞."""
    return float(np.clip(q, 1e-12, 1e8))


def correlation_map(c, activation, sigma_w, sigma_b=0.0, q=None):
    """The correlation of two inputs one layer on, at variance ``q`` (the fixed point): Poole et al. 2016, eq. 5.

    c' = (σ_w² E[φ(u₁)φ(u₂)] + σ_b²) / q', where u₁ and u₂ have variance q and correlation c.

    >>> round(correlation_map(0.0, "relu", 2**0.5, q=1.0) * math.pi, 6)  # 1/π of independent inputs
    1.0
    """
    if not isinstance(c, Real) or not -1 <= c <= 1:
        raise ValueError(f"c is {c!r}; a correlation is one number from -1 to 1")
    phi = find(activation)
    q = _homogeneous(fixed_point(phi, sigma_w, sigma_b)) if q is None else q
    _check(sigma_w, sigma_b, q)
    if not q > 0 or sigma_w == sigma_b == 0:
        raise ValueError(f"q is {q!r}, sigma_w {sigma_w!r} and sigma_b {sigma_b!r}; without variance there is no correlation")
    return (sigma_w**2 * _pair_mean(phi, q, c) + sigma_b**2) / float(length_map(q, phi, sigma_w, sigma_b))


def _correlation_slope(c, phi, sigma_w, sigma_b, q):
    return sigma_w**2 * q * _pair_mean(phi.slope, q, c) / float(length_map(q, phi, sigma_w, sigma_b))


def fixed_correlation(activation, sigma_w, sigma_b=0.0):
    """c*, the correlation that all pairs of inputs tend to: 1 in the ordered phase, less in the chaotic one.

    NaN where every correlation stays as it is: in linear networks, and where q* = 0 makes them linear.

    >>> fixed_correlation("tanh", 0.9, sigma_b=0.1), round(fixed_correlation("tanh", 2.0, sigma_b=0.3), 3)
    (1.0, 0.264)
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


def depth_scale(activation, sigma_w, sigma_b=0.0, of="gradient"):
    """Layers in which something changes by a factor e, deep inside  (Schoenholz et al. 2017).

    ``of="gradient"``: E|δ|², 1/|ln χ₁|.  ``of="correlation"``: the distance of a pair's correlation from
    c*, 1/|ln χ_{c*}|, χ_{c*} being the slope of the correlation map there.  inf on the edge of chaos.

    >>> round(depth_scale("tanh", 0.9), 2), depth_scale("relu", 2**0.5)
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
