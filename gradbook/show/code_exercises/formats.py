"""Exercises of the chapter on floating point."""

from __future__ import annotations

import numpy as np

from .trial import CodeExercise


def _vectors():
    yield from ((np.array(v, np.float32),) for v in ((3e-25, -4e-25, 0), (3e25, 4e25), (0, 0)))


def _norm(x):
    return np.linalg.norm(x.astype(float))


def _plain_norm(x):
    with np.errstate(all="ignore"):
        return np.sqrt((x * x).sum())


def _steps():
    rng = np.random.default_rng(0)
    for size, scale in ((1e-4, 2.0**16), (5.0, 2.0**10), (0.9, 4.0)):
        yield rng.normal(size=3), scale * size * np.array([0.6, 0.0, -0.8]), scale, 0.1


def _scaled_step(w, scaled, scale, lr, clip=True, first=True, divide=True):
    g = scaled / scale if first else scaled
    if clip:
        g = g * min(1.0, 1.0 / np.linalg.norm(g))
    return w - lr * (g if first or not divide else g / scale)


def _mean_squares(p, u):
    return p * (1 - p) * u**2, min(p, 1 - p) ** 2 * u**2


EXERCISES = {
    "norm-that-holds": CodeExercise(
        _vectors,
        _norm,
        {"plain": _plain_norm, "largest": lambda x: abs(x).max()},
        rtol=1e-5,
        atol=0.0,
    ),
    "scale-bug": CodeExercise(
        _steps,
        _scaled_step,
        {
            "clipped-scaled": lambda *a: _scaled_step(*a, first=False),
            "no-clip": lambda *a: _scaled_step(*a, clip=False),
            "never-divided": lambda *a: _scaled_step(*a, first=False, divide=False),
        },
    ),
    "two-roundings": CodeExercise(
        lambda: [(0.1, 1.0), (0.5, 2.0), (0.7, 0.5)],
        _mean_squares,
        {
            "swapped": lambda p, u: _mean_squares(p, u)[::-1],
            "roots": lambda p, u: tuple(np.sqrt(_mean_squares(p, u))),
            "down": lambda p, u: (p * (1 - p) * u**2, p**2 * u**2),
        },
    ),
}
