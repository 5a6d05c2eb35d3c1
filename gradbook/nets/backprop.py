"""Backpropagation by hand.

A perceptron's forward and backward pass in NumPy, and the check of any gradient.

Shapes as in :func:`gradbook.nets.mlp`: h (examples, fan_in), W (fan_in, fan_out), z = h W + b.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..kinds import Activations, Array, Function
from .activations import activation

if TYPE_CHECKING:
    from .activations import Activation


__all__ = [
    "forward",
    "backward",
    "cross_entropy",
    "mean_squared_error",
    "gradient_check",
    "GradientError",
]


def forward(
    x: np.ndarray, weights: Sequence[Array], biases: Sequence[Array], phi: Activations | Activation
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs hˡ⁻¹ and pre-activations zˡ of every layer.

    ``(hs, zs)``, where zs[-1] is the output.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 1))
    >>> weights = [rng.standard_normal((3, 4)), rng.standard_normal((4, 1))]
    >>> biases = [np.zeros(4), np.zeros(1)]
    >>> hs, zs = gb.backprop.forward(x, weights, biases, "tanh")
    >>> [h.shape for h in hs], [z.shape for z in zs]
    ([(5, 3), (5, 4)], [(5, 4), (5, 1)])
    """
    phi, hs, zs = activation(phi), [x], []
    for W, b in zip(weights, biases):
        zs.append(hs[-1] @ W + b)
        hs.append(phi(zs[-1]))
    return hs[:-1], zs


def backward(
    delta: np.ndarray,
    hs: list[np.ndarray],
    zs: list[np.ndarray],
    weights: Sequence[Array],
    phi: Activations | Activation,
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """From δ = ∂loss/∂z of the output down.

    ``(weight gradients, bias gradients, δ of every layer)``.

    ∂loss/∂Wˡ = (hˡ⁻¹)ᵀ δˡ,  ∂loss/∂bˡ = Σ δˡ over the examples,  δˡ⁻¹ = δˡ (Wˡ)ᵀ · φ'(zˡ⁻¹).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 1))
    >>> weights = [rng.standard_normal((3, 4)), rng.standard_normal((4, 1))]
    >>> biases = [np.zeros(4), np.zeros(1)]
    >>> hs, zs = gb.backprop.forward(x, weights, biases, "tanh")
    >>> loss, delta = gb.backprop.mean_squared_error(zs[-1], y)
    >>> dW, db, deltas = gb.backprop.backward(delta, hs, zs, weights, "tanh")
    >>> [g.shape for g in dW]
    [(3, 4), (4, 1)]
    """
    slope, deltas = activation(phi).slope, [delta]
    for W, z in zip(weights[:0:-1], zs[-2::-1]):
        deltas.insert(0, deltas[0] @ W.T * slope(z))
    return [h.T @ d for h, d in zip(hs, deltas)], [d.sum(0) for d in deltas], deltas


def cross_entropy(logits: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of −log softmax(logits)[y] over the examples, and its gradient δ = (softmax −
    one-hot)/examples.

    >>> import numpy as np
    >>> loss, delta = gb.backprop.cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(float(loss), 4), delta.tolist()
    (0.6931, [[-0.5, 0.5]])
    """
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(y))
    delta = np.exp(log_p)
    delta[rows, y] -= 1
    return -log_p[rows, y].mean(), delta / len(y)


def mean_squared_error(output: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of (output − y)² over all entries, and its gradient.

    >>> import numpy as np
    >>> loss, delta = gb.backprop.mean_squared_error(np.array([[3.0]]), np.array([[1.0]]))
    >>> float(loss), delta.tolist()
    (4.0, [[4.0]])
    """
    return ((output - y) ** 2).mean(), 2 * (output - y) / output.size


class GradientError(AssertionError):
    """A gradient differs from the finite difference; the message says where and by how much.

    >>> import numpy as np
    >>> try:
    ...     gb.gradient_check(lambda x: (x**2).sum(), lambda x: 3 * x, np.ones(2))
    ... except gb.backprop.GradientError as error:
    ...     print(str(error)[:21])
    gradient at [0] is 3,
    """


# near √ε, ε^⅓, and as small as one likes
STEP = {"forward": 2**-26, "central": 6e-6, "complex": 1e-200}
TOLERANCE = {"forward": 1e-5, "central": 1e-7, "complex": 1e-12}


def gradient_check(
    f: Function,
    grad: Function,
    x: np.ndarray | Sequence[np.ndarray],
    method: Literal["forward", "central", "complex"] = "central",
    step: float | None = None,
    tolerance: float | None = None,
) -> float:
    """Compare ``grad(x)`` with differences of ``f``, entry by entry; the largest relative error.

    ``x`` is a float64 array or a list of them; ``f(x)`` a number; ``grad(x)`` has x's shape.
    ``method`` is ``forward`` [f(x + h) − f(x)]/h, ``central`` [f(x + h) − f(x − h)]/2h, or
    ``complex`` Im f(x + ih)/h, which loses no digits and needs an f that takes complex x (no abs,
    no max)  (Squire & Trapp 1998). Errors are relative to the entry's gradient, however small, but
    for what rounding of f does to the difference, 4·2⁻⁵²|f|/h, and for what the step does to it:
    its change when h is doubled.  Raises GradientError where the error exceeds ``tolerance``,
    naming the entry; ValueError and TypeError for what cannot be compared.

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0])
    >>> gb.gradient_check(lambda x: (x**3).sum(), lambda x: 3 * x**2, x, "complex") < 1e-15
    True
    >>> wrong = lambda x: 3 * x**2 + 6 * (x > 1)
    >>> gb.gradient_check(lambda x: (x**3).sum(), wrong, x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    gradbook.nets.backprop.GradientError: gradient at [1] is 18, but the central difference is 12...
    """
    if method not in STEP:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(STEP)}")
    h, tolerance = step or STEP[method], tolerance or TOLERANCE[method]
    many = isinstance(x, (list, tuple))
    xs, gs = (list(x), [np.asarray(g) for g in grad(x)]) if many else ([x], [np.asarray(grad(x))])
    _check_shapes(xs, gs)
    worst = 0.0
    for k, index in ((k, index) for k, a in enumerate(xs) for index in np.ndindex(a.shape)):
        at = partial(_moved, f, x, k, index, complex if method == "complex" else float)
        g, (d, rounding) = gs[k][index], _difference(at, method, h)
        larger = max(abs(d), abs(g), 1e-300)
        error = max(abs(d - g) - rounding, 0) / larger if np.isfinite(d) else np.inf
        if not error <= tolerance:
            where = ([k] if many else []) + list(index)
            raise GradientError(
                f"gradient at {where} is {g:.6g}, but the {method} difference is {d:.6g} "
                f"(relative error {error:.2g} > {tolerance:g})"
            )
        worst = max(worst, error)
    return worst


def _moved(f, x, k, index, dtype, by):
    """f(x) with one entry, that at ``index`` of the k-th array, moved ``by`` so much."""
    many = isinstance(x, (list, tuple))
    there = (x[k] if many else x).astype(dtype)  # a copy
    there[index] += by
    value = f([*x[:k], there, *x[k + 1 :]] if many else there)
    if np.ndim(value):
        raise ValueError(f"f(x) has shape {np.shape(value)}; it must be a number")
    return value


def _difference(at, method, h):
    """The difference quotient, and what rounding of f and the length of the step may have done to
    it.
    """
    if method == "complex":
        return np.imag(at(1j * h)) / h, 1e-300
    low, high = (0, h) if method == "forward" else (-h, h)
    below, above = at(low), at(high)
    near, far = (above - below) / (high - low), (at(2 * high) - at(2 * low)) / (2 * (high - low))
    return near, 4 * 2**-52 * max(abs(below), abs(above)) / (high - low) + 2 * abs(near - far)


def _check_shapes(xs, gs):
    if len(gs) != len(xs):
        raise ValueError(f"grad(x) has {len(gs)} arrays; x has {len(xs)}")
    for a, g in zip(xs, gs):
        if not isinstance(a, np.ndarray) or a.dtype != np.float64 or not np.isfinite(a).all():
            raise TypeError(
                f"x is {getattr(a, 'dtype', type(a).__name__)}; "
                f"differences need finite float64 arrays"
            )
        if g.shape != a.shape:
            raise ValueError(f"grad(x) has shape {g.shape}; it must be x's, {a.shape}")
