"""Exercises whose answer is a function: on what it is tried, and with what it is compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..nets.activations import activation
from ..theory.meanfield import gaussian_mean

__all__ = ["EXERCISES", "verdict"]


@dataclass(frozen=True)
class CodeExercise:
    """``wanted`` does what is asked for; each of ``mistakes`` what is often written instead.

    Both are called, like the reader's function, with every tuple of arguments that ``tries()``
    makes anew, since a function may change what it is given.
    """

    tries: Callable[[], Iterable[tuple]]
    wanted: Callable
    mistakes: dict[str, Callable]
    rtol: float = 1e-6


def verdict(exercise: CodeExercise, answer: Callable) -> str:
    """What :data:`EXERCISES` calls this answer: right, a mistake's name, or otherwise; or why it
    could not be tried.
    """
    try:
        found = _called(answer, exercise)
    except Exception as error:
        return f"Your function raised {type(error).__name__}: {error}"
    if any(part is ... for value in found for part in _parts(value)):
        return "No answer yet: put yours in place of the three dots."
    for value, right in zip(found, _called(exercise.wanted, exercise)):
        shapes, wanted = ([np.shape(part) for part in _parts(v)] for v in (value, right))
        if shapes != wanted:
            shapes, wanted = (" and ".join(map(str, each)) for each in (shapes, wanted))
            return f"Your function returned the shape {shapes}; {wanted} is right."
    for name, function in {"right": exercise.wanted, **exercise.mistakes}.items():
        expected = _called(function, exercise)
        if all(
            np.allclose(a, b, rtol=exercise.rtol, atol=1e-9)
            for value, right in zip(found, expected)
            for a, b in zip(_parts(value), _parts(right))
        ):
            return name
    return "otherwise"


def _parts(value):
    return value if isinstance(value, tuple) else (value,)


def _called(function, exercise):
    return [function(*arguments) for arguments in exercise.tries()]


def _layers():
    """Batches of δ, W and z as they meet in one backward step, of unlike sizes."""
    rng = np.random.default_rng(0)
    return [
        (rng.normal(size=(4, m)), rng.normal(size=(n, m)), rng.normal(size=(4, n)))
        for n, m in ((3, 2), (5, 5))
    ]


def _back_through_tanh(delta, W, z):
    return delta @ W.T * (1 - np.tanh(z) ** 2)


def _chi(slope, sigma_w, q):
    return sigma_w**2 * gaussian_mean(lambda z: slope(z) ** 2, q)


def _matrix(*eigenvalues):
    """A symmetric matrix with these eigenvalues, turned at random."""
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(len(eigenvalues),) * 2))
    return turn @ np.diag(eigenvalues) @ turn.T


def _power_iteration(times_H, d):
    return np.linalg.eigvalsh(np.stack([times_H(row) for row in np.eye(d)]))[-1]


def _trace(times_H, d):
    return sum(times_H(row) @ row for row in np.eye(d))


def _descent(gradient, theta, lr, steps):
    theta = np.array(theta, float)
    for _ in range(steps):
        theta = theta - lr * gradient(theta)
    return theta


def _one_by_one(gradient, theta, lr, steps):
    theta = np.array(theta, float)
    for _ in range(steps):
        for i in range(len(theta)):
            theta[i] -= lr * gradient(theta)[i]
    return theta


def _coupled():
    """Gradients of quadratics whose variables are coupled, each with a start of its own."""
    for H in (_matrix(1.0, 4.0), _matrix(0.5, 2.0, 3.0)):
        yield lambda theta, H=H: H @ theta, np.ones(len(H)), 0.2, 5


def _residual():
    rng = np.random.default_rng(3)
    return [
        (rng.normal(size=(b, n)), rng.normal(size=(b, n)), rng.normal(size=(n, n)))
        for b, n in ((4, 3), (2, 6))
    ]


def _back_through_skip(delta, h, W):
    return delta + (delta * (1 - np.tanh(h @ W) ** 2)) @ W.T


def _two_layers():
    rng = np.random.default_rng(4)
    shapes = (5, 3), (5, 2), (3, 4), (4, 2)
    return [(*(rng.normal(size=shape) for shape in shapes), lr) for lr in (0.1, 0.5)]


def _step(x, y, W1, W2, lr, late=False):
    h = np.tanh(x @ W1)
    delta2 = (h @ W2 - y) / len(x)
    moved = W2 - lr * h.T @ delta2
    delta1 = delta2 @ (moved if late else W2).T * (1 - h**2)
    return W1 - lr * x.T @ delta1, moved


def _twice(w, x, first=1.0, second=1.0):
    """Slope of tanh(w·tanh(w·x)): the share of w's first place and that of its second."""
    h1 = np.tanh(w * x)
    h2 = np.tanh(w * h1)
    return (1 - h2**2) * (second * h1 + first * w * (1 - h1**2) * x)


SLOPES = [(activation(name).slope, w, q) for name, w, q in (("tanh", 1.5, 0.6), ("gelu", 2.0, 3.0))]

EXERCISES = {
    "backward-bug": CodeExercise(
        _layers, _back_through_tanh, {"slope-of-h": lambda d, W, z: d @ W.T * (1 - z**2)}
    ),
    "chi-by-sampling": CodeExercise(
        lambda: SLOPES,
        _chi,
        {
            "square-of-the-mean": lambda s, w, q: w**2 * gaussian_mean(s, q) ** 2,
            "no-square": lambda s, w, q: w**2 * gaussian_mean(s, q),
            "no-weights": lambda s, w, q: _chi(s, 1.0, q),
            "sigma-not-squared": lambda s, w, q: w * _chi(s, 1.0, q),
            "variance-for-deviation": lambda s, w, q: _chi(s, w, q * q),
            "unit-variance": lambda s, w, q: _chi(s, w, 1.0),
            "factor-of-the-signal": lambda s, w, q: math.sqrt(_chi(s, w, q)),
        },
        rtol=0.03,
    ),
    "chi-of-leaky-relu": CodeExercise(
        lambda: [(0.0, 1.0), (0.2, 1.5), (1.0, 0.7)],
        lambda a, sigma_w: sigma_w**2 * (1 + a**2) / 2,
        {
            "relu": lambda a, sigma_w: sigma_w**2 / 2,
            "mean-of-slopes": lambda a, sigma_w: sigma_w**2 * ((1 + a) / 2) ** 2,
            "slopes-not-squared": lambda a, sigma_w: sigma_w**2 * (1 + a) / 2,
            "factor-of-the-signal": lambda a, sigma_w: sigma_w * math.sqrt((1 + a**2) / 2),
        },
    ),
    "power-iteration": CodeExercise(
        lambda: [(_matrix(*e).__matmul__, len(e)) for e in ((1.0, 2.0, 5.0), (0.1, 0.3, 0.9, 7.0))],
        _power_iteration,
        {"trace": _trace, "square": lambda times_H, d: _power_iteration(times_H, d) ** 2},
        rtol=1e-4,
    ),
    "descent-bug": CodeExercise(_coupled, _descent, {"one-by-one": _one_by_one}),
    "best-guarantee": CodeExercise(
        lambda: [(2.0, 3.0), (10.0, 0.5)],
        lambda curvature, g: (1 / curvature, g**2 / (2 * curvature)),
        {
            "limit": lambda curvature, g: (2 / curvature, 0.0),
            "length-not-squared": lambda curvature, g: (1 / curvature, g / (2 * curvature)),
            "no-half": lambda curvature, g: (1 / curvature, g**2 / curvature),
        },
    ),
    "back-through-a-skip": CodeExercise(
        _residual,
        _back_through_skip,
        {
            "no-skip": lambda d, h, W: _back_through_skip(d, h, W) - d,
            "no-slope": lambda d, h, W: d + d @ W.T,
            "slope-outside": lambda d, h, W: d + d @ W.T * (1 - np.tanh(h @ W) ** 2),
            "not-transposed": lambda d, h, W: d + (d * (1 - np.tanh(h @ W) ** 2)) @ W,
        },
    ),
    "update-bug": CodeExercise(_two_layers, _step, {"too-early": lambda *a: _step(*a, late=True)}),
    "weight-used-twice": CodeExercise(
        lambda: [(0.7, 1.5), (-1.2, 0.4)],
        _twice,
        {
            "second-only": lambda w, x: _twice(w, x, first=0),
            "first-only": lambda w, x: _twice(w, x, second=0),
            "half": lambda w, x: _twice(w, x) / 2,
        },
    ),
}
