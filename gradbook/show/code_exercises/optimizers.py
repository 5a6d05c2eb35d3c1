"""Exercises of the part on optimizers."""

from __future__ import annotations

import math

from .trial import CodeExercise


def _half_cosine(share):
    return (1 + math.cos(math.pi * share)) / 2


def _warm_cosine(t, lr, warm, total):
    if t < warm:
        return lr * t / warm
    return lr * _half_cosine((t - warm) / (total - warm))


def _steps():
    return [(t, 0.1, warm, total) for warm, total in ((10, 50), (3, 20)) for t in range(total)]


def _rates_of_a_run(epochs, batches, lr=0.1, period=None):
    steps = epochs * batches
    return [lr * _half_cosine(t / (period or steps)) for t in range(steps)]


def _best_rate(square, curvature, variance):
    return curvature * square / (curvature**2 * square + variance)


EXERCISES = {
    "warm-up-then-cosine": CodeExercise(
        _steps,
        _warm_cosine,
        {
            "not-shifted": lambda t, lr, warm, total: (
                lr * t / warm if t < warm else lr * _half_cosine(t / total)
            ),
            "total-too-long": lambda t, lr, warm, total: (
                lr * t / warm if t < warm else lr * _half_cosine((t - warm) / total)
            ),
            "no-warm-up": lambda t, lr, warm, total: lr * _half_cosine(t / total),
            "product": lambda t, lr, warm, total: lr * min(1, t / warm) * _half_cosine(t / total),
        },
    ),
    "cosine-bug": CodeExercise(
        lambda: [(3, 4), (5, 20)],
        _rates_of_a_run,
        {
            "waves": lambda epochs, batches: _rates_of_a_run(epochs, batches, period=epochs),
            "one-epoch": lambda epochs, batches: _rates_of_a_run(epochs, batches, period=batches),
            "by-epoch": lambda epochs, batches: [
                0.1 * _half_cosine(t // batches / epochs) for t in range(epochs * batches)
            ],
        },
    ),
    "best-next-rate": CodeExercise(
        lambda: [(9.0, 1.0, 1.0), (0.2, 3.0, 0.5)],
        _best_rate,
        {
            "no-noise": lambda square, curvature, variance: 1 / curvature,
            "no-curvature": lambda square, curvature, variance: square / (square + variance),
            "twice": lambda *a: 2 * _best_rate(*a),
        },
    ),
}
