"""What should be seen: mean-field theory and products of random matrices.

Notation: pre-activation variance q^l = E[z²], weights of variance σ_w²/fan_in, biases σ_b²,
activation φ, backpropagated signal δ^l = ∂loss/∂z^l.
Sources: Poole et al. 2016 (length map), Schoenholz et al. 2017 (χ₁), Newman 1986 (exponents).
"""

import math
from functools import lru_cache
from numbers import Real

import numpy as np

from .nets import activation as find

__all__ = ["gaussian_mean", "length_map", "fixed_point", "chi", "gradient_profile", "lyapunov_exponent"]


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

    here = math.log(q0)
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


def gradient_profile(depth, activation, sigma_w, sigma_b=0.0, q1=1.0):
    """Mean-field prediction for the hidden layers l = 1 … L of networks of the depths L in ``depth``.

    ``q1`` (examples,) or a number: each example's variance in layer 1, σ_w²|x|²/features + σ_b².
    Returns a list with one (signal, weight_gradient) for each depth, two arrays (L,): root mean square
    over the examples of |δ^l| and of |h^{l−1}||δ^l|, relative to layer L, where h⁰ is the input.

    >>> [(signal, weight)] = gradient_profile([3], "linear", 0.5)
    >>> signal.round(9).tolist()
    [0.25, 0.5, 1.0]
    """
    if np.ndim(depth) != 1 or not len(depth) or any(isinstance(L, bool) or L != int(L) or L < 1 for L in depth):
        raise ValueError(f"depth is {depth!r}; it must be a list of whole numbers from 1 on")
    if not sigma_w > 0:
        raise ValueError(f"sigma_w is {sigma_w!r}; without weights there is no signal to predict")
    q = np.empty((max(depth), np.size(q1)))
    q[0] = q1
    for l in range(1, len(q)):
        q[l] = length_map(q[l - 1], activation, sigma_w, sigma_b)
    log_chi = np.log(chi(activation, sigma_w, sigma_b, q=q))
    log_h = np.log((q - sigma_b**2) / sigma_w**2)  # mean square of each layer's input

    def rms(log_square):
        return np.exp((np.logaddexp.reduce(log_square, axis=1) - math.log(q.shape[1])) / 2)

    profiles = []
    for L in depth:
        # |δ^l|²/|δ^L|² = χ(q^l) … χ(q^{L−1}): the slope of layer l takes part, that of layer L cancels
        log_delta = np.cumsum(log_chi[:L][::-1], axis=0)[::-1] - log_chi[L - 1]
        weight = rms(log_delta + log_h[:L])
        profiles.append((rms(log_delta), weight / weight[-1]))
    return profiles


def lyapunov_exponent(n, sigma=1.0, activation="linear"):
    """Typical growth per layer of ln|h| in a network of n×n Gaussian matrices of variance σ²/n.

    Linear: λ = ½[ln 2 + ψ(n/2) + ln(σ²/n)]  (Newman 1986).  ReLU: the same, averaged over the
    number K of active units, which is binomial(n, ½) given that it is not 0.

    >>> round(math.exp(lyapunov_exponent(4, sigma=2)), 3)  # entries N(0, 1)
    1.747
    """
    from scipy.special import digamma
    from scipy.stats import binom

    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n is {n!r}; it must be a whole number from 1 on")
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma is {sigma!r}; it must be finite and positive")
    if activation not in ("linear", "relu"):
        raise ValueError(f"activation is {activation!r}; the exponent is known for linear and relu")
    k = np.array([n]) if activation == "linear" else np.arange(1, n + 1)
    weight = np.ones(1) if activation == "linear" else binom.pmf(k, n, 0.5) / (1 - 0.5**n)
    return float(0.5 * (weight @ (math.log(2) + digamma(k / 2)) + math.log(sigma**2 / n)))
