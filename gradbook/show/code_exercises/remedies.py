"""Exercises of the part on remedies."""

from __future__ import annotations

import math

import numpy as np

from .trial import CodeExercise


def _kaiming(shape, mode, a, kernel=True, squared=False):
    n = shape[1 if mode == "fan_in" else 0] * (math.prod(shape[2:]) if kernel else 1)
    variance = 2 / ((1 + a**2) * n)
    return variance if squared else math.sqrt(variance)


def _shapes():
    for shape in ((30, 20), (64, 16, 3, 3)):
        for mode in ("fan_in", "fan_out"):
            for a in (0.0, 0.5):
                yield shape, mode, a


def _swapped(shape, mode, a):
    return _kaiming(shape, "fan_out" if mode == "fan_in" else "fan_in", a)


def _uniform(rng, n_in, n_out, square=6.0):
    a = math.sqrt(square / n_in)
    return rng.uniform(-a, a, size=(n_in, n_out))


EXERCISES = {
    "kaiming-deviation": CodeExercise(
        _shapes,
        _kaiming,
        {
            "no-kernel": lambda *a: _kaiming(*a, kernel=False),
            "variance": lambda *a: _kaiming(*a, squared=True),
            "swapped": _swapped,
            "no-slope": lambda shape, mode, a: _kaiming(shape, mode, 0.0),
        },
    ),
    "uniform-bug": CodeExercise(
        lambda: [(np.random.default_rng(k), n, 4) for k, n in enumerate((5, 50))],
        _uniform,
        {
            "no-three": lambda *a: _uniform(*a, square=2.0),
            "three-not-rooted": lambda *a: _uniform(*a, square=18.0),
        },
    ),
    "variance-with-dropout": CodeExercise(
        lambda: [(64, 0.5), (100, 0.1)],
        lambda n_in, p: 2 * (1 - p) / n_in,
        {
            "he": lambda n_in, p: 2 / n_in,
            "upside-down": lambda n_in, p: 2 / (n_in * (1 - p)),
            "dropped-for-kept": lambda n_in, p: 2 * p / n_in,
            "not-scaled": lambda n_in, p: 2 * (1 - p) ** 2 / n_in,
        },
    ),
}
