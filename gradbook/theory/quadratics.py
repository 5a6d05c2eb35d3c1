"""Gradient descent and momentum on quadratics ½Σλᵢxᵢ², exactly.

On one eigenvalue λ the error e follows a linear recurrence with c = lr·λ and momentum β:

- gradient descent  e' = (1 − c)e;
- heavy ball        e'' = (1 + β − c)e' − βe  (Polyak 1964);
- Nesterov          e'' = (1 + β)(1 − c)e' − β(1 − c)e  (Nesterov 1983);

and its rate is the largest root's size: the factor per step in the long run.
"""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from ..kinds import Array, Method

__all__ = ["convergence_rate", "stability_limit", "best_step", "sgd_variance"]

METHODS = ("gradient descent", "heavy ball", "nesterov")


def convergence_rate(
    lr: Array, curvature: Array, momentum: float = 0.0, method: Method = "heavy ball"
) -> Array:
    """The factor per step of the error in the long run, for eigenvalue(s) ``curvature``.

    Above 1 it diverges.

    ``lr`` and ``curvature`` broadcast.  The rate of a whole quadratic is the largest over its
    eigenvalues.

    >>> float(gb.convergence_rate(0.1, 1.0).round(9))
    0.9
    >>> float(gb.convergence_rate(2.1, 1.0).round(9))
    1.1
    """
    if method == "gradient descent" or not momentum:
        _check(method, momentum, lr=lr, curvature=curvature)
        return abs(1 - np.multiply(lr, curvature))
    _check(method, momentum, lr=lr, curvature=curvature)
    c = np.multiply(lr, curvature)
    b, d = (
        (1 + momentum - c, momentum)
        if method == "heavy ball"
        else ((1 + momentum) * (1 - c), momentum * (1 - c))
    )
    root = np.sqrt((b * b - 4 * d).astype(complex))  # of r² − b r + d
    return np.maximum(abs(b + root), abs(b - root)) / 2


def stability_limit(
    curvature: Array, momentum: float = 0.0, method: Method = "heavy ball"
) -> Array:
    """The learning rate above which the method diverges on the largest eigenvalue
    ``curvature`` = λₘₐₓ.

    Gradient descent 2/λₘₐₓ; heavy ball 2(1 + β)/λₘₐₓ; Nesterov (2 + 2β)/((1 + 2β)λₘₐₓ), which is
    below gradient descent's.

    >>> gb.stability_limit(10.0), gb.stability_limit(10.0, 0.9)
    (0.2, 0.38)
    >>> round(gb.stability_limit(10.0, 0.9, "nesterov"), 4)
    0.1357
    """
    _check(method, momentum, curvature=curvature)
    return 2 * (1 + momentum) / curvature / (1 + 2 * momentum if method == "nesterov" else 1)


def best_step(
    smallest: float, largest: float, method: Method = "gradient descent"
) -> tuple[float, float, float]:
    """(lr, momentum, rate) that are best for eigenvalues between ``smallest`` = λₘᵢₙ and
    ``largest`` = λₘₐₓ, κ = λₘₐₓ/λₘᵢₙ.

    Gradient descent 2/(λₘᵢₙ + λₘₐₓ), rate (κ − 1)/(κ + 1).  Heavy ball 4/(√λₘᵢₙ + √λₘₐₓ)²,
    momentum ((√κ − 1)/(√κ + 1))², rate √momentum  (Polyak 1964).  Nesterov 4/(3λₘₐₓ + λₘᵢₙ),
    momentum (√(3κ + 1) − 2)/(√(3κ + 1) + 2), rate 1 − 2/√(3κ + 1)  (Lessard et al. 2016).

    >>> [round(v, 4) for v in gb.best_step(1.0, 100.0, "heavy ball")]
    [0.0331, 0.6694, 0.8182]
    """
    _check(method, 0.0, smallest=smallest, largest=largest)
    if smallest > largest:
        raise ValueError(
            f"smallest is {smallest!r} and largest {largest!r}; the smallest eigenvalue comes first"
        )
    kappa = largest / smallest
    if method == "gradient descent":
        return 2 / (smallest + largest), 0.0, (kappa - 1) / (kappa + 1)
    if method == "heavy ball":
        root = (math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)
        return 4 / (math.sqrt(smallest) + math.sqrt(largest)) ** 2, root**2, root
    root = math.sqrt(3 * kappa + 1)
    return 4 / (3 * largest + smallest), (root - 2) / (root + 2), 1 - 2 / root


def sgd_variance(
    lr: Array, curvature: Array, noise_variance: float, momentum: float = 0.0
) -> Array:
    """E[e²] that stochastic gradient descent settles at when each gradient has variance
    ``noise_variance``.

    lr·σ²/(λ(2 − lr·λ)), and with heavy-ball momentum lr·σ²(1 + β)/(λ(1 − β)(2(1 + β) − lr·λ)); inf
    at and above the stability limit.

    >>> round(gb.sgd_variance(0.1, 1.0, 1.0), 5)
    0.05263
    """
    _check("heavy ball", momentum, lr=lr, curvature=curvature)
    if np.ndim(lr) or np.ndim(curvature) or np.ndim(noise_variance):
        raise ValueError("sgd_variance takes numbers; call it for each of several")
    if not noise_variance >= 0:
        raise ValueError(f"noise_variance is {noise_variance!r}; it must not be negative or NaN")
    room = 2 * (1 + momentum) - lr * curvature
    return (
        lr * noise_variance * (1 + momentum) / (curvature * (1 - momentum) * room)
        if room > 0
        else math.inf
    )


def _check(method, momentum, **positive):
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if not isinstance(momentum, Real) or not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum!r}; it must be a number from 0 to less than 1")
    if method == "gradient descent" and momentum:
        raise ValueError(
            f"momentum is {momentum!r}; gradient descent has none, use 'heavy ball' or 'nesterov'"
        )
    for name, value in positive.items():
        if not (np.isfinite(value) & (np.asarray(value) > 0)).all():
            raise ValueError(f"{name} is {value!r}; it must be finite and positive")
