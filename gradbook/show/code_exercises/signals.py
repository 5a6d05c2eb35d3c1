"""Exercises of the part on vanishing and exploding gradients."""

from __future__ import annotations

import math

import numpy as np

from ...nets.activations import activation
from ...theory.meanfield import gaussian_mean
from .trial import CodeExercise


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


SLOPES = [(activation(name).slope, w, q) for name, w, q in (("tanh", 1.5, 0.6), ("gelu", 2.0, 3.0))]

TANH = activation("tanh")
MAPS = [(np.tanh, 1.5, 0.3, 9.0, 0.6), (np.tanh, 2.5, 0.2, 0.1, 0.9)]


def _next_correlation(phi, sigma_w, sigma_b, q, c, divide_by=None):
    def pair_mean(c):
        def inner(u):
            return gaussian_mean(lambda v: phi(c * u + math.sqrt(1 - c * c) * v), q)

        return gaussian_mean(lambda u: phi(u) * np.vectorize(inner)(u), q)

    numerator = sigma_w**2 * pair_mean(c) + sigma_b**2
    return numerator / (
        divide_by or sigma_w**2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b**2
    )


def _chi_after(layers, start=1.0):
    """χ₁ at the q that so many layers make of ``start``."""

    def chi_1(phi, slope, sigma_w, sigma_b):
        q = start
        for _ in range(layers):
            q = sigma_w**2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b**2
        return _chi(slope, sigma_w, q)

    return chi_1


def _relu_length(sigma_w, sigma_b, gain=0.5):
    rest = 1 - gain * sigma_w**2
    return sigma_b**2 / rest if rest > 0 else math.inf


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
    "correlation-by-sampling": CodeExercise(
        lambda: MAPS,
        _next_correlation,
        {
            "divided-by-q": lambda *a: _next_correlation(*a, divide_by=a[3]),
            "no-bias": lambda phi, w, b, q, c: _next_correlation(phi, w, 0.0, q, c),
            "unit-variance": lambda phi, w, b, q, c: _next_correlation(phi, w, b, 1.0, c),
        },
        rtol=0.02,
    ),
    "chi-bug": CodeExercise(
        lambda: [(TANH, TANH.slope, 1.7, 0.3), (TANH, TANH.slope, 2.5, 0.1)],
        _chi_after(200),
        {"at-one": _chi_after(0), "one-step": _chi_after(1)},
    ),
    "fixed-point-of-relu": CodeExercise(
        lambda: [(1.0, 0.3), (1.3, 1.0), (1.5, 0.2)],
        _relu_length,
        {
            "bias-not-squared": lambda w, b: _relu_length(w, math.sqrt(b)),
            "no-half": lambda w, b: _relu_length(w, b, gain=1.0),
            "negative": lambda w, b: b * b / (1 - w * w / 2),
        },
    ),
}
