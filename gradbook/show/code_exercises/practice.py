"""Exercises of the part on practice."""

from __future__ import annotations

import math

import numpy as np
import scipy.stats

from .trial import CodeExercise


def _half(scores, n_train, n_test, corrected=True, ddof=1, quantile=None):
    n = len(scores)
    share = 1 / n + (n_test / n_train if corrected else 0)
    t = quantile or scipy.stats.t.ppf(0.975, n - 1)
    return t * math.sqrt(share) * np.std(scores, ddof=ddof)


def _scores():
    rng = np.random.default_rng(10)
    return [(rng.normal(95, 1, n), a, b) for n, a, b in ((5, 800, 200), (10, 1347, 450))]


def _right(answers, labels, batch, means=False):
    found = answers == labels
    if means:
        found = [found[i : i + batch].mean() for i in range(0, len(found), batch)]
    return float(np.mean(found))


def _answers():
    rng = np.random.default_rng(11)
    labels = rng.integers(10, size=450)
    answers = np.where(rng.random(450) < np.linspace(1, 0.5, 450), labels, (labels + 1) % 10)
    return [(answers, labels, batch) for batch in (64, 100, 450)]


def _scale(times, blocks, power=2.0):
    return math.sqrt(times ** (power / blocks) - 1)


EXERCISES = {
    "corrected-interval": CodeExercise(
        _scores,
        _half,
        {
            "uncorrected": lambda *a: _half(*a, corrected=False),
            "two": lambda *a: _half(*a, quantile=2.0),
            "normal": lambda *a: _half(*a, quantile=1.96),
            "biased": lambda *a: _half(*a, ddof=0),
        },
        rtol=2e-3,
    ),
    "batches-bug": CodeExercise(
        _answers, _right, {"mean-of-means": lambda *a: _right(*a, means=True)}
    ),
    "branch-for-a-growth": CodeExercise(
        lambda: [(2.0, 30), (10.0, 100)],
        _scale,
        {"square": lambda *a: _scale(*a, power=1.0), "no-root": lambda *a: _scale(*a) ** 2},
    ),
}
