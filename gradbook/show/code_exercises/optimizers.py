"""Exercises of the part on optimizers."""

from __future__ import annotations

import math

import numpy as np

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


def _adam(gradients, lr, beta1, beta2, eps, correct=True, root=True, inside=False):
    m = v = moved = 0 * gradients[0]
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        up, down = (m / (1 - beta1**t), v / (1 - beta2**t)) if correct else (m, v)
        if inside:
            moved = moved - lr * up / np.sqrt(down + eps)
        else:
            moved = moved - lr * up / ((np.sqrt(down) if root else down) + eps)
    return moved


def _gradients():
    rng = np.random.default_rng(8)
    return [(rng.normal(size=(n, 3)), 0.1, 0.9, b, 1e-3) for n, b in ((1, 0.999), (7, 0.9))]


def _adam_of_several(params, gradients, shared=True, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8):
    params = [np.array(p) for p in params]
    m, v, count = [0 * p for p in params], [0 * p for p in params], 0
    for t, grads in enumerate(gradients, 1):
        for i, g in enumerate(grads):
            count += 1
            s = count if shared else t
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            step = m[i] / (1 - beta1**s) / (np.sqrt(v[i] / (1 - beta2**s)) + eps)
            params[i] = params[i] - lr * step
    return tuple(params)


def _several():
    rng = np.random.default_rng(9)
    params = [rng.normal(size=n) for n in (2, 3, 1)]
    return [(params, [[rng.normal(size=p.shape) for p in params] for _ in range(4)])]


EXERCISES = {
    "adam-by-hand": CodeExercise(
        _gradients,
        _adam,
        {
            "not-corrected": lambda *a: _adam(*a, correct=False),
            "no-root": lambda *a: _adam(*a, root=False),
            "inside": lambda *a: _adam(*a, inside=True),
            "uphill": lambda *a: -_adam(*a),
        },
    ),
    "count-bug": CodeExercise(
        _several,
        lambda params, gradients: _adam_of_several(params, gradients, shared=False),
        {"shared": _adam_of_several},
    ),
    "step-in-noise": CodeExercise(
        lambda: [(1.0, 0.0), (1.0, 1.0), (0.1, 2.0)],
        lambda mean, deviation: mean / math.hypot(mean, deviation),
        {
            "square": lambda mean, deviation: mean**2 / (mean**2 + deviation**2),
            "sum": lambda mean, deviation: mean / (mean + deviation),
            "one": lambda mean, deviation: 1.0,
        },
        rtol=0.02,
    ),
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
