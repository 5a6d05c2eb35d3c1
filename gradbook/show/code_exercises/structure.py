"""Exercises of the chapter on skip connections."""

from __future__ import annotations

import math

import numpy as np

from .trial import CodeExercise


def _blocks():
    rng = np.random.default_rng(6)
    for n, s in ((3, 0.5), (6, 0.9)):
        yield rng.normal(size=(4, n)), rng.normal(size=(n, n)) * (2 / n) ** 0.5, s


def _block(z, W, s, skip=lambda s: math.sqrt(1 - s**2), phi=lambda z: np.maximum(z, 0)):
    return skip(s) * z + s * phi(z) @ W


def _pairs():
    rng = np.random.default_rng(7)
    for n, blocks, s in ((3, 2, 1.0), (5, 4, 0.5)):
        yield rng.normal(size=(4, n)), *rng.normal(size=(2, blocks, n, n)), s


def _difference(x, first, second, s, shared=()):
    def network(z, weights):
        for W in weights:
            z = z + s * np.maximum(z, 0) @ W
        return z

    one = network(x, first)
    if "input" in shared:
        x = one
    if "output" in shared:
        one = network(x, second)
    return ((one - network(x, second)) ** 2).mean()


EXERCISES = {
    "variance-kept": CodeExercise(
        _blocks,
        _block,
        {
            "not-squared": lambda z, W, s: _block(z, W, s, lambda s: 1 - s),
            "root-missing": lambda z, W, s: _block(z, W, s, lambda s: 1 - s**2),
            "no-phi": lambda z, W, s: _block(z, W, s, phi=lambda z: z),
        },
    ),
    "same-input": CodeExercise(
        _pairs,
        _difference,
        {
            "as-it-was": lambda *a: _difference(*a, shared=("input", "output")),
            "input-changed": lambda *a: _difference(*a, shared=("input",)),
        },
    ),
    "product-of-branches": CodeExercise(
        lambda: [(1,), (3,), (40,)],
        lambda L: L + 1,
        {
            "size": lambda L: math.sqrt(L + 1),
            "added": lambda L: 1 + sum(1 / l for l in range(1, L + 1)),
            "bare": lambda L: 2**L,
            "constant": lambda L: (1 + 1 / L) ** L,
        },
    ),
}
