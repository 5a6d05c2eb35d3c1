"""Exercises of the chapter on clipping."""

from __future__ import annotations

import numpy as np

from .trial import CodeExercise


def _arrays():
    rng = np.random.default_rng(6)
    for size in (1.0, 1e200, 1e-200):
        yield ([size * rng.normal(size=shape) for shape in ((3, 2), (4,))],)
    yield ([np.zeros(3), np.zeros((2, 2))],)
    yield ([-np.arange(1.0, 4.0) * 1e200, np.full(2, -5e199)],)


def _total(arrays, together=True):
    largest = [float(abs(a).max()) for a in arrays]
    scale = [max(largest)] * len(arrays) if together else largest
    squares = [(((a / m) if m else a) ** 2).sum() for a, m in zip(arrays, scale)]
    if together:
        return scale[0] * float(sum(squares) ** 0.5)
    return float(sum(m * s**0.5 for m, s in zip(scale, squares)))


def _largest(arrays):
    return max(float(abs(a).max()) for a in arrays)


def _naive(arrays):
    with np.errstate(over="ignore", under="ignore"):
        return float(sum((a * a).sum() for a in arrays) ** 0.5)


def _micro_batches():
    rng = np.random.default_rng(7)
    for n, c in ((4, 12.0), (4, 60.0), (3, 0.2)):
        yield [rng.normal(size=5) * scale for scale in (0.1, 10.0, 1.0, 0.5)[:n]], 0.3, c


def _cut(g, c):
    return g * min(1, c / np.linalg.norm(g))


def _clipped_step(micro_batches, lr, c, share=True):
    return -lr * _cut(sum(micro_batches) / (len(micro_batches) if share else 1), c)


def _in_the_loop(micro_batches, lr, c):
    return -lr * sum(_cut(g, c) for g in micro_batches) / len(micro_batches)


EXERCISES = {
    "norm-of-all": CodeExercise(
        _arrays,
        _total,
        {
            "naive": _naive,
            "added": lambda arrays: _total(arrays, together=False),
            "not-scaled-back": lambda arrays: _total(arrays) / (abs(_largest(arrays)) or 1),
        },
        atol=0.0,
    ),
    "clip-in-the-loop": CodeExercise(
        _micro_batches,
        _clipped_step,
        {
            "as-it-was": _in_the_loop,
            "sum": lambda *a: _clipped_step(*a, share=False),
            "always": lambda g, lr, c: -lr * c * sum(g) / np.linalg.norm(sum(g)),
            "not-clipped": lambda g, lr, c: _clipped_step(g, lr, np.inf),
            "uphill": lambda *a: -_clipped_step(*a),
        },
    ),
    "tug-of-war": CodeExercise(
        lambda: [(0.6, 1.0), (0.75, 2.0), (0.9, 0.1)],
        lambda p, c: c * (1 - p) / p,
        {
            "mean": lambda p, c: c * (1 - p),
            "upside-down": lambda p, c: c * p / (1 - p),
            "sign": lambda p, c: -c * (1 - p) / p,
            "median": lambda p, c: 0.0,
        },
    ),
}
