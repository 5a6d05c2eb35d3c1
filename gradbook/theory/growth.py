"""How much a whole network multiplies a gradient per layer.

With skips, normalization, dropout, and at finite width.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..kinds import Activations, Array, Normalization
from ..nets.activations import activation as find
from .meanfield import chi, gaussian_mean

if TYPE_CHECKING:
    from ..nets.activations import Activation


__all__ = [
    "residual_growth",
    "batch_norm_growth",
    "normalized_growth",
    "dropout_growth",
    "lyapunov_exponent",
]


def residual_growth(
    activation: Activations | Activation, sigma_w: float, scale: float = 1.0, q: Array = 1.0
) -> Array:
    """The factor of E|δ|² from block to block of :func:`gradbook.nets.residual`: 1 + scale²·χ(q).

    At variance ``q``; for ReLU at any. The cross terms vanish, because a block's W has mean 0
    (Hanin & Rolnick 2018; Zhang et al. 2019).

    >>> float(gb.residual_growth("relu", 2**0.5).round(9))  # He's weights: 2 for every block
    2.0
    """
    return 1 + scale**2 * chi(activation, sigma_w, q=q)


def batch_norm_growth(activation: Activations | Activation) -> Array:
    """The factor of E|δ|² per layer under batch normalization, at any σ_w.

    E[φ'(z)²]/Var[φ(z)], z standard normal.

    For batches that are large and no longer alike (Yang et al. 2019): the numerator is the slope,
    the denominator what the division by the batch's deviation gives back.  At least 1 for every φ.

    >>> import math
    >>> float(gb.batch_norm_growth("relu").round(6)) == round(math.pi / (math.pi - 1), 6)
    True
    """
    phi = find(activation)
    variance = gaussian_mean(lambda z: phi(z) ** 2, 1.0) - gaussian_mean(phi, 1.0) ** 2
    return gaussian_mean(lambda z: phi.slope(z) ** 2, 1.0) / variance


def normalized_growth(normalization: Normalization, activation: Activations | Activation) -> Array:
    """The factor of E|δ|² per layer at initialization, of wide networks that normalize
    pre-activations to variance 1.

    Batch: :func:`batch_norm_growth`.  Layer, group, RMS: E[φ'(u)²]/E[φ(u)²], u standard normal,
    since the mean over units is near 0 as it is.

    >>> growth = gb.theory.normalized_growth
    >>> [round(float(growth(name, "relu")), 3) for name in ("layer", "batch")]
    [1.0, 1.467]
    """
    if normalization not in ("batch", "layer", "group", "RMS"):
        raise ValueError(
            f"normalization is {normalization!r}; it must be batch, layer, group or RMS"
        )
    if normalization == "batch":
        return batch_norm_growth(activation)
    phi = find(activation)
    return gaussian_mean(lambda z: phi.slope(z) ** 2, 1.0) / gaussian_mean(
        lambda z: phi(z) ** 2, 1.0
    )


def dropout_growth(
    activation: Activations | Activation, sigma_w: float, sigma_b: float = 0.0, p: float = 0.5
) -> Array:
    """χ₁ under dropout with probability ``p`` and outputs divided by 1 − p: that of σ_w/√(1 − p)
    (Schoenholz et al. 2017).

    >>> float(gb.dropout_growth("relu", 1.0, p=0.5).round(9))
    1.0
    """
    if not isinstance(p, Real) or not 0 <= p < 1:
        raise ValueError(f"p is {p!r}; the probability of being dropped is from 0 to less than 1")
    return chi(activation, sigma_w / math.sqrt(1 - p), sigma_b)


def lyapunov_exponent(
    n: int, sigma: float = 1.0, activation: Literal["linear", "relu"] = "linear"
) -> float:
    """Typical growth per layer of ln|h| in a network of n×n Gaussian matrices of variance σ²/n.

    Linear: Λ = ½[ln 2 + ψ(n/2) + ln(σ²/n)]  (Newman 1986).  ReLU: the same, averaged over the
    number K of active units, which is binomial(n, ½) given that it is not 0.

    >>> import math
    >>> round(math.exp(gb.lyapunov_exponent(4, sigma=2)), 3)  # entries N(0, 1)
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
