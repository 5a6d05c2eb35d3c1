"""Test surfaces for descent, each with gradient, Hessian and minima, over points (…,
coordinates).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Surface", "quadratic", "rosenbrock", "beale", "double_well", "saddle"]


@dataclass(frozen=True)
class Surface:
    """``f`` (…, d) → (…), ``gradient`` → (…, d), ``hessian`` → (…, d, d).

    ``minima`` (k, d), all global ones; a ``start`` (d,).

    >>> s = gb.rosenbrock
    >>> s.minima.tolist(), float(s(s.minima[0]))
    ([[1.0, 1.0]], 0.0)
    """

    name: str
    f: Callable
    gradient: Callable
    hessian: Callable
    minima: np.ndarray
    start: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.f(np.asarray(x) * 1.0)


def _symmetric(a, b, c):
    """The matrices [[a, b], [b, c]], stacked over leading axes."""
    a, b, c = np.broadcast_arrays(a, b, c)
    return np.stack([np.stack([a, b], -1), np.stack([b, c], -1)], -2)


def quadratic(kappa: float = 10.0, dimension: int = 2) -> Surface:
    """½Σλᵢxᵢ² with eigenvalues from 1 to ``kappa``, evenly spaced on a logarithmic scale.

    >>> import numpy as np
    >>> gb.quadratic(100.0).gradient(np.array([1.0, 1.0])).tolist()
    [1.0, 100.0]
    """
    if not kappa >= 1:
        raise ValueError(f"kappa is {kappa!r}; a condition number is at least 1")
    if isinstance(dimension, bool) or dimension != int(dimension) or dimension < 1:
        raise ValueError(f"dimension is {dimension!r}; it must be a whole number from 1 on")
    eigenvalues = np.geomspace(1.0, kappa, dimension) if dimension > 1 else np.array([float(kappa)])
    return Surface(
        f"quadratic, condition number {kappa:g}",
        lambda x: 0.5 * (eigenvalues * x * x).sum(-1),
        lambda x: eigenvalues * x,
        lambda x: np.broadcast_to(np.diag(eigenvalues), (*np.shape(x), dimension)).copy(),
        np.zeros((1, dimension)),
        np.ones(dimension),
    )


def _rosenbrock_gradient(p):
    x, y = p[..., 0], p[..., 1]
    return np.stack([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)], -1)


#: Rosenbrock's valley (1960): a bent, narrow valley with its minimum at (1, 1).
#:
#: >>> float(gb.rosenbrock(gb.rosenbrock.minima[0]))
#: 0.0
rosenbrock = Surface(
    "Rosenbrock's valley",
    lambda p: (1 - p[..., 0]) ** 2 + 100 * (p[..., 1] - p[..., 0] ** 2) ** 2,
    _rosenbrock_gradient,
    lambda p: _symmetric(2 - 400 * p[..., 1] + 1200 * p[..., 0] ** 2, -400 * p[..., 0], 200.0),
    np.array([[1.0, 1.0]]),
    np.array([-1.2, 1.0]),
)


def _beale_terms(p):
    """The three residuals c − x(1 − yᵏ), with their derivatives by x, y, xy and yy."""
    x, y = p[..., 0], p[..., 1]
    for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)):
        yield (
            c - x * (1 - y**k),
            y**k - 1,
            k * x * y ** (k - 1),
            k * y ** (k - 1),
            k * (k - 1) * x * y ** max(k - 2, 0),
        )


def _beale_hessian(p):
    terms = list(_beale_terms(p))
    return _symmetric(
        sum(2 * rx * rx for _, rx, _, _, _ in terms),
        sum(2 * (rx * ry + r * rxy) for r, rx, ry, rxy, _ in terms),
        sum(2 * (ry * ry + r * ryy) for r, _, ry, _, ryy in terms),
    )


#: Beale's function (1958), flat and steep in turns, minimum at (3, ½).
#:
#: >>> gb.beale.minima.tolist(), float(gb.beale(gb.beale.start))
#: ([[3.0, 0.5]], 14.203125)
beale = Surface(
    "Beale's function",
    lambda p: sum(r * r for r, *_ in _beale_terms(p)),
    lambda p: np.stack(
        [
            sum(2 * r * rx for r, rx, *_ in _beale_terms(p)),
            sum(2 * r * ry for r, _, ry, *_ in _beale_terms(p)),
        ],
        -1,
    ),
    _beale_hessian,
    np.array([[3.0, 0.5]]),
    np.array([1.0, 1.0]),
)

#: Two equal minima with a saddle between them.
#:
#: >>> gb.double_well.minima.tolist()
#: [[-1.0, 0.0], [1.0, 0.0]]
double_well = Surface(
    "double well (x² − 1)² + y²/2",
    lambda p: (p[..., 0] ** 2 - 1) ** 2 + p[..., 1] ** 2 / 2,
    lambda p: np.stack([4 * p[..., 0] * (p[..., 0] ** 2 - 1), p[..., 1]], -1),
    lambda p: _symmetric(12 * p[..., 0] ** 2 - 4, 0.0, 1.0),
    np.array([[-1.0, 0.0], [1.0, 0.0]]),
    np.array([0.0, 1.0]),
)

#: A saddle at 0, without a minimum: descent that starts on its ridge goes to 0 and stays.
#:
#: >>> gb.saddle.hessian(gb.saddle.start * 0).tolist()
#: [[1.0, 0.0], [0.0, -1.0]]
saddle = Surface(
    "saddle (x² − y²)/2",
    lambda p: (p[..., 0] ** 2 - p[..., 1] ** 2) / 2,
    lambda p: np.stack([p[..., 0], -p[..., 1]], -1),
    lambda p: _symmetric(1.0 + 0 * p[..., 0], 0.0, -1.0),
    np.empty((0, 2)),
    np.array([1.0, 0.0]),
)
