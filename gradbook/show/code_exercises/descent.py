"""Exercises of the part on gradient descent and backpropagation."""

from __future__ import annotations

import numpy as np

from .trial import CodeExercise


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


def _reshuffled(lr, curvature, variance, N):
    d = 1 - lr * curvature
    S1, S2 = (1 - d**N) / (1 - d), (1 - d ** (2 * N)) / (1 - d**2)
    return lr**2 * variance * N / (N - 1) * (S2 - S1**2 / N) / (1 - d ** (2 * N))


def _parts():
    rng = np.random.default_rng(5)
    for sizes in ((4, 4), (2, 5, 9)):
        yield rng.normal(size=3), [(rng.normal(size=(b, 3)), rng.normal(size=b)) for b in sizes]


def _accumulated(w, parts, weight=lambda b, parts: b / sum(len(y) for _, y in parts)):
    return sum(weight(len(y), parts) * x.T @ (x @ w - y) / len(y) for x, y in parts)


EXERCISES = {
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
    "reshuffled-floor": CodeExercise(
        lambda: [(0.01, 1.0, 1.0, 100), (0.02, 2.5, 3.0, 20)],
        _reshuffled,
        {
            "with-replacement": lambda lr, k, s2, N: lr * s2 / (k * (2 - lr * k)),
            "curvature-of-one": lambda lr, k, s2, N: _reshuffled(lr, 1.0, s2, N),
            "minima": lambda lr, k, s2, N: k**2 * _reshuffled(lr, k, s2, N),
            "no-quotient": lambda lr, k, s2, N: _reshuffled(lr, k, s2, N) * (N - 1) / N,
        },
    ),
    "accumulation-bug": CodeExercise(
        _parts,
        _accumulated,
        {
            "summed": lambda w, parts: _accumulated(w, parts, lambda b, parts: 1),
            "mean-of-means": lambda w, parts: _accumulated(
                w, parts, lambda b, parts: 1 / len(parts)
            ),
            "sum-over-examples": lambda w, parts: _accumulated(w, parts, lambda b, parts: b),
        },
    ),
    "gain-of-a-step": CodeExercise(
        lambda: [(4.0, 10.0, 60.0, 8.0), (1.5, 2.0, 30.0, 3.0)],
        lambda square, GHG, trace, B: (square**2 / (2 * (GHG + trace / B)), trace / GHG),
        {
            "no-noise": lambda square, GHG, trace, B: (square**2 / (2 * GHG), trace / GHG),
            "no-half": lambda square, GHG, trace, B: (square**2 / (GHG + trace / B), trace / GHG),
            "simple-scale": lambda square, GHG, trace, B: (
                square**2 / (2 * (GHG + trace / B)),
                trace / square,
            ),
        },
    ),
}
