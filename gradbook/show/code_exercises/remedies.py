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


def _rms_backward(g, z, root=True, out=True):
    r2 = (z**2).mean(1, keepdims=True)
    hat = z / np.sqrt(r2)
    along = hat * (g * hat).mean(1, keepdims=True) if out else 0
    return (g - along) / (np.sqrt(r2) if root else r2)


def _rows():
    rng = np.random.default_rng(6)
    return [(rng.normal(size=s), rng.normal(1, 2, size=s)) for s in ((4, 3), (2, 7))]


def _running(z, mean, var, training, momentum=0.1, wrong=()):
    m, v = z.mean(0), z.var(0)
    if training:
        mean = (1 - momentum) * mean + momentum * m
        var = (1 - momentum) * var + momentum * v
    else:
        m, v = m if "mean" in wrong else mean, v if "var" in wrong else var
    return (z - m) / np.sqrt(v + 1e-5), mean, var


def _modes():
    rng = np.random.default_rng(7)
    for training in (True, False):
        yield rng.normal(2, 3, (8, 4)), rng.normal(1, 1, 4), rng.uniform(1, 2, 4), training


def _settled(lr, decay, c, power=1.0, twice=2.0):
    return (lr * c**2 / (twice * decay)) ** (power / 2)


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
    "rms-backward": CodeExercise(
        _rows,
        _rms_backward,
        {
            "not-taken-out": lambda g, z: _rms_backward(g, z, out=False),
            "square": lambda g, z: _rms_backward(g, z, root=False),
            "layer-norm": lambda g, z: (
                _rms_backward(g, z)
                - g.mean(1, keepdims=True) / np.sqrt((z**2).mean(1, keepdims=True))
            ),
        },
    ),
    "running-bug": CodeExercise(
        _modes,
        _running,
        {
            "mean-of-the-batch": lambda *a: _running(*a, wrong=("mean",)),
            "all-of-the-batch": lambda *a: _running(*a, wrong=("mean", "var")),
        },
    ),
    "settled-length": CodeExercise(
        lambda: [(0.1, 1e-3, 2.0), (0.01, 5e-3, 1.0)],
        _settled,
        {
            "length": lambda *a: _settled(*a, power=0.5),
            "fourth-power": lambda *a: _settled(*a, power=2.0),
            "no-two": lambda *a: _settled(*a, twice=1.0),
        },
        rtol=0.01,
    ),
}
