"""What should be seen: mean-field theory, growth per layer, random matrices, rates on quadratics, number formats.

This module adds the growth of whole networks to :mod:`gradbook.meanfield`, :mod:`gradbook.quadratics` and
:mod:`gradbook.formats`, whose names it gives too.
"""

import math
from numbers import Real

import numpy as np

from .activations import activation as find
from .formats import FORMATS, format_depth
from .meanfield import (chi, correlation_map, depth_scale, edge_of_chaos, fixed_correlation, fixed_point, gaussian_mean,
                        length_map)
from .quadratics import best_step, convergence_rate, sgd_variance, stability_limit

__all__ = ["gaussian_mean", "length_map", "correlation_map", "fixed_point", "fixed_correlation", "chi", "edge_of_chaos",
           "depth_scale", "gradient_profile", "residual_growth", "batch_norm_growth", "dropout_growth", "lyapunov_exponent",
           "convergence_rate", "stability_limit", "best_step", "sgd_variance", "FORMATS", "format_depth"]


def residual_growth(activation, sigma_w, scale=1.0, q=1.0):
    """The factor of E|δ|² from block to block of :func:`gradbook.nets.residual`: 1 + scale²·χ(q).

    At variance ``q``; for ReLU at any. The cross terms vanish, because a block's W has mean 0
    (Hanin & Rolnick 2018; Zhang et al. 2019).

    >>> float(residual_growth("relu", 2**0.5).round(9))  # He's weights: 2 for every block
    2.0
    """
    return 1 + scale**2 * chi(activation, sigma_w, q=q)


def batch_norm_growth(activation):
    """The factor of E|δ|² per layer under batch normalization, at any σ_w: E[φ'(z)²]/Var[φ(z)], z standard normal.

    For batches that are large and no longer alike (Yang et al. 2019): the numerator is the slope, the
    denominator what the division by the batch's deviation gives back.  At least 1 for every φ.

    >>> float(batch_norm_growth("relu").round(6)) == round(math.pi / (math.pi - 1), 6)
    True
    """
    phi = find(activation)
    variance = gaussian_mean(lambda z: phi(z) ** 2, 1.0) - gaussian_mean(phi, 1.0) ** 2
    return gaussian_mean(lambda z: phi.slope(z) ** 2, 1.0) / variance


def dropout_growth(activation, sigma_w, sigma_b=0.0, p=0.5):
    """χ₁ under dropout with probability ``p`` and outputs divided by 1 − p: that of σ_w/√(1 − p)  (Schoenholz et al. 2017)."""
    if not isinstance(p, Real) or not 0 <= p < 1:
        raise ValueError(f"p is {p!r}; the probability of being dropped is from 0 to less than 1")
    return chi(activation, sigma_w / math.sqrt(1 - p), sigma_b)


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
    if not (np.isfinite(q1) & (np.asarray(q1) > 0)).all():
        raise ValueError(f"q1 is {q1!r}; a variance of the first layer must be finite and positive")
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
